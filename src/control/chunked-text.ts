/** A size line: more than any sender's extensions take, so that a peer cannot make us gather text without end. */
const LINE_MAX = 256;
const SIZE_LINE = /^([0-9a-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n$/i;

/** Takes the chunked coding (RFC 9112 section 7.1) off a body that comes in pieces. Trailers are not read. */
export class ChunkedText {
  state: "more" | "whole" | "broken" = "more";
  #line = "";
  #left = 0;
  #isWithinChunk = false;

  /** Answers what the piece holds of the body. */
  take(text: string): string {
    let data = "";
    let at = 0;
    while (at < text.length && this.state === "more") {
      if (this.#left > 0) {
        const part = text.slice(at, at + this.#left);
        data += part;
        at += part.length;
        this.#left -= part.length;
        continue;
      }
      const feed = text.indexOf("\n", at);
      const end = feed < 0 ? text.length : feed + 1;
      this.#line += text.slice(at, end);
      at = end;
      if (this.#line.length > LINE_MAX) this.state = "broken";
      else if (feed >= 0) this.#endLine();
    }
    return data;
  }

  #endLine(): void {
    const line = this.#line;
    this.#line = "";
    if (this.#isWithinChunk) {
      this.#isWithinChunk = false;
      if (line !== "\r\n") this.state = "broken";
      return;
    }
    const size = SIZE_LINE.exec(line)?.[1];
    if (size === undefined) {
      this.state = "broken";
      return;
    }
    this.#left = Number.parseInt(size, 16);
    this.#isWithinChunk = true;
    if (this.#left === 0) this.state = "whole";
  }
}
