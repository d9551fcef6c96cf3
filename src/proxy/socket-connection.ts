import type { Server, Socket } from "node:net";
import {
  type Connection,
  type ConnectionHandler,
  NO_HANDLER,
  PENDING_BYTES_MAX,
  plainAddress,
  TEXT_BYTES_MAX,
  viewOf,
} from "./connection.js";

/**
 * Request path. Connections on documented `net.Socket`s, for runtimes whose handles are not what
 * `handle-connection.ts` knows. Accepted ones are read by `data` events, dialed ones see `dial.ts`.
 */
export class SocketConnection implements Connection {
  handler: ConnectionHandler = NO_HANDLER;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #socket: Socket;
  #isHoldingBack = false;
  #error: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    socket.on("data", (chunk: Buffer) => this.handler.onData(chunk));
    socket.pause();
    socket.on("end", () => this.handler.onEnd());
    socket.on("drain", () => this.#drained());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.handler.onClose(this.#error));
  }

  // Asked for seldom, and a system call.
  get localAddress(): string {
    return plainAddress(this.#socket.localAddress);
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  // Nothing is held here: sockets are the careful way, not the cheap one.
  get heldBytes(): number {
    return 0;
  }

  flush(): void {}

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): boolean {
    const view = viewOf(bytes);
    if (view.length <= TEXT_BYTES_MAX) return this.#send(view.latin1Slice(0, view.length));
    return this.#sendBulk("", view, "");
  }

  writeText(text: string, bytes?: Uint8Array, after = ""): boolean {
    if (bytes === undefined || bytes.length === 0) return this.#send(text + after);
    const view = viewOf(bytes);
    const total = text.length + view.length + after.length;
    if (total <= TEXT_BYTES_MAX) return this.#send(text + view.latin1Slice(0, view.length) + after);
    return this.#sendBulk(text, view, after);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    const socket = this.#socket;
    // Only TCP has a reset; Node throws when a unix socket is asked for one. While an end is being sent it would
    // refuse, and never close the socket.
    const isEnding = socket.writableEnded && !socket.writableFinished;
    if (this.remoteAddress === "" || isEnding) socket.destroy();
    else socket.resetAndDestroy();
  }

  #send(text: string): boolean {
    if (this.#isWritable) this.#socket.write(text, "latin1");
    return this.#hasRoom();
  }

  /** The bytes may be part of a larger chunk that its owner reuses, so they are copied. */
  #sendBulk(before: string, bytes: Buffer, after: string): boolean {
    const socket = this.#socket;
    if (!this.#isWritable) return true;
    socket.cork();
    if (before !== "") socket.write(before, "latin1");
    socket.write(Buffer.from(bytes));
    if (after !== "") socket.write(after, "latin1");
    socket.uncork();
    return this.#hasRoom();
  }

  /** A socket whose other end is gone reports that through `close`; writing to it would only add an error. */
  get #isWritable(): boolean {
    return !this.#socket.destroyed && !this.#socket.writableEnded;
  }

  /** The stream's own answer calls a large write that the kernel took at once a full queue. */
  #hasRoom(): boolean {
    if (this.#socket.writableLength < PENDING_BYTES_MAX || !this.#isWritable) return true;
    this.#isHoldingBack = true;
    return false;
  }

  #drained(): void {
    if (!this.#isHoldingBack) return;
    this.#isHoldingBack = false;
    this.handler.onDrain();
  }
}

/**
 * Has a server with `pauseOnConnect` and `allowHalfOpen` hand over its connections, unread.
 *
 * A client that sent, reset and was accepted only then has no address any more, yet what it sent can still be
 * read. It is dropped: nobody waits for an answer, and a client without an address would pass for a local one,
 * which is believed.
 */
export function acceptSockets(server: Server, accepted: (connection: Connection) => void): void {
  server.on("connection", (socket: Socket) => {
    // An accepted socket that breaks while nobody serves it must not end the process.
    const connection = new SocketConnection(socket);
    if (socket.remoteAddress === undefined && socket.localAddress !== undefined) socket.destroy();
    else accepted(connection);
  });
}
