import { Socket } from "node:net";
import type { Clock, Timer } from "../platform/clock.js";
import type { Connection, ConnectionHandler } from "./connection.js";
import { DialedSocket } from "./dialed-socket.js";
import { ReadBuffer } from "./read-buffer.js";

/**
 * Request path. Connections over TCP and unix sockets.
 *
 * What was read is gone after the callback (see `read-buffer.ts`), so nothing of it may be left with a socket as
 * it is: up to `textBytesMax` goes out as a latin1 string, of which the runtime keeps a copy of its own when the
 * kernel does not take it at once; more is copied first, unless it comes from a bulk transfer's own buffer.
 */

/** Strings up to this size are encoded on the stack; what the kernel leaves is copied by the runtime. */
const textBytesMax = 16 * 1024;

/** Queued bytes from which on `write` asks to hold back. */
const pendingBytesMax = 64 * 1024;

/** How accepted sockets are read: through the shared buffer, or by plain `data` events. */
export type ReadMode = "shared-buffer" | "data-events";

const NO_HANDLER: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

class SocketConnection implements Connection {
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

  get pendingBytes(): number {
    return this.#socket.writableLength;
  }

  get closed(): boolean {
    return this.#socket.destroyed;
  }

  write(bytes: Uint8Array): boolean {
    const view = viewOf(bytes);
    if (view.length <= textBytesMax) return this.#send(view.latin1Slice(0, view.length));
    return this.#sendBulk("", view, "");
  }

  writeText(text: string, bytes?: Uint8Array, after = ""): boolean {
    if (bytes === undefined || bytes.length === 0) return this.#send(text + after);
    const view = viewOf(bytes);
    const total = text.length + view.length + after.length;
    if (total <= textBytesMax) return this.#send(text + view.latin1Slice(0, view.length) + after);
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
    // Only TCP has a reset; Node throws when a unix socket is asked for one.
    if (this.remoteAddress === "") this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #send(text: string): boolean {
    if (this.#isWritable) this.#socket.write(text, "latin1");
    return this.#hasRoom();
  }

  #sendBulk(before: string, bytes: Buffer, after: string): boolean {
    const socket = this.#socket;
    if (!this.#isWritable) return true;
    const isLendable = ReadBuffer.mayLend(bytes);
    const whole = isLendable ? bytes : Buffer.from(bytes);
    const isFramed = before !== "" || after !== "";
    if (isFramed) socket.cork();
    if (before !== "") socket.write(before, "latin1");
    socket.write(whole);
    if (after !== "") socket.write(after, "latin1");
    if (isFramed) socket.uncork();
    if (isLendable && socket.writableLength > 0) ReadBuffer.lend();
    return this.#hasRoom();
  }

  /** A socket whose other end is gone reports that through `close`; writing to it would only add an error. */
  get #isWritable(): boolean {
    return !this.#socket.destroyed && !this.#socket.writableEnded;
  }

  /** The stream's own answer calls a large write that the kernel took at once a full queue. */
  #hasRoom(): boolean {
    if (this.#socket.writableLength < pendingBytesMax || !this.#isWritable) return true;
    this.#isHoldingBack = true;
    return false;
  }

  #drained(): void {
    if (!this.#isHoldingBack) return;
    this.#isHoldingBack = false;
    this.handler.onDrain();
  }
}

/** Node types hide the latin1 accessors behind `toString` and `write`; both are slower on small slices. */
interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

function viewOf(bytes: Uint8Array): Latin1Buffer {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer as Latin1Buffer;
}

/** An IPv4 client on a dual-stack socket shows as ::ffff:a.b.c.d. */
function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

/**
 * Takes over a socket that a `net.Server` with `pauseOnConnect` and `allowHalfOpen` accepted. It is paused
 * until `resume`.
 *
 * Only outgoing sockets may be given a read buffer by the documented interface, so the accepted handle is moved
 * into a new socket. Where the handle is not what we know, plain `data` events serve instead. The server's own
 * count of connections is void from here on.
 */
export function acceptConnection(socket: Socket, mode: ReadMode = "shared-buffer"): Connection {
  const holder = socket as unknown as { _handle: object | null };
  const handle = holder._handle;
  if (mode === "data-events" || handle === null || typeof handle !== "object") return readByEvents(socket);
  holder._handle = null;
  const reading = new ReadBuffer();
  const own = new Socket({
    handle,
    // Otherwise reading begins at once, before anybody listens.
    pauseOnCreate: true,
    allowHalfOpen: true,
    highWaterMark: pendingBytesMax,
    onread: { buffer: reading.next, callback: reading.deliver },
  } as unknown as ConstructorParameters<typeof Socket>[0]);
  const connection = new SocketConnection(own);
  reading.owner = connection;
  dropIfGone(own);
  return connection;
}

/**
 * A client that sent, reset and was accepted only then has no address any more, yet what it sent can still be
 * read. It is not read: nobody waits for an answer, and a client without an address would pass for a local one,
 * which is believed.
 */
function dropIfGone(socket: Socket): void {
  if (socket.remoteAddress === undefined && socket.localAddress !== undefined) socket.destroy();
}

function readByEvents(socket: Socket): Connection {
  const connection = new SocketConnection(socket);
  socket.on("data", (chunk: Buffer) => connection.handler.onData(chunk));
  socket.pause();
  dropIfGone(socket);
  return connection;
}

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

/** Opens a connection, within `timeoutMs`. */
export function dialConnection(
  target: DialTarget,
  timeoutMs: number,
  clock: Clock,
  handler: DialHandler,
): Dial {
  return new SocketDial(target, timeoutMs, clock, handler);
}

class SocketDial implements Dial {
  readonly #socket: Socket;
  readonly #timer: Timer;
  #handler: DialHandler | undefined;
  readonly #reading = new ReadBuffer();

  constructor(target: DialTarget, timeoutMs: number, clock: Clock, handler: DialHandler) {
    this.#handler = handler;
    this.#socket = new DialedSocket({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      highWaterMark: pendingBytesMax,
      onread: { buffer: this.#reading.next, callback: this.#reading.deliver },
    } as ConstructorParameters<typeof Socket>[0]);
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

  readonly #connected = (): void => {
    const handler = this.#settle();
    const connection = new SocketConnection(this.#socket);
    this.#reading.owner = connection;
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
