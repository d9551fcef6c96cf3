import { type Connection, TEXT_BYTES_MAX, viewOf } from "../connection.js";
import type { FieldList } from "../message.js";
import { CHUNK_END, chunkStart, lastChunk } from "./writer.js";

/**
 * Request path. Writes one message after another to a connection: the head, the small portions of its body and
 * its end go out together, large portions at once. Answers false where the connection asks to hold back.
 */
export class MessageWriter {
  readonly #connection: Connection;
  #held = "";
  #isChunked = false;
  /** What the connection had been given before the present message. */
  #bytesBefore = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Whether the body is sent in chunks. */
  get isChunked(): boolean {
    return this.#isChunked;
  }

  /** Whether something waits for `flush`. */
  get isHolding(): boolean {
    return this.#held !== "";
  }

  /** Whether a byte of the present message may have left. */
  get hasWritten(): boolean {
    return this.#connection.bytesWritten - this.#connection.heldBytes > this.#bytesBefore;
  }

  begin(head: string, isChunked: boolean): void {
    this.#held = head;
    this.#isChunked = isChunked;
    this.#bytesBefore = this.#connection.bytesWritten;
  }

  /** The bytes are valid during the call only. */
  body(bytes: Buffer): boolean {
    const before = this.#isChunked ? this.#held + chunkStart(bytes.length) : this.#held;
    const after = this.#isChunked ? CHUNK_END : "";
    // What fits into one text waits for `flush`, to share a write (the chunked row pays for it).
    if (before.length + bytes.length + after.length <= TEXT_BYTES_MAX) {
      this.#held = before + viewOf(bytes).latin1Slice(0, bytes.length) + after;
      return true;
    }
    this.#held = "";
    return this.#connection.writeText(before, bytes, after);
  }

  /** The end of the body; it goes out with the next `flush`. */
  end(trailers: FieldList | undefined, dropNames: readonly string[]): void {
    if (this.#isChunked) this.#held += lastChunk(trailers, dropNames);
  }

  flush(): boolean {
    if (this.#held === "") return true;
    const text = this.#held;
    this.#held = "";
    return this.#connection.writeText(text);
  }
}
