import { type Answer, type DecodedPacket, decode, encode, RECURSION_DESIRED } from "dns-packet";

/** What is asked of a name server: records of one type under one name. */
export interface DnsQuestion {
  readonly name: string;
  readonly type: "SRV" | "A" | "AAAA";
}

/** One record that this program has a use for; names are in lower case, without the dot at their end. */
export type DnsRecord =
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly ttlMs: number;
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      /** Empty for the root: "there is decidedly no such service" (RFC 2782). */
      readonly target: string;
    }
  | {
      readonly type: "A" | "AAAA" | "CNAME";
      readonly name: string;
      readonly ttlMs: number;
      /** An IP literal, for CNAME the name meant. */
      readonly value: string;
    };

/** A name server's answer to one question, checked against it. */
export interface DnsMessage {
  /** `NOERROR`, `NXDOMAIN`, `SERVFAIL` ... */
  readonly rcode: string;
  /** The server cut the answer and says so. */
  readonly isTruncated: boolean;
  /** Whether it answered in EDNS; without it UDP answers end at 512 bytes. */
  readonly isEdns: boolean;
  readonly answers: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
  /** How long "there is none" may be believed (RFC 2308 section 5); undefined when nothing is said of it. */
  readonly negativeTtlMs: number | undefined;
}

/** What an incoming message is to whoever waits for an answer. */
export type DnsReading =
  | { readonly kind: "answer"; readonly message: DnsMessage }
  /** Another id, another question, no answer at all: not for us, perhaps forged. */
  | { readonly kind: "foreign" }
  | { readonly kind: "malformed"; readonly reason: string };

/** UDP answers up to this size are asked for. */
export const ednsBytes = 4096;
const headerBytes = 12;
const nameLengthMax = 253;

/** Encodes a question. @throws Error when the name cannot be one. */
export function encodeQuestion(question: DnsQuestion, id: number, isEdns: boolean): Buffer {
  return encode({
    type: "query",
    id,
    flags: RECURSION_DESIRED,
    questions: [{ name: question.name, type: question.type, class: "IN" }],
    additionals: isEdns
      ? [
          {
            type: "OPT",
            name: ".",
            udpPayloadSize: ednsBytes,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ]
      : [],
  });
}

/** Reads what came from the server that was asked. Never throws. */
export function readMessage(bytes: Buffer, question: DnsQuestion, id: number): DnsReading {
  if (bytes.length < headerBytes || bytes.readUInt16BE(0) !== id || bytes.readUInt8(2) < 0x80) {
    return { kind: "foreign" };
  }
  let packet: DecodedPacket;
  try {
    packet = decode(bytes);
  } catch (cause) {
    return { kind: "malformed", reason: cause instanceof Error ? cause.message : String(cause) };
  }
  const rcode = rcodeOf(bytes);
  const asked = packet.questions?.[0];
  // Servers that understood nothing of a question may leave it out (RFC 1035 section 4.1.1 does not forbid it).
  if (asked === undefined ? rcode === "NOERROR" || rcode === "NXDOMAIN" : !isQuestion(asked, question)) {
    return { kind: "foreign" };
  }
  const additionals = packet.additionals ?? [];
  return {
    kind: "answer",
    message: {
      rcode,
      isTruncated: packet.flag_tc,
      isEdns: additionals.some((record) => record.type === "OPT"),
      answers: readRecords(packet.answers ?? []),
      additionals: readRecords(additionals),
      negativeTtlMs: negativeTtlOf(packet.authorities ?? []),
    },
  };
}

/** A name as it is compared: lower case, no dot at the end (RFC 4343). */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function isQuestion(asked: { readonly name: string; readonly type: string }, question: DnsQuestion): boolean {
  return asked.type === question.type && foldName(asked.name) === foldName(question.name);
}

const rcodes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

function rcodeOf(bytes: Buffer): string {
  const code = bytes.readUInt8(3) & 0x0f;
  return rcodes[code] ?? `response code ${code}`;
}

function readRecords(records: readonly Answer[]): readonly DnsRecord[] {
  return records.flatMap((record) => readRecord(record) ?? []);
}

function readRecord(record: Answer): DnsRecord | undefined {
  if (record.type === "OPT" || !isPlainName(record.name)) return undefined;
  const own = { name: foldName(record.name), ttlMs: ttlMsOf(record.ttl) };
  switch (record.type) {
    case "SRV": {
      const { priority = 0, weight = 0, port } = record.data;
      const target = foldName(record.data.target);
      if (target !== "" && !isPlainName(target)) return undefined;
      return { ...own, type: record.type, priority, weight, port, target };
    }
    case "A":
    case "AAAA":
      return { ...own, type: record.type, value: record.data };
    case "CNAME":
      return isPlainName(record.data)
        ? { ...own, type: record.type, value: foldName(record.data) }
        : undefined;
    default:
      return undefined;
  }
}

/** Names end in keys, logs and questions. A dot inside a label is not told from one between two. */
function isPlainName(name: string): boolean {
  return name.length <= nameLengthMax + 1 && /^(?:[\x21-\x2d\x2f-\x7e]{1,63}(?:\.|$))+$/.test(name);
}

function ttlMsOf(ttl: number | undefined): number {
  // A first bit that is set means 0 (RFC 2181 section 8).
  return ttl === undefined || ttl > 0x7fff_ffff ? 0 : ttl * 1_000;
}

function negativeTtlOf(authorities: readonly Answer[]): number | undefined {
  for (const record of authorities) {
    if (record.type === "SOA") return Math.min(ttlMsOf(record.ttl), ttlMsOf(record.data.minimum));
  }
  return undefined;
}
