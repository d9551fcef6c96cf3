import type { Socket } from "node:net";
import { ChunkedCounter } from "../chunked.js";
import { chunkedBody } from "../load/request-text.js";

/** Body sizes the scenarios expect. */
export const SMALL_BYTES = 64;
export const CHUNKED_BYTES = 8 * 1024;

const FIELDS = "Server: bench\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nContent-Type: text/plain\r\n";
const SMALL = Buffer.from(
  `HTTP/1.1 200 OK\r\n${FIELDS}Content-Length: ${SMALL_BYTES}\r\n\r\n${"x".repeat(SMALL_BYTES)}`,
  "latin1",
);
const CHUNKED = Buffer.concat([
  Buffer.from(`HTTP/1.1 200 OK\r\n${FIELDS}Transfer-Encoding: chunked\r\n\r\n`, "latin1"),
  chunkedBody(CHUNKED_BYTES, 1024),
]);
const WRONG = Buffer.from(`HTTP/1.1 400 Bad Request\r\n${FIELDS}Content-Length: 0\r\n\r\n`, "latin1");

/**
 * Answers requests on one connection: GET at once with the small body, POST /BYTES when exactly that many body bytes
 * have come (400 otherwise), POST /BYTES/chunked with a chunked body.
 */
export class BenchBackendConnection {
  readonly #socket: Socket;
  readonly #chunked = new ChunkedCounter();
  #head = "";
  #phase: "head" | "length" | "chunked" = "head";
  #left = 0;
  #received = 0;
  #expected = 0;
  #answer = SMALL;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes of the proxy, in any split. */
  take(bytes: Buffer): void {
    // A whole GET in one read is the common case and needs no look inside.
    if (this.#phase === "head" && this.#head === "" && isWholeGet(bytes)) {
      this.#socket.write(SMALL);
      return;
    }
    let at = 0;
    while (at < bytes.length)
      at = this.#phase === "head" ? this.#takeHead(bytes, at) : this.#takeBody(bytes, at);
  }

  #takeHead(bytes: Buffer, start: number): number {
    const before = this.#head.length;
    this.#head += bytes.toString("latin1", start);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end < 0) return bytes.length;
    const head = this.#head.slice(0, end + 4);
    this.#head = "";
    const target = /^POST \/(\d+)(\/chunked)? /.exec(head);
    this.#expected = Number(target?.[1] ?? 0);
    this.#answer = target?.[2] === undefined ? SMALL : CHUNKED;
    this.#received = 0;
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
      this.#phase = "chunked";
      this.#chunked.reset();
    } else if (this.#left > 0) {
      this.#phase = "length";
    } else {
      this.#reply();
    }
    return start + head.length - before;
  }

  #takeBody(bytes: Buffer, start: number): number {
    if (this.#phase === "length") {
      const taken = Math.min(this.#left, bytes.length - start);
      this.#left -= taken;
      this.#received += taken;
      if (this.#left === 0) this.#reply();
      return start + taken;
    }
    const end = this.#chunked.take(bytes, start, bytes.length);
    if (this.#chunked.done) {
      this.#received = this.#chunked.bodyBytes;
      this.#reply();
    }
    return end;
  }

  #reply(): void {
    this.#phase = "head";
    this.#socket.write(this.#received === this.#expected ? this.#answer : WRONG);
  }
}

function isWholeGet(bytes: Buffer): boolean {
  const { length } = bytes;
  return (
    bytes[0] === 0x47 &&
    bytes[length - 1] === 0x0a &&
    bytes[length - 3] === 0x0a &&
    bytes.indexOf("\r\n\r\n", 0, "latin1") === length - 4
  );
}
