import type { Server } from "node:net";
import {
  type Connection,
  type ConnectionHandler,
  NO_HANDLER,
  PENDING_BYTES_MAX,
  plainAddress,
  TEXT_BYTES_MAX,
  viewOf,
} from "./connection.js";
import { ReadBuffer } from "./read-buffer.js";
import {
  type AddressFacts,
  closeHandle,
  type DialingHandle,
  END_OF_STREAM,
  type HandleOwner,
  listeningHandleOf,
  localOf,
  newWriteRequest,
  ownHandle,
  peerOf,
  resetHandle,
  type StreamHandle,
  shutDown,
  wasWriteAsync,
} from "./stream-handle.js";
import { systemError } from "./system-error.js";
import { flushesAtTurnEnd } from "./write-batch.js";

/**
 * Request path. Connections straight on the runtime's stream handles, without a `net.Socket` around each: no
 * stream state, no event emitters, no tick per write, and nothing built for an accept but what is used (the
 * get-64, close and memory rows pay for it).
 *
 * Where the handles are not what we know (`stream-handle.ts`), `socket-connection.ts` serves in its place.
 */

/** For the next write: used again as long as the kernel takes writes whole, so that a write allocates nothing. */
let request = newWriteRequest();

/**
 * Has a server that listens already hand over connections as they are accepted, unread, before Node makes
 * sockets of them. False when the server's handle is not what we know. Node counts none of them, so
 * connection limits and closing are the caller's.
 */
export function takeAccepted(server: Server, accepted: (connection: Connection) => void): boolean {
  const handle = listeningHandleOf(server);
  if (handle === undefined) return false;
  // Accepted sockets inherit these on the systems we know: no calls for each (the close row pays for it).
  handle.setNoDelay?.(true);
  handle.setKeepAlive?.(true, KEEP_ALIVE_S);
  handle.onconnection = (status, client) => {
    if (client === undefined) {
      server.emit("error", systemError(status, "accept"));
      return;
    }
    const peer = peerOf(client);
    const connection = new HandleConnection(client, peer, false);
    // A TCP client that left before it was accepted has none.
    if (peer !== undefined) accepted(connection);
    else connection.destroy();
  };
  return true;
}

/** As long as kernels wait by themselves before they ask a silent peer whether it lives. */
export const KEEP_ALIVE_S = 7_200;

/**
 * A connection over a handle that has just connected to `address`. A backend may refuse a large body:
 * it answers and closes while we still write, and the kernel tells the next write of the reset before the answer
 * was read. So a failed write is not the end of such a connection; what was sent before is read first.
 */
export function dialedConnection(handle: DialingHandle, address: string, port: number): Connection {
  return new HandleConnection(handle, { address, port, family: undefined }, true);
}

class HandleConnection implements Connection, HandleOwner {
  handler: ConnectionHandler = NO_HANDLER;
  readonly remoteAddress: string;
  readonly remotePort: number;
  bytesRead = 0;
  bytesWritten = 0;
  pendingBytes = 0;
  closed = false;
  readonly #handle: StreamHandle;
  readonly #reading = new ReadBuffer();
  readonly #readsOnAfterFailedWrite: boolean;
  /** Text that goes out at the end of the turn. */
  #held = "";
  #isReading = false;
  #isHoldingBack = false;
  #isEnding = false;
  #isShuttingDown = false;
  #isShutDown = false;
  /** Whether the peer's end was read. */
  #hasEnded = false;
  #isResetWanted = false;
  #writeError: Error | undefined;
  #error: Error | undefined;

  constructor(
    handle: StreamHandle,
    peer: Readonly<AddressFacts> | undefined,
    readsOnAfterFailedWrite: boolean,
  ) {
    this.#handle = handle;
    this.#readsOnAfterFailedWrite = readsOnAfterFailedWrite;
    ownHandle(handle, this, this.#reading.current);
    this.remoteAddress = plainAddress(peer?.address);
    this.remotePort = peer?.port ?? 0;
  }

  // Asked for seldom, and a system call.
  get localAddress(): string {
    return plainAddress(localOf(this.#handle).address);
  }

  get localPort(): number {
    return localOf(this.#handle).port ?? 0;
  }

  // ---------------------------------------------------------------- reading

  pause(): void {
    if (!this.#isReading || this.closed) return;
    this.#isReading = false;
    this.#handle.readStop();
  }

  resume(): void {
    if (this.#isReading || this.#hasEnded || this.closed) return;
    this.#isReading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#breakDown(systemError(status, "read"));
  }

  /** For the handle: `length` bytes lie in the buffer, or a negative number says why none do. */
  read(length: number): Uint8Array | undefined {
    if (this.closed || length === 0) return undefined;
    if (length < 0) {
      this.#isReading = false;
      if (length === END_OF_STREAM) this.#peerEnded();
      else this.#breakDown(systemError(length, "read"));
      return undefined;
    }
    this.bytesRead += length;
    const before = this.#reading.current;
    this.#reading.deliver(length, this.handler);
    const { current } = this.#reading;
    return current === before ? undefined : current;
  }

  #peerEnded(): void {
    this.#hasEnded = true;
    if (this.#writeError !== undefined) {
      this.#breakDown(this.#writeError);
      return;
    }
    this.handler.onEnd();
    if (this.#isShutDown) this.destroy();
  }

  // ---------------------------------------------------------------- writing

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

  /** Held until the end of the turn, see `write-batch.ts`. */
  #send(text: string): boolean {
    if (!this.#isWritable || text === "") return true;
    this.bytesWritten += text.length;
    if (this.#held.length + text.length > TEXT_BYTES_MAX) this.flush();
    if (this.#held !== "" || flushesAtTurnEnd(this)) this.#held += text;
    else this.#writeText(text);
    return this.#hasRoom();
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  flush(): void {
    const text = this.#held;
    if (text === "") return;
    this.#held = "";
    this.#writeText(text);
  }

  #writeText(text: string): void {
    if (this.#isWritable && request !== undefined)
      this.#sent(this.#handle.writeLatin1String(request, text), text.length, undefined);
    else this.bytesWritten -= text.length;
  }

  #sendBulk(before: string, bytes: Buffer, after: string): boolean {
    this.flush();
    if (!this.#isWritable || request === undefined) return true;
    const isLendable = ReadBuffer.mayLend(bytes);
    const whole = isLendable ? bytes : Buffer.from(bytes);
    const status =
      before === "" && after === ""
        ? this.#handle.writeBuffer(request, whole)
        : this.#handle.writev(request, [before, "latin1", whole, "buffer", after, "latin1"], false);
    const length = before.length + whole.length + after.length;
    this.bytesWritten += length;
    this.#sent(status, length, whole);
    if (isLendable && this.pendingBytes > 0) ReadBuffer.lend();
    return this.#hasRoom();
  }

  /** After a call that writes. What the kernel did not take, the runtime sends in its time. */
  #sent(status: number, bytes: number, kept: unknown): void {
    if (status !== 0) {
      this.bytesWritten -= bytes;
      this.#writeFailed(systemError(status, "write"));
    } else if (wasWriteAsync() && request !== undefined) {
      request.connection = this;
      request.bytes = bytes;
      request.kept = kept;
      request = newWriteRequest();
      this.pendingBytes += bytes;
    }
  }

  /** For a request: the kernel has taken its bytes, or never will. */
  written(bytes: number, status: number): void {
    this.pendingBytes -= bytes;
    if (this.closed) return;
    if (status !== 0) {
      this.#writeFailed(systemError(status, "write"));
      return;
    }
    if (this.pendingBytes > 0) return;
    if (this.#isEnding) {
      this.#shutDown();
    } else if (this.#isHoldingBack) {
      this.#isHoldingBack = false;
      this.handler.onDrain();
    }
  }

  get #isWritable(): boolean {
    return !this.closed && !this.#isEnding && this.#writeError === undefined;
  }

  #hasRoom(): boolean {
    if (this.pendingBytes < PENDING_BYTES_MAX || !this.#isWritable) return true;
    this.#isHoldingBack = true;
    return false;
  }

  #writeFailed(error: NodeJS.ErrnoException): void {
    const isPeerGone = error.code === "ECONNRESET" || error.code === "EPIPE";
    if (this.#readsOnAfterFailedWrite && isPeerGone && !this.#hasEnded) this.#writeError ??= error;
    else this.#breakDown(error);
  }

  // ---------------------------------------------------------------- the end

  end(): void {
    this.flush();
    if (!this.#isWritable) return;
    this.#isEnding = true;
    // With bytes under way it would not be undone by a reset; see `reset`.
    if (this.pendingBytes === 0) this.#shutDown();
  }

  #shutDown(): void {
    this.#isShuttingDown = true;
    // A peer that is gone is found out by the read.
    if (!shutDown(this.#handle, this)) this.shutDownDone();
  }

  /** For a request: the end was sent. */
  shutDownDone(): void {
    this.#isShuttingDown = false;
    this.#isShutDown = true;
    if (this.#isResetWanted) resetHandle(this.#handle);
    else if (this.#hasEnded) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.#close();
    closeHandle(this.#handle);
  }

  reset(): void {
    if (this.closed) return;
    this.#close();
    // The runtime refuses a reset while an end is being sent, and would never close the handle then.
    if (this.#isShuttingDown) this.#isResetWanted = true;
    else resetHandle(this.#handle);
  }

  #close(): void {
    this.closed = true;
    this.bytesWritten -= this.#held.length;
    this.#held = "";
  }

  #breakDown(error: Error): void {
    this.#error ??= error;
    this.destroy();
  }

  /** For the handle: it is closed. */
  gone(): void {
    this.handler.onClose(this.#error);
  }
}
