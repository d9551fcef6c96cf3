import { Socket } from "node:net";

/**
 * Request path. An outgoing TCP or unix socket on which a failed write is not the end: what the other side sent
 * before it stopped listening is read first, and the failure is reported behind it.
 *
 * A backend that refuses a large body answers and closes while we still write. The kernel tells the next write
 * of the reset before the answer was read, and Node drops a socket at its first failed write, answer and all.
 */
export class DialedSocket extends Socket {
  #writeError: Error | undefined;
  #hasReadAll = false;

  override destroy(error?: Error): this {
    if (error === undefined || this.#hasReadAll || !isFailedWrite(error)) return super.destroy(error);
    this.#writeError ??= error;
    return this;
  }

  /** Bytes go past this to `onread`; what comes here is the end. After a failed write it is no orderly one. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null) return super.push(chunk, encoding);
    this.#hasReadAll = true;
    if (this.#writeError === undefined) return super.push(null);
    super.destroy(this.#writeError);
    return false;
  }
}

function isFailedWrite(error: NodeJS.ErrnoException): boolean {
  return error.syscall === "write" && (error.code === "ECONNRESET" || error.code === "EPIPE");
}
