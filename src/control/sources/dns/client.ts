import { randomInt } from "node:crypto";
import { type DnsMessage, type DnsQuestion, ednsBytes, encodeQuestion, readMessage } from "./message.js";
import type { DnsDelivery, DnsServer, DnsTransport } from "./transport.js";

/** Why a question has no answer, in the words of HAProxy's `hold`. */
export type DnsFailureKind = "nx" | "timeout" | "refused" | "other";

/** What became of one question. Only `nx` is an answer: the name, or the record asked for, does not exist. */
export type DnsResult =
  | { readonly kind: "found"; readonly message: DnsMessage; readonly server: DnsServer }
  | {
      readonly kind: DnsFailureKind;
      readonly reason: string;
      /** For `nx`: how long that may be believed. */
      readonly negativeTtlMs: number | undefined;
    };

/** What a client is made of. */
export interface DnsClientOptions {
  readonly transport: DnsTransport;
  /** Read for every question, since the system's servers change. */
  readonly servers: () => readonly DnsServer[];
  /** For one attempt with one server. */
  readonly timeoutMs: number;
  /** Attempts after the first, each with the next server. */
  readonly retries: number;
  /** A number from 0 to 65535 that nobody can foresee (RFC 5452); the machine's own when left out. */
  readonly nextId?: () => number;
}

/**
 * Asks name servers in turn: by UDP with EDNS first, by TCP when the answer was cut or may have been. Begins
 * with the server that answered last.
 */
export class DnsClient {
  readonly #options: DnsClientOptions;
  readonly #nextId: () => number;
  readonly #abort = new AbortController();
  #preferred = 0;
  #queries = 0;

  constructor(options: DnsClientOptions) {
    this.#options = options;
    this.#nextId = options.nextId ?? (() => randomInt(0x1_0000));
  }

  /** Messages sent so far. */
  get queries(): number {
    return this.#queries;
  }

  /** Ends what is under way; later questions fail at once. */
  close(): void {
    this.#abort.abort();
  }

  /** Asks until an answer or the last attempt. Never rejects. */
  async ask(question: DnsQuestion): Promise<DnsResult> {
    const servers = this.#options.servers();
    let result: DnsResult = failure("other", "no name server is known");
    for (let attempt = 0; attempt <= this.#options.retries && !this.#abort.signal.aborted; attempt += 1) {
      const at = (this.#preferred + attempt) % Math.max(1, servers.length);
      const server = servers[at];
      if (server === undefined) break;
      result = await this.#askServer(server, question);
      if (result.kind === "found" || result.kind === "nx") {
        this.#preferred = at;
        break;
      }
    }
    return result;
  }

  async #askServer(server: DnsServer, question: DnsQuestion): Promise<DnsResult> {
    let isEdns = true;
    let delivery = await this.#send(server, "udp", question, isEdns);
    // A server from before EDNS takes the question for broken (RFC 6891 section 7).
    if (delivery.kind === "taken" && isOneOf(rcodeOf(delivery.value), "FORMERR", "NOTIMP")) {
      isEdns = false;
      delivery = await this.#send(server, "udp", question, isEdns);
    }
    if (delivery.kind === "silent") return failure("timeout", `${formatServer(server)}: ${delivery.reason}`);
    const byUdp = delivery.value;
    if (byUdp.kind !== "answer" || !mayBeCut(byUdp)) return judge(byUdp, server);
    const byTcp = await this.#send(server, "tcp", question, isEdns);
    if (byTcp.kind === "taken" && byTcp.value.kind === "answer" && !byTcp.value.message.isTruncated) {
      return judge(byTcp.value, server);
    }
    // Nothing says that it was cut, and a server without TCP has no more to give.
    if (!byUdp.message.isTruncated) return judge(byUdp, server);
    const reason = byTcp.kind === "silent" ? byTcp.reason : "the answer over TCP is not whole";
    return failure("other", `${formatServer(server)}: the answer was cut, and over TCP: ${reason}`);
  }

  #send(
    server: DnsServer,
    way: "udp" | "tcp",
    question: DnsQuestion,
    isEdns: boolean,
  ): Promise<DnsDelivery<Reply>> {
    const id = this.#nextId();
    this.#queries += 1;
    return this.#options.transport.exchange<Reply>(
      server,
      way,
      encodeQuestion(question, id, isEdns),
      this.#options.timeoutMs,
      (bytes) => {
        const reading = readMessage(bytes, question, id);
        return reading.kind === "foreign" ? undefined : { ...reading, bytes: bytes.length };
      },
      this.#abort.signal,
    );
  }
}

type Reply =
  | { readonly kind: "answer"; readonly message: DnsMessage; readonly bytes: number }
  | { readonly kind: "malformed"; readonly reason: string; readonly bytes: number };

/**
 * Whether records may be missing. Consul leaves out what does not fit into a datagram and sets no TC bit
 * unless told to; an answer that fills less than half of what fits cannot be such a one.
 */
function mayBeCut(reply: { readonly message: DnsMessage; readonly bytes: number }): boolean {
  const fits = reply.message.isEdns ? ednsBytes : 512;
  return reply.message.isTruncated || (reply.message.rcode === "NOERROR" && reply.bytes > fits / 2);
}

function judge(reply: Reply, server: DnsServer): DnsResult {
  const at = formatServer(server);
  if (reply.kind === "malformed") return failure("other", `${at}: malformed answer: ${reply.reason}`);
  const { message } = reply;
  switch (message.rcode) {
    case "NOERROR":
      return { kind: "found", message, server };
    case "NXDOMAIN":
      return { kind: "nx", reason: `${at}: NXDOMAIN`, negativeTtlMs: message.negativeTtlMs };
    case "REFUSED":
      return failure("refused", `${at}: REFUSED`);
    default:
      return failure("other", `${at}: ${message.rcode}`);
  }
}

function rcodeOf(reply: Reply): string {
  return reply.kind === "answer" ? reply.message.rcode : "";
}

function isOneOf(text: string, ...words: readonly string[]): boolean {
  return words.includes(text);
}

function failure(kind: DnsFailureKind, reason: string): DnsResult {
  return { kind, reason, negativeTtlMs: undefined };
}

/** `host:port`, brackets around an IPv6 literal. */
export function formatServer(server: DnsServer): string {
  return server.host.includes(":") ? `[${server.host}]:${server.port}` : `${server.host}:${server.port}`;
}
