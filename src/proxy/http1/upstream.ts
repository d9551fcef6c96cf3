import type { Backend } from "../../core/backend.js";
import type { Clock } from "../../platform/clock.js";
import type { Connection, ConnectionHandler } from "../connection.js";
import { Deadline } from "../deadline.js";
import { ProxyError, type ProxyErrorCode } from "../errors.js";
import type { FieldList, RequestHead, UpstreamReceiver, UpstreamStream } from "../message.js";
import { BodyDecoder, type BodySink } from "./body-decoder.js";
import { FAULT, type HeadFault, isFault } from "./head-fault.js";
import { MessageWriter } from "./message-writer.js";
import { RawFields } from "./raw-fields.js";
import { type Http1ResponseHead, parseResponseHead } from "./response-head.js";
import { hasBareLf } from "./syntax.js";
import { requestHeadText } from "./writer.js";

/** Most bytes and fields of a response head. Backends may be more verbose than clients. */
const HEAD_BYTES_MAX = 64 * 1024;
const HEAD_FIELDS_MAX = 256;
/** Most 1xx answers before the final one. */
const INFORMATIONAL_MAX = 16;

/** Who keeps the idle connections. */
export interface UpstreamKeeper {
  /** It has served an exchange and can serve another. */
  keep(connection: Http1Upstream): void;
  /** The backend closed it while it waited for an exchange, or as it began one. Said before `forget`. */
  closedAtRest(connection: Http1Upstream): void;
  /** For so long after a request was sent the close of its connection may have been on its way before. */
  crossingMs(connection: Http1Upstream): number;
  /** It is gone. */
  forget(connection: Http1Upstream): void;
}

type State = "idle" | "head" | "body" | "over";

/**
 * Request path. One keep-alive connection to a backend, serving one exchange after another. The backend's bytes
 * are checked as strictly as a client's: what is not exactly framed ends the exchange with 502 and the
 * connection with it.
 */
export class Http1Upstream implements ConnectionHandler, UpstreamStream, BodySink {
  readonly backend: Backend;
  /** When it last became idle. */
  idleSinceMs = 0;
  readonly #connection: Connection;
  readonly #keeper: UpstreamKeeper;
  readonly #clock: Clock;
  readonly #deadline: Deadline;
  readonly #fields = new RawFields();
  readonly #decoder = new BodyDecoder();
  readonly #writer: MessageWriter;
  #state: State = "idle";
  #receiver: UpstreamReceiver | undefined;
  #request: RequestHead | undefined;
  #serverMs = 0;
  #head: Http1ResponseHead | undefined;
  #partial: Buffer | undefined;
  #informational = 0;
  #exchanges = 0;
  /** When the first byte of the request left; below 0 before. */
  #sentMs = -1;
  #isRequestWhole = false;
  /** Whether the backend has yet to say that it takes the request (RFC 9110 section 10.1.1). */
  #isAsking = false;
  #isPaused = false;
  /** Set when the backend agreed to switch protocols. */
  #hasSwitched = false;

  constructor(connection: Connection, backend: Backend, keeper: UpstreamKeeper, clock: Clock) {
    this.#connection = connection;
    this.backend = backend;
    this.#keeper = keeper;
    this.#clock = clock;
    this.#deadline = new Deadline(clock, () => this.#silent());
    this.#writer = new MessageWriter(connection);
    connection.handler = this;
    connection.resume();
  }

  // ---------------------------------------------------------------- life

  /** Begins an exchange; the backend may be silent for `serverMs` at a time. */
  begin(receiver: UpstreamReceiver, serverMs: number): UpstreamStream {
    this.#receiver = receiver;
    this.#serverMs = serverMs;
    this.#state = "head";
    this.#exchanges++;
    this.#informational = 0;
    this.#isRequestWhole = false;
    this.#sentMs = -1;
    this.#deadline.clear();
    return this;
  }

  /** Waits for the next exchange, for `idleMs` at most. */
  idle(idleMs: number, nowMs: number): void {
    this.idleSinceMs = nowMs;
    this.#deadline.set(idleMs, nowMs);
  }

  close(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#deadline.cancel();
    this.#keeper.forget(this);
    this.#connection.destroy();
  }

  #closeAtRest(): void {
    this.#keeper.closedAtRest(this);
    this.close();
  }

  get isReused(): boolean {
    return this.#exchanges > 1;
  }

  get isSent(): boolean {
    return this.#writer.hasWritten && !this.#isAsking;
  }

  // ---------------------------------------------------------------- the request

  sendHead(head: RequestHead, lines: string, asksFirst = false): void {
    this.#request = head;
    this.#isAsking = asksFirst;
    this.#isRequestWhole = head.body.kind === "none";
    this.#writer.begin(requestHeadText(head, lines, asksFirst), head.body.kind === "chunked");
    this.#touch();
  }

  sendBody(bytes: Buffer): boolean {
    this.#isAsking = false;
    return this.#wrote(this.#writer.body(bytes));
  }

  sendEnd(trailers: FieldList | undefined): void {
    this.#isAsking = false;
    this.#writer.end(trailers, this.#request?.connectionNames ?? []);
    this.#isRequestWhole = true;
    this.#touch();
  }

  flush(): boolean {
    return this.#wrote(this.#writer.flush());
  }

  /** After a write it may be the backend that is waited for. */
  #wrote(hasRoom: boolean): boolean {
    if (this.#sentMs < 0 && !this.#writer.isHolding) this.#sentMs = this.#clock.nowMs();
    this.#touch();
    return hasRoom;
  }

  pause(): void {
    this.#isPaused = true;
    // A client that reads slowly is not the backend's silence.
    this.#deadline.clear();
    this.#connection.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#touch();
    this.#connection.resume();
  }

  cancel(): void {
    this.#receiver = undefined;
    this.close();
  }

  // ---------------------------------------------------------------- the response

  onData(chunk: Buffer): void {
    if (this.#state === "over") return;
    if (this.#state === "idle") {
      // Nobody asked: perhaps a farewell. A connection that is out of step must never serve again.
      this.#closeAtRest();
      return;
    }
    if (this.#state === "head" && !this.#writer.hasWritten) {
      // An answer to nothing, as a backend's farewell to an idle connection: it must not answer this request.
      this.#fail("upstream-reset");
      return;
    }
    this.#touch();
    let at = 0;
    while (at < chunk.length && (this.#state === "head" || this.#state === "body")) {
      at = this.#state === "head" ? this.#readHead(chunk, at) : this.#decoder.decode(chunk, at, this);
      if (this.#state === "body" && this.#decoder.fault !== undefined) this.#invalid(this.#decoder.fault);
      else if (this.#state === "body" && this.#decoder.isDone) break;
    }
    if (this.#hasSwitched) this.#handOver(chunk.subarray(at));
    else if (this.#state === "body" && this.#decoder.isDone) this.#end(at === chunk.length);
    else this.#receiver?.onResponsePause();
  }

  onBody(bytes: Buffer): void {
    this.#receiver?.onResponseBody(bytes);
  }

  onEnd(): void {
    if (this.#state === "idle") {
      this.#closeAtRest();
    } else if (this.#state === "body") {
      this.#decoder.end();
      if (this.#decoder.isDone) this.#end(true);
      else this.#fail("upstream-truncated");
    } else if (this.#state === "head") {
      this.#fail("upstream-reset");
    }
  }

  onDrain(): void {
    this.#touch();
    this.#receiver?.onUpstreamDrain();
  }

  onClose(error: Error | undefined): void {
    if (this.#state === "over") return;
    if (this.#state === "idle") this.#closeAtRest();
    // The end of a connection that broke is no whole body's end.
    else this.#fail(this.#state === "head" ? "upstream-reset" : "upstream-truncated", error);
  }

  /** Reads a head from `chunk`, or keeps its beginning; answers the position behind what was used. */
  #readHead(chunk: Buffer, start: number): number {
    if (this.#partial === undefined) {
      // Nearly always a head is whole in one read (the get-64 row pays for it).
      const head = this.#parse(chunk, start, chunk.length);
      if (head !== undefined && !isFault(head) && head.headBytes <= HEAD_BYTES_MAX) {
        this.#takeHead(head);
        return start + head.headBytes;
      }
    }
    return this.#readPart(chunk, start);
  }

  /** The same for what is no good head yet, or comes in parts. */
  #readPart(chunk: Buffer, start: number): number {
    const before = this.#partial?.length ?? 0;
    const bytes =
      this.#partial === undefined
        ? chunk.subarray(start)
        : Buffer.concat([this.#partial, chunk.subarray(start)]);
    const end = bytes.indexOf("\r\n\r\n", Math.max(before - 3, 0), "latin1");
    if ((end < 0 ? bytes.length : end + 4) > HEAD_BYTES_MAX) {
      this.#fail("upstream-invalid", undefined, "head over the limit");
      return chunk.length;
    }
    if (end < 0) {
      if (hasBareLf(bytes.toString("latin1"))) this.#invalid(FAULT.bareLf);
      this.#partial = this.#partial === undefined ? Buffer.from(bytes) : bytes;
      return chunk.length;
    }
    this.#partial = undefined;
    const head = this.#parse(bytes, 0, end + 4) ?? FAULT.badStatusLine;
    if (isFault(head)) this.#invalid(head);
    else this.#takeHead(head);
    return start + end + 4 - before;
  }

  #parse(bytes: Buffer, start: number, stop: number): Http1ResponseHead | HeadFault | undefined {
    return parseResponseHead(bytes, start, stop, this.#fields, HEAD_FIELDS_MAX, this.#request?.method ?? "");
  }

  #takeHead(head: Http1ResponseHead): void {
    if (head.status === 101) this.#switch(head);
    else if (this.#request?.isConnect === true && head.status >= 200 && head.status < 300) this.#leave(head);
    else if (head.status < 200) this.#inform(head);
    else {
      this.#head = head;
      this.#state = "body";
      this.#decoder.begin(head.body);
      this.#receiver?.onResponseHead(head);
    }
  }

  #inform(head: Http1ResponseHead): void {
    this.#isAsking = false;
    if (++this.#informational > INFORMATIONAL_MAX)
      this.#fail("upstream-invalid", undefined, "too many 1xx answers");
    else this.#receiver?.onInformational(head);
  }

  /** Only the protocol that was asked for, on a request that was sent whole (RFC 9110 section 7.8). */
  #switch(head: Http1ResponseHead): void {
    const wanted = this.#request?.upgrade;
    const given = head.fields.value("upgrade")?.toLowerCase();
    if (wanted === undefined || given !== wanted || !head.isUpgrade) {
      this.#fail("upstream-invalid", undefined, "a switch of protocols nobody asked for");
      return;
    }
    this.#leave(head);
  }

  /** What follows is no HTTP: after such a 101, and after any 2xx to CONNECT (RFC 9110 section 9.3.6). */
  #leave(head: Http1ResponseHead): void {
    this.#head = head;
    this.#hasSwitched = true;
    this.#state = "over";
    this.#deadline.cancel();
    this.#keeper.forget(this);
  }

  /** From here on the connection is the tunnel's; it never serves an exchange again. */
  #handOver(rest: Buffer): void {
    const head = this.#head;
    if (head === undefined) return;
    const firstBytes = rest.length === 0 ? undefined : Buffer.from(rest);
    this.#receiver?.onSwitched(head, { connection: this.#connection, firstBytes });
    this.#receiver = undefined;
  }

  /** The response is whole. */
  #end(isAllUsed: boolean): void {
    const receiver = this.#receiver;
    const trailers = this.#decoder.trailers;
    const isReusable =
      isAllUsed &&
      this.#isRequestWhole &&
      !this.#writer.isHolding &&
      // An answer to a request that the kernel still holds is early: the rest may be taken for the next request.
      this.#connection.pendingBytes + this.#connection.heldBytes === 0 &&
      this.#head?.keepsAlive === true &&
      !this.#connection.closed;
    this.#receiver = undefined;
    this.#request = undefined;
    this.#head = undefined;
    if (isReusable) {
      this.#state = "idle";
      if (this.#isPaused) this.resume();
      this.#keeper.keep(this);
    } else {
      this.close();
    }
    // Last: the exchange's end may begin another on this connection.
    receiver?.onResponseEnd(trailers);
  }

  // ---------------------------------------------------------------- failure

  #touch(): void {
    const isWaiting = this.#isRequestWhole || this.#connection.pendingBytes > 0;
    if (isWaiting && !this.#isPaused) this.#deadline.set(this.#serverMs, this.#clock.nowMs());
    else this.#deadline.clear();
  }

  #silent(): void {
    if (this.#state === "idle") this.close();
    else this.#fail("upstream-timeout");
  }

  /** A close that comes later than this is the backend's answer to the request. */
  #mayHaveCrossed(): boolean {
    return this.#sentMs < 0 || this.#clock.nowMs() - this.#sentMs <= this.#keeper.crossingMs(this);
  }

  #invalid(fault: HeadFault): void {
    this.#fail("upstream-invalid", undefined, fault.detail);
  }

  #fail(code: ProxyErrorCode, cause?: Error, detail?: string): void {
    const receiver = this.#receiver;
    const phase = this.#state === "body" ? "data" : "response-head";
    const isUnanswered = this.#partial === undefined && this.#informational === 0;
    const isStale = this.isReused && isUnanswered && this.#mayHaveCrossed();
    const facts = { isSent: this.isSent, isAnswered: !isUnanswered, isStale };
    this.#receiver = undefined;
    if (isStale && code === "upstream-reset") this.#keeper.closedAtRest(this);
    this.close();
    receiver?.onUpstreamFailure(
      new ProxyError(code, phase, {
        ...facts,
        ...(cause === undefined ? {} : { cause }),
        ...(detail === undefined ? {} : { detail }),
      }),
    );
  }
}
