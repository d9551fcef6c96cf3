import type { Socket } from "node:net";
import type { Clock, Timer } from "../platform/clock.js";
import { type Connection, PENDING_BYTES_MAX } from "./connection.js";
import { type ConnectionMode, connectionMode } from "./connection-mode.js";
import { DialedSocket } from "./dialed-socket.js";
import { takeDialed } from "./handle-connection.js";
import { ReadBuffer } from "./read-buffer.js";
import { SocketConnection } from "./socket-connection.js";

/** Where to connect to. */
export type DialTarget = { readonly host: string; readonly port: number } | { readonly path: string };

/** Why no connection came about. */
export type DialFailure = "connect-refused" | "connect-timeout" | "connect-failed";

/** Told once how a dial ended, unless it was cancelled. */
export interface DialHandler {
  /** The connection is open and reading; its handler must be set before this returns. */
  onConnected(connection: Connection): void;
  onConnectFailed(failure: DialFailure, error: Error): void;
}

/** A dial under way. */
export interface Dial {
  /** Gives up; the handler is not told. */
  cancel(): void;
}

/** Request path. Opens a connection, within `timeoutMs`. */
export function dialConnection(
  target: DialTarget,
  timeoutMs: number,
  clock: Clock,
  handler: DialHandler,
  mode: ConnectionMode = connectionMode(),
): Dial {
  return new SocketDial(target, timeoutMs, clock, handler, mode);
}

class SocketDial implements Dial {
  readonly #socket: Socket;
  readonly #timer: Timer;
  #handler: DialHandler | undefined;
  readonly #mode: ConnectionMode;
  readonly #reading = new ReadBuffer();
  #connection: Connection | undefined;

  constructor(
    target: DialTarget,
    timeoutMs: number,
    clock: Clock,
    handler: DialHandler,
    mode: ConnectionMode,
  ) {
    this.#handler = handler;
    this.#mode = mode;
    this.#socket = new DialedSocket({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      highWaterMark: PENDING_BYTES_MAX,
      ...(mode === "socket" && { onread: { buffer: this.#buffer, callback: this.#read } }),
    } as ConstructorParameters<typeof Socket>[0]);
    // Read only once it is known who is told.
    this.#socket.pause();
    this.#socket.connect(target);
    this.#socket.once("connect", this.#connected);
    this.#socket.once("error", this.#failed);
    this.#timer = clock.after(timeoutMs, () => this.#timedOut(timeoutMs));
  }

  cancel(): void {
    this.#settle();
    // The error of a dial that was given up concerns nobody, but must not go unhandled.
    this.#socket.on("error", () => {});
    this.#socket.destroy();
  }

  #settle(): DialHandler | undefined {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#timer.cancel();
    this.#socket.off("connect", this.#connected);
    this.#socket.off("error", this.#failed);
    return handler;
  }

  // By `onread` rather than `data` events, which end with the first failed write.
  readonly #buffer = (): Uint8Array => this.#reading.current;

  readonly #read = (length: number): boolean => {
    if (this.#connection !== undefined) this.#reading.deliver(length, this.#connection.handler);
    return true;
  };

  readonly #connected = (): void => {
    const handler = this.#settle();
    const moved = this.#mode === "handle" ? takeDialed(this.#socket) : undefined;
    const connection = moved ?? new SocketConnection(this.#socket);
    this.#connection = connection;
    connection.resume();
    handler?.onConnected(connection);
  };

  readonly #failed = (error: NodeJS.ErrnoException): void => {
    const handler = this.#settle();
    this.#socket.on("error", () => {});
    handler?.onConnectFailed(error.code === "ECONNREFUSED" ? "connect-refused" : "connect-failed", error);
  };

  #timedOut(timeoutMs: number): void {
    const handler = this.#settle();
    this.#socket.on("error", () => {});
    this.#socket.destroy();
    handler?.onConnectFailed("connect-timeout", new Error(`no connection within ${timeoutMs} ms`));
  }
}
