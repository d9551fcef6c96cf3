import type { Socket } from "node:net";
import type { Clock } from "../platform/clock.js";
import { type Connection, PENDING_BYTES_MAX } from "./connection.js";
import type { Dial, DialHandler, DialTarget } from "./dial.js";
import { DialWait, failureOf } from "./dial-wait.js";
import { DialedSocket } from "./dialed-socket.js";
import { ReadBuffer } from "./read-buffer.js";
import { SocketConnection } from "./socket-connection.js";

/** Request path, where handles are not what we know. A dial by a documented socket. */
export class SocketDial implements Dial {
  readonly #socket: Socket;
  readonly #wait: DialWait;
  readonly #reading = new ReadBuffer();
  #connection: Connection | undefined;

  constructor(target: DialTarget, timeoutMs: number, clock: Clock, handler: DialHandler) {
    this.#socket = new DialedSocket({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      highWaterMark: PENDING_BYTES_MAX,
      onread: { buffer: this.#buffer, callback: this.#read },
    } as ConstructorParameters<typeof Socket>[0]);
    // Read only once it is known who is told.
    this.#socket.pause();
    this.#socket.connect(target);
    this.#socket.once("connect", this.#connected);
    this.#socket.on("error", this.#failed);
    this.#wait = new DialWait(timeoutMs, clock, handler, () => this.#socket.destroy());
  }

  cancel(): void {
    if (this.#wait.end() !== undefined) this.#socket.destroy();
  }

  // By `onread` rather than `data` events, which end with the first failed write.
  readonly #buffer = (): Uint8Array => this.#reading.current;

  readonly #read = (length: number): boolean => {
    if (this.#connection !== undefined) this.#reading.deliver(length, this.#connection.handler);
    return true;
  };

  readonly #connected = (): void => {
    const handler = this.#wait.end();
    if (handler === undefined) return;
    this.#socket.off("error", this.#failed);
    const connection = new SocketConnection(this.#socket);
    this.#connection = connection;
    connection.resume();
    handler.onConnected(connection);
  };

  // Stays where the dial was given up: an error then concerns nobody, but must not go unhandled.
  readonly #failed = (error: NodeJS.ErrnoException): void => {
    this.#wait.end()?.onConnectFailed(failureOf(error), error);
  };
}
