import { ChunkedText } from "./chunked-text.js";

/** Heads of interim answers count too. The limit of Node's own client, and HAProxy's buffer. */
const HEAD_MAX = 16_384;
/** HAProxy looks at one buffer (16 KiB) of a body; what lies beyond is not searched here either. */
const BODY_MAX = 65_536;

const PREFIX = "HTTP/1.";
const START = /^HTTP\/1\.[01] [1-9][0-9]{2}/;
const START_LENGTH = "HTTP/1.1 200".length;
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+:[\t\x20-\x7e\x80-\xff]*$/;
const FRAMING = /^(content-length|transfer-encoding):(.*)$/i;
const LENGTH = /^[\t ]*([0-9]{1,15})[\t ]*$/;
const CHUNKED = /(?:^|[\t ,])chunked[\t ]*$/i;
const BARE_FEED = /(?:^|[^\r])\n/;
const SWITCHING = 101;

/**
 * The answer to one check, read as it comes (RFC 9112): the head strictly, the body up to 64 KiB. Text is latin1, a
 * character a byte. Interim answers are passed over, but for 101, which is the last word of HTTP on its connection.
 */
export class HttpAnswer {
  /** `body`: the status is known and the body still comes. `broken`: `problem` says why it is no answer. */
  state: "head" | "body" | "whole" | "broken" = "head";
  /** 0 until the head is whole and in order. */
  status = 0;
  problem = "";
  readonly #isBodiless: boolean;
  #text = "";
  #interimLength = 0;
  #body = "";
  /** Bytes of the body; undefined where the connection's end is the body's. */
  #length: number | undefined;
  #chunks: ChunkedText | undefined;

  /** @param method of the request: an answer to HEAD has no body */
  constructor(method: string) {
    this.#isBodiless = method === "HEAD";
  }

  /** The body so far. */
  get body(): string {
    return Buffer.from(this.#body, "latin1").toString("utf8");
  }

  take(text: string): void {
    if (this.state === "body") {
      this.#takeBody(text);
      return;
    }
    this.#text += text;
    while (this.state === "head" && this.#takeHead());
  }

  /** The backend closed the connection. */
  end(): void {
    if (this.state === "head") this.#break("the connection was closed before a whole answer");
    if (this.state !== "body") return;
    if (this.#length === undefined && this.#chunks === undefined) this.state = "whole";
    else this.#break("the connection was closed within the body");
  }

  /** Answers whether a head was read. */
  #takeHead(): boolean {
    const text = this.#text;
    const isStart =
      text.length < START_LENGTH ? PREFIX.startsWith(text.slice(0, PREFIX.length)) : START.test(text);
    if (!isStart) return this.#break("no HTTP/1 status line");
    const end = text.indexOf("\r\n\r\n");
    if (this.#interimLength + (end < 0 ? text.length : end) > HEAD_MAX)
      return this.#break(`a head of more than ${HEAD_MAX} bytes`);
    if (end < 0) return BARE_FEED.test(text) && this.#break("a line that ends without CR");
    const [line = "", ...fields] = text.slice(0, end).split("\r\n");
    const status = Number(STATUS_LINE.exec(line)?.[1]);
    if (Number.isNaN(status)) return this.#break("a malformed status line");
    if (!fields.every((field) => FIELD.test(field))) return this.#break("a malformed field");
    this.#text = text.slice(end + 4);
    if (status < 200 && status !== SWITCHING) {
      this.#interimLength += end;
      return this.#text !== "";
    }
    this.#frame(status, fields);
    return true;
  }

  /** How the body ends (RFC 9112 section 6.3), and what of it came with the head. */
  #frame(status: number, fields: readonly string[]): void {
    let coding: string | undefined;
    for (const field of fields) {
      const [, name, value = ""] = FRAMING.exec(field) ?? [];
      if (name === undefined) continue;
      const length = LENGTH.exec(value)?.[1];
      if (name.length === "transfer-encoding".length) {
        coding = value;
      } else if (this.#length === undefined && length !== undefined) {
        this.#length = Number(length);
      } else {
        this.#break("a malformed or second Content-Length");
        return;
      }
    }
    if (coding !== undefined && this.#length !== undefined) {
      this.#break("both Content-Length and Transfer-Encoding");
      return;
    }
    this.status = status;
    if (this.#isBodiless || status === SWITCHING || status === 204 || status === 304) {
      this.state = "whole";
      return;
    }
    if (coding !== undefined && CHUNKED.test(coding)) this.#chunks = new ChunkedText();
    this.state = "body";
    this.#takeBody(this.#text);
  }

  #takeBody(text: string): void {
    const chunks = this.#chunks;
    this.#body += chunks === undefined ? text : chunks.take(text);
    const most = Math.min(this.#length ?? BODY_MAX, BODY_MAX);
    if (this.#body.length >= most) {
      this.#body = this.#body.slice(0, most);
      this.state = "whole";
    } else if (chunks?.state === "whole") this.state = "whole";
    else if (chunks?.state === "broken") this.#break("a malformed chunk");
  }

  #break(problem: string): false {
    this.state = "broken";
    this.problem = problem;
    return false;
  }
}
