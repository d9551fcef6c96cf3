import type { FieldList, UpstreamStream } from "./message.js";

/**
 * Request path. What came of a request's body so far, for a further try: up to a limit, beyond which there is none.
 * Made only for requests that may be sent twice.
 */
export class ReplayBody {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isComplete = false;
  #isLost = false;
  #trailers: FieldList | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether everything that came is still here. */
  get isWhole(): boolean {
    return !this.#isLost;
  }

  /** Whether that is the whole body. */
  get isComplete(): boolean {
    return this.#isComplete && !this.#isLost;
  }

  /** The bytes are copied: they lie in a buffer that serves others next. */
  keep(bytes: Buffer): void {
    if (this.#isLost) return;
    this.#bytes += bytes.length;
    if (this.#bytes > this.#maxBytes) {
      this.#isLost = true;
      this.#chunks = [];
    } else {
      this.#chunks.push(Buffer.from(bytes));
    }
  }

  /** The client has sent everything. */
  end(trailers: FieldList | undefined): void {
    this.#isComplete = true;
    this.#trailers = trailers;
  }

  /** Sends what is there; answers whether that was all of the body. */
  sendTo(upstream: UpstreamStream): boolean {
    for (const chunk of this.#chunks) upstream.sendBody(chunk);
    if (this.#isComplete) upstream.sendEnd(this.#trailers);
    return this.#isComplete;
  }
}
