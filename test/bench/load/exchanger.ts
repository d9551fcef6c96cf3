import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Traffic } from "./job.js";
import { requestBytes } from "./request-text.js";
import { ResponseReader } from "./response-reader.js";

/** All sockets read into it: an answer is looked at before the next read, and never kept. */
const sharedBuffer = Buffer.allocUnsafeSlow(256 * 1024);

/** Told how an exchange ended; `error` says what was wrong with it. */
export type ExchangeEnd = (exchanger: Exchanger, error: string | undefined) => void;

/**
 * One client connection that makes one exchange at a time, over raw sockets. Where the scenario closes after each
 * request, or a connection breaks, the next `send` opens a new one.
 */
export class Exchanger {
  /** When the present exchange was begun or was meant to begin, in `performance.now()` milliseconds. For the owner. */
  startedMs = 0;
  readonly #traffic: Traffic;
  readonly #port: number;
  readonly #request: Buffer;
  readonly #onEnd: ExchangeEnd;
  readonly #reader: ResponseReader;
  #socket: Socket | undefined;
  #isBusy = false;
  #hasSurplus = false;
  #left = 0;

  constructor(traffic: Traffic, port: number, request: Buffer, onEnd: ExchangeEnd) {
    this.#traffic = traffic;
    this.#port = port;
    this.#request = request;
    this.#onEnd = onEnd;
    this.#reader = new ResponseReader(traffic.responseBytes);
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** What is wrong with it after the time its last answer had: undefined where that has ended and nothing followed. */
  get fault(): string | undefined {
    if (this.#isBusy) return "an exchange that never ended";
    return this.#hasSurplus ? "bytes that answer nothing" : undefined;
  }

  /** Begins an exchange. The one before must have ended. */
  send(): void {
    this.#isBusy = true;
    this.#left = this.#traffic.responseBytes;
    this.#socket ??= this.#open();
    this.#socket.write(this.#request);
  }

  /** Drops the connection; a running exchange is not reported. */
  close(): void {
    this.#isBusy = false;
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    this.#reader.reset();
    const socket = connect({
      host: "127.0.0.1",
      port: this.#port,
      noDelay: true,
      onread: {
        buffer: sharedBuffer,
        callback: (length, bytes) => {
          this.#onData(bytes as Buffer, length);
          return true;
        },
      },
    });
    socket.on("error", (error) => this.#onClose(socket, error.message));
    socket.on("close", () => this.#onClose(socket, "connection closed before the answer"));
    return socket;
  }

  #onData(bytes: Buffer, length: number): void {
    if (!this.#isBusy) {
      this.#hasSurplus = true;
      return;
    }
    if (this.#traffic.kind === "tcp") {
      this.#left -= length;
      if (this.#left === 0 && this.#traffic.close) this.#socket?.end();
      else if (this.#left === 0) this.#finish(undefined);
      else if (this.#left < 0) this.#finish("more bytes than asked for");
      return;
    }
    const wrong = this.#reader.take(bytes, length);
    if (wrong !== undefined) this.#finish(wrong);
    // A closing exchange ends with the connection, so that it pays for the close as well.
    else if (this.#reader.complete && !this.#traffic.close) this.#finish(undefined);
  }

  #onClose(socket: Socket, reason: string): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    const isWhole = this.#traffic.kind === "http" ? this.#reader.complete : this.#left === 0;
    const isRight = this.#traffic.close && isWhole;
    if (this.#isBusy) this.#finish(isRight ? undefined : reason);
  }

  #finish(error: string | undefined): void {
    this.#isBusy = false;
    if (error !== undefined) this.close();
    this.#onEnd(this, error);
  }
}

/**
 * Lets running exchanges end, `limitMs` at most, then closes all connections: cut off in the middle they would leave
 * work behind that the next measurement pays for. Answers what is wrong, an entry for each connection at fault.
 */
export async function finishAndClose(exchangers: readonly Exchanger[], limitMs: number): Promise<string[]> {
  const deadlineMs = performance.now() + limitMs;
  while (exchangers.some((exchanger) => exchanger.isBusy) && performance.now() < deadlineMs) await sleep(10);
  const faults = exchangers.map(({ fault }) => fault).filter((fault) => fault !== undefined);
  for (const exchanger of exchangers) exchanger.close();
  return faults;
}

/** As many exchangers as asked for, sharing one request. */
export function makeExchangers(
  traffic: Traffic,
  port: number,
  count: number,
  onEnd: ExchangeEnd,
): Exchanger[] {
  const request = requestBytes(traffic, port);
  return Array.from({ length: count }, () => new Exchanger(traffic, port, request, onEnd));
}
