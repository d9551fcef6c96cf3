import { ChunkedCounter } from "../chunked.js";

/**
 * Reads one response after the other and tells whether each has status 200 and a body of the expected length.
 * The bytes of a proxy's answers hardly change, so one that arrives whole and has the shape of the last one is
 * checked at a few places only: the load generator must cost less than what it measures.
 */
export class ResponseReader {
  readonly #expectedBytes: number;
  readonly #chunked = new ChunkedCounter();
  #head = "";
  #phase: "head" | "length" | "chunked" = "head";
  #left = 0;
  #shapeBytes = -1;
  #shapeHeadBytes = 0;
  #digitsAt = 0;
  #digits = "";

  constructor(expectedBytes: number) {
    this.#expectedBytes = expectedBytes;
  }

  /** Whether the last call ended a response. */
  complete = false;

  /** Forgets a response that was cut short, so that the next bytes begin a new one. */
  reset(): void {
    this.#phase = "head";
    this.#head = "";
    this.complete = false;
  }

  /** Takes the next bytes; answers what is wrong with the response, undefined while nothing is. */
  take(bytes: Buffer, length: number): string | undefined {
    this.complete = false;
    if (this.#phase === "head") {
      if (this.#head === "" && this.#hasKnownShape(bytes, length)) {
        this.complete = true;
        return undefined;
      }
      return this.#takeHead(bytes, length);
    }
    return this.#takeBody(bytes, 0, length);
  }

  #hasKnownShape(bytes: Buffer, length: number): boolean {
    if (length !== this.#shapeBytes) return false;
    if (bytes[9] !== 0x32 || bytes[10] !== 0x30 || bytes[11] !== 0x30) return false;
    if (bytes[this.#shapeHeadBytes - 1] !== 0x0a || bytes[this.#shapeHeadBytes - 3] !== 0x0a) return false;
    for (let index = 0; index < this.#digits.length; index += 1) {
      if (bytes[this.#digitsAt + index] !== this.#digits.charCodeAt(index)) return false;
    }
    return bytes[this.#digitsAt - 2] === 0x3a && bytes[this.#digitsAt + this.#digits.length] === 0x0d;
  }

  #takeHead(bytes: Buffer, length: number): string | undefined {
    const before = this.#head.length;
    this.#head += bytes.toString("latin1", 0, length);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return this.#head.length > 16_384 ? "head of the response does not end" : undefined;
    const head = this.#head.slice(0, end + 4);
    this.#head = "";
    if (!/^HTTP\/1\.1 200 /.test(head)) return `answered ${head.slice(0, head.indexOf("\r\n"))}`;
    const declared = /\r\ncontent-length: (\d+)\r\n/i.exec(head);
    if (declared?.[1] !== undefined) {
      if (Number(declared[1]) !== this.#expectedBytes) return `body of ${declared[1]} bytes`;
      this.#phase = "length";
      this.#left = this.#expectedBytes;
      if (before === 0) this.#rememberShape(head, declared.index + 18, declared[1]);
    } else if (/\r\ntransfer-encoding: chunked\r\n/i.test(head)) {
      this.#phase = "chunked";
      this.#chunked.reset();
    } else {
      return "response without a length";
    }
    return this.#takeBody(bytes, head.length - before, length);
  }

  /** `digitsAt` is the offset of the length's first digit: the match begins with CR LF and 16 characters of name, colon and space. */
  #rememberShape(head: string, digitsAt: number, digits: string): void {
    this.#shapeBytes = head.length + this.#expectedBytes;
    this.#shapeHeadBytes = head.length;
    this.#digitsAt = digitsAt;
    this.#digits = digits;
  }

  #takeBody(bytes: Buffer, start: number, length: number): string | undefined {
    let surplus = 0;
    if (this.#phase === "length") {
      this.#left -= length - start;
      if (this.#left > 0) return undefined;
      surplus = -this.#left;
    } else {
      const end = this.#chunked.take(bytes, start, length);
      if (!this.#chunked.done) return undefined;
      if (this.#chunked.bodyBytes !== this.#expectedBytes) return `body of ${this.#chunked.bodyBytes} bytes`;
      surplus = length - end;
    }
    this.#phase = "head";
    if (surplus > 0) return "bytes behind the response";
    this.complete = true;
    return undefined;
  }
}
