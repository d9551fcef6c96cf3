import type { Clock } from "../../platform/clock.js";
import { httpDate } from "../../platform/http-date.js";
import type { Connection } from "../connection.js";
import { type ProxyError, replyBody } from "../errors.js";
import type { FieldList, ResponseHead } from "../message.js";
import type { ClientDeadline } from "./client-deadline.js";
import { MessageWriter } from "./message-writer.js";
import type { Http1RequestHead } from "./request-head.js";
import { informationalHeadText, replyText, responseHeadText, switchingHeadText } from "./writer.js";

/**
 * Request path. The answer to one request after another, a backend's or our own: its framing for the client's version
 * (RFC 9112 section 6), what may follow it (RFC 9110 section 6.5), and whether the connection ends behind it (RFC 9112
 * section 9.3). Writes that answer false ask to hold back.
 */
export class Answer {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #deadline: ClientDeadline;
  readonly #writer: MessageWriter;
  #request: Http1RequestHead | undefined;
  #isBegun = false;
  #isLast = false;
  #isStalled = false;
  /** Fields that its Connection names: its trailers must not carry them either. */
  #connectionNames: readonly string[] = [];

  constructor(connection: Connection, clock: Clock, deadline: ClientDeadline) {
    this.#connection = connection;
    this.#clock = clock;
    this.#deadline = deadline;
    this.#writer = new MessageWriter(connection);
  }

  /** @param request undefined for what is no request, and so the last of its connection */
  begin(request: Http1RequestHead | undefined): void {
    this.#request = request;
    this.#isBegun = false;
    // Bytes sent behind a CONNECT that fails were meant for its tunnel: they are no next request.
    this.#isLast = request === undefined || !request.keepsAlive || request.isConnect;
  }

  /** Whether the head of a final answer was given. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** Whether the connection ends behind it. */
  get isLast(): boolean {
    return this.#isLast;
  }

  /** Whether the client has yet to take what was written. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** The client took what was written. */
  taken(): void {
    this.#isStalled = false;
  }

  /** No further request is answered on this connection. */
  makeLast(): void {
    this.#isLast = true;
  }

  // ---------------------------------------------------------------- a backend's

  /** A 1xx, which HTTP/1.0 does not know (RFC 9110 section 15.2). */
  informational(head: ResponseHead): void {
    if (this.#request?.version !== "HTTP/1.0") this.#connection.writeText(informationalHeadText(head));
  }

  head(head: ResponseHead): void {
    const request = this.#request;
    if (request === undefined) return;
    const isOld = request.version === "HTTP/1.0";
    const isUnsized = head.body.kind === "chunked" || head.body.kind === "until-close";
    this.#isBegun = true;
    this.#connectionNames = head.connectionNames;
    const isChunked = isUnsized && !isOld;
    if (isUnsized && isOld) this.#isLast = true;
    const connection = this.#isLast ? "close" : isOld ? "keep-alive" : undefined;
    this.#writer.begin(responseHeadText(head, { isChunked, connection, date: this.#date() }), isChunked);
  }

  body(bytes: Buffer): boolean {
    return this.#wrote(this.#writer.body(bytes));
  }

  /** It is whole. */
  end(trailers: FieldList | undefined): void {
    this.#writer.end(this.#request?.takesTrailers ? trailers : undefined, this.#connectionNames);
    this.flush();
  }

  flush(): boolean {
    return this.#wrote(this.#writer.flush());
  }

  /** Cut, never ended: the client must be able to tell that there was more (RFC 9112 section 8). */
  cut(): void {
    this.#writer.flush();
    this.#connection.flush();
    this.#isLast = true;
    if (this.#writer.isChunked || this.#request?.version !== "HTTP/1.0") this.#connection.destroy();
    else this.#connection.reset();
  }

  /** What follows on the connection is not HTTP: 101 (RFC 9110 section 7.8), or 2xx to CONNECT (section 9.3.6). */
  switched(head: ResponseHead): void {
    this.#connection.writeText(switchingHeadText(head, this.#request?.upgrade));
  }

  // ---------------------------------------------------------------- our own

  /** A refusal or failure that nobody will hear of. */
  withhold(): void {
    this.#isBegun = true;
    this.#isLast = true;
  }

  error(error: ProxyError, pool: string | undefined): void {
    this.#own(error.status, replyBody(error, pool), error.retryAfterMs);
  }

  /** 200 without content. */
  okay(): void {
    this.#own(200, "", 0);
  }

  #own(status: number, body: string, retryAfterMs: number): void {
    this.#isBegun = true;
    const withBody = this.#request?.method !== "HEAD";
    const ending = { close: this.#isLast, withBody, date: this.#date(), retryAfterMs };
    this.#wrote(this.#connection.writeText(replyText(status, body, ending)));
  }

  #wrote(hasRoom: boolean): boolean {
    if (hasRoom) return true;
    this.#isStalled = true;
    this.#deadline.awaitClient();
    return false;
  }

  #date(): string {
    return httpDate(this.#clock.wallMs());
  }
}
