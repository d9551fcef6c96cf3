import { createSocket } from "node:dgram";
import { createConnection, isIPv6 } from "node:net";
import type { Clock } from "../../../platform/clock.js";

/** A name server: an IP literal and a port. */
export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

/** How one question is carried to one server and its answer back. */
export interface DnsTransport {
  /**
   * Sends the bytes and hands each message that comes from that server, and from no other, to `take` until it
   * answers with something other than undefined. Never waits longer than `timeoutMs`.
   *
   * @returns what `take` made of the answer, or why there is none.
   */
  exchange<T>(
    server: DnsServer,
    way: "udp" | "tcp",
    bytes: Buffer,
    timeoutMs: number,
    take: (message: Buffer) => T | undefined,
    signal: AbortSignal,
  ): Promise<DnsDelivery<T>>;
}

/** The answer, or why none came. */
export type DnsDelivery<T> =
  | { readonly kind: "taken"; readonly value: T }
  | { readonly kind: "silent"; readonly reason: string };

/** Messages that `take` had no use for before the server is given up: somebody floods us with forgeries. */
const foreignMax = 64;
/** A message over TCP has its length in two bytes before it (RFC 1035 section 4.2.2). */
const lengthBytes = 2;

/** Real sockets: a fresh one, and with it a fresh port, for every question (RFC 5452 section 9.2). */
export function createDnsTransport(clock: Clock): DnsTransport {
  return {
    exchange(server, way, bytes, timeoutMs, take, signal) {
      return new Promise((resolve) => {
        const exchange = new Exchange(take, resolve);
        if (signal.aborted) {
          exchange.end({ kind: "silent", reason: "stopped" });
          return;
        }
        const timer = clock.after(timeoutMs, () =>
          exchange.end({ kind: "silent", reason: `no answer within ${timeoutMs} ms` }),
        );
        const onAbort = () => exchange.end({ kind: "silent", reason: "stopped" });
        signal.addEventListener("abort", onAbort, { once: true });
        exchange.onEnd(() => {
          timer.cancel();
          signal.removeEventListener("abort", onAbort);
        });
        if (way === "udp") sendDatagram(server, bytes, exchange);
        else sendStream(server, bytes, exchange);
      });
    },
  };
}

/** One question under way: ends once, whatever happens first. */
class Exchange<T> {
  readonly #take: (message: Buffer) => T | undefined;
  readonly #resolve: (delivery: DnsDelivery<T>) => void;
  readonly #cleanups: (() => void)[] = [];
  #isOver = false;
  #foreign = 0;

  constructor(take: (message: Buffer) => T | undefined, resolve: (delivery: DnsDelivery<T>) => void) {
    this.#take = take;
    this.#resolve = resolve;
  }

  onEnd(cleanup: () => void): void {
    if (this.#isOver) cleanup();
    else this.#cleanups.push(cleanup);
  }

  offer(message: Buffer): void {
    if (this.#isOver) return;
    const value = this.#take(message);
    if (value !== undefined) {
      this.end({ kind: "taken", value });
      return;
    }
    this.#foreign += 1;
    if (this.#foreign > foreignMax) this.end({ kind: "silent", reason: "only foreign messages came" });
  }

  fail(cause: Error): void {
    const code = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
    this.end({ kind: "silent", reason: code });
  }

  end(delivery: DnsDelivery<T>): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const cleanup of this.#cleanups) cleanup();
    this.#resolve(delivery);
  }
}

function sendDatagram<T>(server: DnsServer, bytes: Buffer, exchange: Exchange<T>): void {
  const socket = createSocket(isIPv6(server.host) ? "udp6" : "udp4");
  socket.unref();
  socket.on("error", (cause) => exchange.fail(cause));
  // Connected, so that the kernel drops what other addresses send and reports a port where nobody listens.
  socket.on("message", (message) => exchange.offer(message));
  socket.on("connect", () => socket.send(bytes));
  exchange.onEnd(() => socket.close());
  socket.connect(server.port, server.host);
}

function sendStream<T>(server: DnsServer, bytes: Buffer, exchange: Exchange<T>): void {
  const socket = createConnection({ host: server.host, port: server.port });
  socket.unref();
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt16BE(bytes.length);
  socket.write(Buffer.concat([length, bytes]));
  // Never more than one message of 64 KiB and one read: what stands whole is taken out at once.
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= lengthBytes) {
      const end = lengthBytes + pending.readUInt16BE(0);
      if (pending.length < end) return;
      const message = pending.subarray(lengthBytes, end);
      pending = pending.subarray(end);
      exchange.offer(message);
    }
  });
  socket.on("error", (cause) => exchange.fail(cause));
  socket.on("close", () =>
    exchange.end({ kind: "silent", reason: "the server closed the connection without an answer" }),
  );
  exchange.onEnd(() => socket.destroy());
}
