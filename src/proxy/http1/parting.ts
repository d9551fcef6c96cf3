import type { Connection } from "../connection.js";
import type { ClientDeadline } from "./client-deadline.js";

/** How much a client may still send behind its last response. */
const LINGER_BYTES_MAX = 256 * 1024;

/**
 * Request path. The end of a client connection (RFC 9112 section 9.6): our half is closed, and what the client still
 * sends is thrown away for a while, because a reset would take the last response from it.
 */
export class Parting {
  readonly #connection: Connection;
  readonly #deadline: ClientDeadline;
  #receivedBytes = 0;
  /** What the client had yet to take when it was last looked at. */
  #pendingBytes = 0;

  constructor(connection: Connection, deadline: ClientDeadline) {
    this.#connection = connection;
    this.#deadline = deadline;
  }

  /**
   * The last response was written.
   *
   * @param isSilent nothing more is to come of this client, so there is nothing to wait for once the kernel has the
   * response; HAProxy closes at once as well (the close row pays for it)
   */
  begin(isSilent: boolean, hasClientEnded: boolean): void {
    this.#connection.flush();
    if (isSilent && this.#connection.pendingBytes === 0) {
      this.#connection.destroy();
      return;
    }
    this.#connection.end();
    if (!hasClientEnded) this.#connection.resume();
    this.awaitEnd();
  }

  /** The client sent more. Past the limit it is held back, not reset. */
  ignore(bytes: number): void {
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > LINGER_BYTES_MAX) this.#connection.pause();
  }

  /** As long as the client takes what is queued it has its usual time; then there is only its end to wait for. */
  awaitEnd(): void {
    this.#pendingBytes = this.#connection.pendingBytes;
    if (this.#pendingBytes > 0) this.#deadline.awaitClient();
    else this.#deadline.awaitEnd();
  }

  /** The time is over. */
  tooSlow(): void {
    if (this.#connection.pendingBytes < this.#pendingBytes) this.awaitEnd();
    else this.#connection.destroy();
  }
}
