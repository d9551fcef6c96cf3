import { isIPv4, SocketAddress } from "node:net";
import type { HeardRecord } from "./messages.js";

/** What `node-dns-sd` makes of a packet, as far as it is used. Its fields are believed only after a look. */
export interface ParsedPacket {
  readonly answers: readonly ParsedRecord[];
  readonly authorities: readonly ParsedRecord[];
  readonly additionals: readonly ParsedRecord[];
}

/** One record of it. */
export interface ParsedRecord {
  readonly name: string;
  readonly type: string;
  readonly class: string;
  /** The cache-flush bit. */
  readonly flash: boolean;
  readonly ttl: number;
  readonly rdata: unknown;
  /** For TXT: names and the bytes behind `=`. */
  readonly rdata_buffer?: Readonly<Record<string, Buffer>>;
}

const recordsMax = 500;
const textsMax = 64;
const nameLengthMax = 255;

/** The records of a packet that tell of services, in the order in which they can be understood. Never throws. */
export function readPacket(packet: ParsedPacket): readonly HeardRecord[] {
  const all = [...packet.answers, ...packet.additionals].slice(0, recordsMax);
  const records = all.flatMap((record) => readRecord(record) ?? []);
  return records.sort((a, b) => order[a.type] - order[b.type]);
}

/** A service is named before it is described, and its host before that has an address. */
const order = { PTR: 0, SRV: 1, TXT: 2, A: 3, AAAA: 3 };

function readRecord(record: ParsedRecord): HeardRecord | undefined {
  if (record.class !== "IN" || !isName(record.name)) return undefined;
  const head = { name: record.name, ttlSeconds: record.ttl, isFlush: record.flash };
  const { rdata } = record;
  switch (record.type) {
    case "PTR":
      return isName(rdata) ? { ...head, type: "PTR", target: rdata } : undefined;
    case "SRV":
      return isService(rdata) && isName(rdata.target) ? { ...head, type: "SRV", ...rdata } : undefined;
    case "TXT":
      return { ...head, type: "TXT", entries: readTexts(record.rdata_buffer ?? {}) };
    case "A":
      return isName(rdata) && isIPv4(rdata) ? { ...head, type: "A", address: rdata } : undefined;
    case "AAAA": {
      const address = isName(rdata) ? readIpv6(rdata) : undefined;
      return address === undefined ? undefined : { ...head, type: "AAAA", address };
    }
    default:
      return undefined;
  }
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= nameLengthMax;
}

interface ServiceData {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  readonly target: string;
}

function isService(value: unknown): value is ServiceData {
  return typeof value === "object" && value !== null && "target" in value && "port" in value;
}

function readTexts(texts: Readonly<Record<string, Buffer>>): readonly (readonly [string, string])[] {
  return Object.entries(texts)
    .slice(0, textsMax)
    .map(([name, bytes]) => [name, bytes.toString("utf8")] as const);
}

/** In its short form; undefined for link-local addresses, which mean nothing without an interface. */
function readIpv6(text: string): string | undefined {
  try {
    const { address } = new SocketAddress({ address: text, family: "ipv6" });
    return /^fe[89ab]/i.test(address) ? undefined : address;
  } catch {
    return undefined;
  }
}
