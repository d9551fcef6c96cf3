import { type Answer, decode, encode, TRUNCATED_RESPONSE } from "dns-packet";
import type { DnsDelivery, DnsServer, DnsTransport } from "../../../../src/control/sources/dns/transport.js";

const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };

/** What a name server says to one question. */
export interface Reply {
  readonly rcode?: keyof typeof rcodes;
  readonly answers?: readonly Answer[];
  readonly additionals?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  readonly isTruncated?: boolean;
  /** Without EDNS. */
  readonly isPlain?: boolean;
  /** Changes the bytes before they go out. */
  readonly spoil?: (bytes: Buffer) => Buffer;
  /** Messages that come before the true one. */
  readonly before?: (query: Buffer) => readonly Buffer[];
}

/** `silent`: no answer; a text beginning with E: an error of the socket. */
export type Behaviour = Reply | "silent" | `E${string}`;

/** Encodes an answer to the query. */
export function encodeReply(query: Buffer, reply: Reply): Buffer {
  const asked = decode(query);
  const bytes = encode({
    type: "response",
    ...(asked.id !== undefined && { id: asked.id }),
    flags: reply.isTruncated === true ? TRUNCATED_RESPONSE : 0,
    questions: asked.questions ?? [],
    answers: [...(reply.answers ?? [])],
    authorities: [...(reply.authorities ?? [])],
    additionals: [
      ...(reply.additionals ?? []),
      ...(reply.isPlain === true ? [] : (asked.additionals ?? []).filter((each) => each.type === "OPT")),
    ],
  });
  bytes.writeUInt8((bytes.readUInt8(3) & 0xf0) | rcodes[reply.rcode ?? "NOERROR"], 3);
  return bytes;
}

/** Name servers as a test wants them, without sockets and without time. */
export class FakeNameServers implements DnsTransport {
  /** `udp 10.0.0.1:53 SRV web.test`, in the order they came. */
  readonly asked: string[] = [];
  /** By `TYPE name`, or `TYPE name tcp`, or `TYPE name host`; the most exact one counts. */
  readonly zone = new Map<string, Behaviour>();

  /** Forgets what was asked and tells it. */
  takeAsked(): string[] {
    return this.asked.splice(0);
  }

  exchange<T>(
    server: DnsServer,
    way: "udp" | "tcp",
    bytes: Buffer,
    _timeoutMs: number,
    take: (message: Buffer) => T | undefined,
  ): Promise<DnsDelivery<T>> {
    const question = decode(bytes).questions?.[0];
    const what = `${question?.type} ${question?.name}`;
    this.asked.push(`${way} ${server.host}:${server.port} ${what}`);
    const behaviour =
      this.zone.get(`${what} ${server.host}`) ?? this.zone.get(`${what} ${way}`) ?? this.zone.get(what);
    return Promise.resolve(deliver(bytes, behaviour ?? { rcode: "NXDOMAIN" }, take));
  }
}

function deliver<T>(
  query: Buffer,
  behaviour: Behaviour,
  take: (message: Buffer) => T | undefined,
): DnsDelivery<T> {
  if (typeof behaviour === "string") return { kind: "silent", reason: behaviour };
  const bytes = encodeReply(query, behaviour);
  const messages = [...(behaviour.before?.(query) ?? []), behaviour.spoil?.(bytes) ?? bytes];
  for (const message of messages) {
    const value = take(message);
    if (value !== undefined) return { kind: "taken", value };
  }
  return { kind: "silent", reason: "no answer" };
}

/** An SRV record. */
export function srv(name: string, target: string, port: number, more: object = {}): Answer {
  const { ttl = 10, priority = 1, weight = 1 } = more as { ttl?: number; priority?: number; weight?: number };
  return { type: "SRV", name, ttl, data: { target, port, priority, weight } };
}

/** An address record, or an alias. */
export function at(type: "A" | "AAAA" | "CNAME", name: string, data: string, ttl = 10): Answer {
  return { type, name, ttl, data };
}

/** The start of authority that says how long "none" holds. */
export function soa(ttl: number, minimum: number): Answer {
  return { type: "SOA", name: "test", ttl, data: { mname: "ns.test", rname: "a.test", minimum } };
}
