/** Counts the body bytes of a chunked body (RFC 9112, section 7.1). It trusts its peer: made for a benchmark, not for the net. */
export class ChunkedCounter {
  #state: "size" | "extension" | "data" | "data-end" | "trailer" | "done" = "size";
  #left = 0;
  #lineBytes = 0;
  bodyBytes = 0;

  get done(): boolean {
    return this.#state === "done";
  }

  /** Takes bytes from `start` on and answers where it stopped: `end`, or just behind the body. */
  take(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== "done") {
      at = this.#state === "data" ? this.#takeData(at, end) : this.#takeByte(bytes[at] ?? 0, at);
    }
    return at;
  }

  reset(): void {
    this.#state = "size";
    this.#left = 0;
    this.#lineBytes = 0;
    this.bodyBytes = 0;
  }

  #takeData(at: number, end: number): number {
    const taken = Math.min(this.#left, end - at);
    this.bodyBytes += taken;
    this.#left -= taken;
    if (this.#left === 0) this.#state = "data-end";
    return at + taken;
  }

  #takeByte(byte: number, at: number): number {
    const isLineEnd = byte === 0x0a;
    if (this.#state === "size" || this.#state === "extension") {
      if (isLineEnd) this.#state = this.#left === 0 ? "trailer" : "data";
      else if (this.#state === "size" && byte !== 0x0d) this.#takeDigit(byte);
    } else if (this.#state === "data-end") {
      if (isLineEnd) this.#state = "size";
    } else if (isLineEnd) {
      if (this.#lineBytes === 0) this.#state = "done";
      this.#lineBytes = 0;
    } else if (byte !== 0x0d) {
      this.#lineBytes += 1;
    }
    return at + 1;
  }

  #takeDigit(byte: number): void {
    const digit = Number.parseInt(String.fromCharCode(byte), 16);
    if (Number.isNaN(digit)) this.#state = "extension";
    else this.#left = this.#left * 16 + digit;
  }
}
