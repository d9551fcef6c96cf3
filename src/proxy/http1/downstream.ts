import type { ListenerLimits, ListenerTimeouts } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import { httpDate } from "../../platform/http-date.js";
import { AccessRecord, type AccessSink } from "../access-record.js";
import type { Connection, ConnectionHandler } from "../connection.js";
import { Deadline } from "../deadline.js";
import { type ErrorPhase, ProxyError, replyBody } from "../errors.js";
import type { ProtocolSession, SessionContext } from "../listener.js";
import type {
  ClientFacts,
  DownstreamReceiver,
  DownstreamStream,
  FieldList,
  RequestHead,
  ResponseHead,
  SwitchedConnection,
} from "../message.js";
import { BodyDecoder, type BodySink } from "./body-decoder.js";
import { ConnectedClient } from "./connected-client.js";
import { FAULT, type HeadFault, isFault } from "./head-fault.js";
import { HeadReader, type HeadReading } from "./head-reader.js";
import { MessageWriter } from "./message-writer.js";
import { RawFields } from "./raw-fields.js";
import { type Http1RequestHead, parseRequestHead } from "./request-head.js";
import { informationalHeadText, replyText, responseHeadText, switchingHeadText } from "./writer.js";

/** What a connection needs of its listener. */
export interface DownstreamOptions {
  /** Name of the listener. */
  readonly listener: string;
  readonly timeouts: ListenerTimeouts;
  readonly limits: ListenerLimits;
  readonly clock: Clock;
  readonly accessLog: AccessSink;
  isTrusted(address: string): boolean;
  /** Begins an exchange; undefined when no route matches. It may be over before this returns. */
  begin(stream: DownstreamStream, head: RequestHead, record: AccessRecord, startedMs: number): ExchangeStart;
}

/** An exchange that waits to be started, or the reason why there is none. */
export type ExchangeStart = (DownstreamReceiver & { start(nowMs: number): void }) | ProxyError;

/** From this many bytes on, a client that sends ahead of its turn is not read any further. */
const READ_AHEAD_BYTES_MAX = 16 * 1024;
/** A connection used this recently may have its next request on the way when its listener closes. */
const RECENT_USE_MS = 1_000;
/** After a final reply: how long and how much a client may still send before it is cut. */
const LINGER_MS = 2_000;
const LINGER_BYTES_MAX = 256 * 1024;

/**
 * - `idle`: between requests, perhaps with a part of a head
 * - `busy`: an exchange is under way
 * - `lingering`: the last response is out; what still comes is thrown away, so that the client can read it
 * - `switched`: a tunnel has the connection
 */
type State = "idle" | "busy" | "lingering" | "switched" | "over";

/**
 * Request path. One client connection: reads one request at a time, answers in order, and enforces the client's
 * timeouts and limits. Strict: what is not exactly a request is refused and the connection closed, since its
 * next bytes mean nothing any more.
 */
export class Http1Downstream implements ConnectionHandler, DownstreamStream, ProtocolSession, BodySink {
  readonly client: ClientFacts;
  readonly #options: DownstreamOptions;
  readonly #connection: Connection;
  readonly #session: SessionContext;
  readonly #record: AccessRecord;
  readonly #deadline: Deadline;
  readonly #fields = new RawFields();
  readonly #decoder = new BodyDecoder();
  readonly #reader: HeadReader;
  readonly #writer: MessageWriter;
  #state: State = "idle";
  #head: Http1RequestHead | undefined;
  #receiver: DownstreamReceiver | undefined;
  /** Bytes that were read and not used; in the shared buffer only while `onData` runs. */
  #rest: Buffer | undefined;
  /** Whether `#rest` came in one read. */
  #isFresh = false;
  #isPumping = false;
  #wantsBody = false;
  /** Whether the exchange was told of the body's end. */
  #isBodyTold = false;
  #isDraining = false;
  /** When the last exchange ended; when the connection came, before the first. */
  #usedMs: number;
  #hasClientEnded = false;
  /** Whether the client has yet to take what was written. */
  #isStalled = false;
  /** When the first byte of the present head came. */
  #startedMs = 0;
  #isAnswered = false;
  /** Fields that the answer's Connection names: its trailers must not carry them either. */
  #answerNames: readonly string[] = [];
  #closesAfter = false;
  #isAbandoned = false;
  #bytesInBefore = 0;
  #bytesOutBefore = 0;
  #lingeredBytes = 0;
  /** What the client had yet to take when it was last looked at. */
  #lingeringPendingBytes = 0;

  constructor(options: DownstreamOptions, connection: Connection, session: SessionContext) {
    const { clock } = options;
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
    this.#record = new AccessRecord("http", options.listener);
    this.#record.clientAddress = connection.remoteAddress;
    this.#record.clientPort = connection.remotePort;
    this.client = new ConnectedClient(connection, options.isTrusted(connection.remoteAddress));
    this.#reader = new HeadReader(options.limits.maxHeadBytes);
    this.#writer = new MessageWriter(connection);
    this.#deadline = new Deadline(clock, () => this.#tooSlow());
    this.#usedMs = clock.nowMs();
    this.#deadline.set(options.timeouts.httpRequestMs, this.#usedMs);
    connection.handler = this;
    connection.resume();
  }

  // ---------------------------------------------------------------- the session

  /**
   * What came or was used just now stays a moment for a request that may be under way, which is answered with
   * `Connection: close`; a client cannot know that a request it sends into a closing connection was not served.
   */
  drain(): void {
    this.#isDraining = true;
    if (this.#state !== "idle" || this.#rest !== undefined) return;
    const nowMs = this.#options.clock.nowMs();
    const leftMs = this.#usedMs + RECENT_USE_MS - nowMs;
    if (leftMs > 0) this.#deadline.set(leftMs, nowMs);
    else this.#close();
  }

  destroy(): void {
    if (this.#receiver !== undefined) this.#receiver.cut();
    this.#connection.destroy();
  }

  // ---------------------------------------------------------------- reading

  onData(chunk: Buffer): void {
    if (this.#state === "over") return;
    if (this.#state === "lingering") {
      this.#lingeredBytes += chunk.length;
      // Held back, not reset: a reset would take the response from the client.
      if (this.#lingeredBytes > LINGER_BYTES_MAX) this.#connection.pause();
      return;
    }
    if (this.#state === "idle" && this.#rest === undefined) this.#startedMs = this.#options.clock.nowMs();
    const isBorrowed = this.#rest === undefined;
    this.#isFresh = isBorrowed;
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#pump();
    if (this.#rest === undefined) return;
    // What stays lies in the shared buffer, which the next read of any connection overwrites.
    if (isBorrowed) this.#rest = Buffer.from(this.#rest);
  }

  /** Uses what was read as far as it goes: heads while idle, a body while the exchange takes one. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let isMoving = true;
    while (isMoving && this.#rest !== undefined) {
      // A client that does not take its responses gets no further ones: they would pile up here.
      if (this.#state === "idle") isMoving = !this.#isStalled && this.#readHead(this.#rest);
      else if (this.#state === "busy" && this.#wantsBody) isMoving = this.#readBody(this.#rest);
      else isMoving = false;
    }
    this.#isPumping = false;
    // A pipelined request waits, and its client with it.
    const isWaiting = this.#state === "busy" || (this.#state === "idle" && this.#isStalled);
    if (isWaiting && this.#rest !== undefined) this.#holdBack(this.#rest);
    // The head that was begun will never be whole.
    else if (this.#state === "idle" && this.#hasClientEnded) this.#close();
  }

  /** A little is read ahead: who is not read from at all is not seen to leave. */
  #holdBack(rest: Buffer): void {
    if (rest.length >= READ_AHEAD_BYTES_MAX) this.#connection.pause();
  }

  #keepRest(bytes: Buffer, from: number): void {
    this.#rest = from >= bytes.length ? undefined : from === 0 ? bytes : bytes.subarray(from);
  }

  /** Whether it got any further. */
  #readHead(bytes: Buffer): boolean {
    const { maxHeaders, maxHeadBytes } = this.#options.limits;
    const start = this.#reader.begin(bytes);
    // Nearly always a head is whole in one read. Nothing else is looked for then (the get-64 row pays for it).
    const head = this.#isFresh
      ? parseRequestHead(bytes, start, bytes.length, this.#fields, maxHeaders)
      : undefined;
    if (head === undefined || isFault(head) || head.fields.headBytes > maxHeadBytes)
      return this.#readPart(bytes, start);
    this.#useHead(bytes, start, start + head.fields.headBytes);
    this.#begin(head);
    return true;
  }

  /** The same for what is no good head yet, or comes in parts. */
  #readPart(bytes: Buffer, start: number): boolean {
    const reading: HeadReading = this.#reader.read(bytes, start);
    switch (reading.kind) {
      case "part":
        this.#keepRest(bytes, reading.start);
        if (this.#rest !== undefined) this.#awaitRequest();
        return false;
      case "fault":
        this.#rest = undefined;
        this.#beginRecord(bytes.length, bytes.length);
        this.#refuse(reading.fault, reading.text);
        return false;
      case "whole":
        this.#useHead(bytes, start, reading.end);
        this.#takeHead(bytes, start, reading.end);
        return true;
    }
  }

  #useHead(bytes: Buffer, start: number, end: number): void {
    this.#reader.end();
    this.#keepRest(bytes, end);
    this.#beginRecord(bytes.length - start, end - start);
  }

  #takeHead(bytes: Buffer, start: number, end: number): void {
    const head = parseRequestHead(bytes, start, end, this.#fields, this.#options.limits.maxHeaders);
    if (head !== undefined && !isFault(head)) this.#begin(head);
    else this.#refuse(head ?? FAULT.badRequestLine, bytes.toString("latin1", start, end));
  }

  #beginRecord(bytesAtHand: number, headBytes: number): void {
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    this.#record.begin(clock.wallMs() - (nowMs - this.#startedMs));
    this.#record.requestMs = nowMs - this.#startedMs;
    this.#bytesInBefore = this.#connection.bytesRead - bytesAtHand;
    this.#bytesOutBefore = this.#connection.bytesWritten;
    this.#record.bytesIn = headBytes;
    this.#record.processConnections = this.#session.processConnections;
    this.#record.listenerConnections = this.#session.listenerConnections;
  }

  #begin(head: Http1RequestHead): void {
    const record = this.#record;
    record.method = head.method;
    record.target = head.rawTarget;
    record.version = head.version;
    record.host = head.authority;
    this.#state = "busy";
    this.#head = head;
    this.#decoder.begin(head.body);
    this.#wantsBody = false;
    this.#isBodyTold = false;
    this.#isAnswered = false;
    this.#isAbandoned = false;
    this.#closesAfter = !head.keepsAlive;
    this.#awaitClient();
    if (head.forwardsLeft === 0) {
      this.#answerAsLast(head);
      return;
    }
    const started = this.#options.begin(this, head, record, this.#startedMs);
    if (started instanceof ProxyError) {
      this.#refuseWith(started);
      return;
    }
    this.#receiver = started;
    started.start(this.#options.clock.nowMs());
  }

  /** Whether it got any further. */
  #readBody(bytes: Buffer): boolean {
    const used = this.#decoder.decode(bytes, 0, this);
    // The exchange may have ended, and another begun, while the bytes were passed on.
    if (this.#rest !== bytes) return this.#state === "idle";
    this.#keepRest(bytes, used);
    this.#tellOfBody();
    return true;
  }

  /**
   * Tells the exchange how far the body has come. Its end and a fault are told even when the last bytes made
   * the exchange ask for a pause: nothing more would come that could bring them up.
   */
  #tellOfBody(): void {
    const { fault } = this.#decoder;
    if (fault !== undefined) {
      this.#receiver?.onDownstreamFailure(
        new ProxyError("bad-request", "data", { status: fault.status, detail: fault.detail }),
      );
    } else if (this.#decoder.isDone) {
      if (!this.#wantsBody) this.#connection.resume();
      this.#wantsBody = false;
      this.#isBodyTold = true;
      this.#awaitClient();
      this.#receiver?.onRequestEnd(this.#decoder.trailers);
      this.#receiver?.onRequestPause();
    } else if (this.#hasClientEnded && this.#rest === undefined) {
      this.#clientLeft();
    } else {
      this.#awaitClient();
      this.#receiver?.onRequestPause();
    }
  }

  #hasLeftWithEnd(): boolean {
    return (!this.#decoder.isDone && this.#rest === undefined) || this.#receiver?.endsWithClient === true;
  }

  #clientLeft(): void {
    this.#isAbandoned = true;
    this.#receiver?.onDownstreamFailure(new ProxyError("client-left", "data"));
  }

  onBody(bytes: Buffer): void {
    this.#receiver?.onRequestBody(bytes);
  }

  onEnd(): void {
    this.#hasClientEnded = true;
    // Requests that wait for the last response to be taken are still answered.
    if (this.#state === "idle" && this.#rest !== undefined && this.#isStalled) return;
    if (this.#state === "idle") this.#close();
    else if (this.#state === "lingering") this.#awaitEnd();
    else if (this.#state === "busy" && this.#hasLeftWithEnd()) this.#clientLeft();
    // A client that only said that it will send no more is still answered.
  }

  onDrain(): void {
    this.#isStalled = false;
    if (this.#state === "idle") {
      // A request that waited for this is not slow itself.
      if (this.#rest !== undefined) this.#startedMs = this.#options.clock.nowMs();
      this.#awaitRequest();
      this.#connection.resume();
      this.#pump();
    } else if (this.#state === "busy") {
      this.#awaitClient();
      this.#receiver?.onDownstreamDrain();
    }
  }

  onClose(error: Error | undefined): void {
    const receiver = this.#receiver;
    this.#state = "over";
    this.#deadline.cancel();
    this.#isAbandoned = true;
    const facts = error === undefined ? {} : { cause: error };
    receiver?.onDownstreamFailure(new ProxyError("client-left", this.#phase(), facts));
    this.#session.closed();
  }

  // ---------------------------------------------------------------- for the exchange

  get bytesIn(): number {
    return this.#connection.bytesRead - this.#bytesInBefore - (this.#rest?.length ?? 0);
  }

  get bytesOut(): number {
    return this.#connection.bytesWritten - this.#bytesOutBefore;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  readBody(): void {
    if (this.#isBodyTold || this.#wantsBody) return;
    this.#wantsBody = true;
    // A body of no bytes is at its end before anything was read.
    if (this.#decoder.isDone) {
      this.#tellOfBody();
      return;
    }
    this.#awaitClient();
    this.#connection.resume();
    this.#pump();
  }

  pauseBody(): void {
    if (this.#isBodyTold) return;
    this.#wantsBody = false;
    this.#awaitClient();
    this.#connection.pause();
  }

  sendInformational(head: ResponseHead): void {
    if (this.#head?.version !== "HTTP/1.0") this.#connection.writeText(informationalHeadText(head));
  }

  sendHead(head: ResponseHead): void {
    const request = this.#head;
    if (request === undefined) return;
    const isOld = request.version === "HTTP/1.0";
    const isUnsized = head.body.kind === "chunked" || head.body.kind === "until-close";
    this.#isAnswered = true;
    this.#answerNames = head.connectionNames;
    const isChunked = isUnsized && !isOld;
    // A request that is not whole leaves bytes behind that are no next request.
    if (this.#mustClose() || (isUnsized && isOld) || !this.#decoder.isDone) this.#closesAfter = true;
    const connection = this.#closesAfter ? "close" : isOld ? "keep-alive" : undefined;
    this.#writer.begin(responseHeadText(head, { isChunked, connection, date: this.#date() }), isChunked);
  }

  sendBody(bytes: Buffer): boolean {
    return this.#wrote(this.#writer.body(bytes));
  }

  sendEnd(trailers: FieldList | undefined): void {
    this.#writer.end(this.#head?.takesTrailers ? trailers : undefined, this.#answerNames);
    this.flush();
  }

  flush(): boolean {
    return this.#wrote(this.#writer.flush());
  }

  fail(error: ProxyError, pool: string | undefined): void {
    if (this.#isAnswered) {
      // Cut, never ended: the client must be able to tell that there was more.
      this.flush();
      this.#connection.flush();
      this.#closesAfter = true;
      this.#isAbandoned = true;
      if (this.#writer.isChunked || this.#head?.version !== "HTTP/1.0") this.#connection.destroy();
      else this.#connection.reset();
      return;
    }
    this.#isAnswered = true;
    if (error.status === 0 || this.#connection.closed) {
      this.#closesAfter = true;
      this.#isAbandoned = true;
      return;
    }
    if (this.#mustClose() || !this.#decoder.isDone || error.origin === "downstream") this.#closesAfter = true;
    this.#reply(error, pool);
  }

  switchProtocol(head: ResponseHead): SwitchedConnection {
    this.#state = "switched";
    this.#deadline.cancel();
    this.#connection.writeText(switchingHeadText(head, this.#head?.upgrade ?? ""));
    const firstBytes = this.#rest === undefined ? undefined : Buffer.from(this.#rest);
    this.#rest = undefined;
    return { connection: this.#connection, firstBytes };
  }

  done(): void {
    this.#receiver = undefined;
    if (this.#state === "switched") {
      this.#state = "over";
      this.#session.closed();
      return;
    }
    if (this.#state !== "busy") return;
    if (this.#isAbandoned) this.#connection.destroy();
    else if (this.#closesAfter) this.#close();
    else this.#next();
  }

  // ---------------------------------------------------------------- between exchanges

  #next(): void {
    this.#state = "idle";
    this.#head = undefined;
    this.#usedMs = this.#options.clock.nowMs();
    if (this.#rest === undefined && this.#hasClientEnded) {
      this.#close();
      return;
    }
    if (this.#rest !== undefined) this.#startedMs = this.#usedMs;
    this.#awaitRequest();
    // The response's head was out before the stop began and did not say that it is the last.
    if (this.#isDraining) this.drain();
    this.#connection.resume();
    this.#pump();
  }

  /** The last response is out. What the client still sends is thrown away for a while: a reset would make it lose the response. */
  #close(): void {
    const isSilent = this.#rest === undefined && this.#isLastOfClient;
    this.#state = "lingering";
    this.#rest = undefined;
    this.#connection.flush();
    if (isSilent && this.#connection.pendingBytes === 0) {
      this.#connection.destroy();
      return;
    }
    this.#connection.end();
    if (!this.#hasClientEnded) this.#connection.resume();
    this.#awaitEnd();
  }

  /**
   * A client that asked for the close may send nothing behind its request (RFC 9112 section 9.6), so there is nothing
   * to wait for once the kernel has the response. HAProxy closes at once as well (the close row pays for it).
   */
  get #isLastOfClient(): boolean {
    return this.#head?.keepsAlive === false && this.#decoder.isDone;
  }

  /** As long as the client takes what is queued it has its usual time; then there is only its end to wait for. */
  #awaitEnd(): void {
    const { clock, timeouts } = this.#options;
    this.#lingeringPendingBytes = this.#connection.pendingBytes;
    this.#deadline.set(this.#lingeringPendingBytes > 0 ? timeouts.clientMs : LINGER_MS, clock.nowMs());
  }

  #mustClose(): boolean {
    // Requests that came before the client's end are still answered.
    const isLast = this.#hasClientEnded && this.#rest === undefined;
    return this.#isDraining || isLast || this.#closesAfter;
  }

  // ---------------------------------------------------------------- refusals and timeouts

  /** Something that is no request. */
  #refuse(fault: HeadFault, text: string): void {
    this.#record.method = "";
    this.#record.target = text.slice(0, 256).split("\r\n", 1)[0] ?? "";
    this.#record.version = "";
    this.#record.host = "";
    this.#head = undefined;
    this.#state = "busy";
    this.#isAnswered = false;
    this.#closesAfter = true;
    this.#decoder.begin({ kind: "none" });
    this.#refuseWith(
      new ProxyError("bad-request", "request", { status: fault.status, detail: fault.detail }),
    );
  }

  /**
   * A request that may go over no further proxy (RFC 9110 section 7.6.2). OPTIONS is answered here; a TRACE would
   * show what others put into the request, so it is not.
   */
  #answerAsLast(head: Http1RequestHead): void {
    if (head.method !== "OPTIONS") {
      this.#refuseWith(new ProxyError("bad-request", "request", { status: 501, detail: "no TRACE here" }));
      return;
    }
    if (this.#mustClose() || !this.#decoder.isDone) this.#closesAfter = true;
    this.#isAnswered = true;
    const date = this.#date();
    this.#wrote(
      this.#connection.writeText(replyText(200, "", { close: this.#closesAfter, withBody: true, date })),
    );
    this.#settleAlone(200);
  }

  /** Answers without an exchange. */
  #refuseWith(error: ProxyError): void {
    this.fail(error, undefined);
    this.#record.fail(error);
    this.#settleAlone(error.status);
  }

  #settleAlone(status: number): void {
    const record = this.#record;
    record.status = status;
    record.totalMs = this.#options.clock.nowMs() - this.#startedMs;
    record.bytesIn = this.bytesIn;
    record.bytesOut = this.bytesOut;
    this.#options.accessLog.write(record);
    this.done();
  }

  #reply(error: ProxyError, pool: string | undefined): void {
    const withBody = this.#head?.method !== "HEAD";
    const date = this.#date();
    const text = replyText(error.status, replyBody(error, pool), {
      close: this.#closesAfter,
      withBody,
      date,
      retryAfterMs: error.retryAfterMs,
    });
    this.#wrote(this.#connection.writeText(text));
  }

  #date(): string {
    return httpDate(this.#options.clock.wallMs());
  }

  #wrote(hasRoom: boolean): boolean {
    if (hasRoom) return true;
    this.#isStalled = true;
    this.#awaitClient();
    return false;
  }

  /** While it is the client's turn, it must show a sign of life now and then (`timeout client`). */
  #awaitClient(): void {
    const { clock, timeouts } = this.#options;
    if (this.#wantsBody || this.#isStalled) this.#deadline.set(timeouts.clientMs, clock.nowMs());
    else this.#deadline.clear();
  }

  /** Between two requests: the rest of a head, or that the last response is taken, or the next first byte. */
  #awaitRequest(): void {
    const { clock, timeouts } = this.#options;
    const nowMs = clock.nowMs();
    if (this.#rest === undefined || this.#isStalled) {
      this.#deadline.set(this.#isStalled ? timeouts.clientMs : timeouts.httpKeepAliveMs, nowMs);
    } else if (timeouts.httpRequestMs === 0) {
      this.#deadline.clear();
    } else {
      // Counted from the head's first byte: further bytes do not buy more time.
      this.#deadline.set(Math.max(this.#startedMs + timeouts.httpRequestMs - nowMs, 1), nowMs);
    }
  }

  #tooSlow(): void {
    if (this.#state === "idle") {
      if (this.#rest === undefined || this.#isStalled) this.#connection.destroy();
      else this.#headTimedOut(this.#rest);
    } else if (this.#state === "busy") {
      this.#receiver?.onDownstreamFailure(new ProxyError("client-timeout", this.#phase()));
    } else if (this.#connection.pendingBytes < this.#lingeringPendingBytes) {
      this.#awaitEnd();
    } else {
      this.#connection.destroy();
    }
  }

  #headTimedOut(rest: Buffer): void {
    this.#rest = undefined;
    this.#beginRecord(rest.length, rest.length);
    this.#record.target = rest.toString("latin1", 0, 256).split("\r\n", 1)[0] ?? "";
    this.#state = "busy";
    this.#isAnswered = false;
    this.#isAbandoned = false;
    this.#closesAfter = true;
    this.#decoder.begin({ kind: "none" });
    this.#refuseWith(new ProxyError("client-timeout", "request"));
  }

  #phase(): ErrorPhase {
    if (this.#isAnswered) return "data";
    return this.#decoder.isDone ? "response-head" : "data";
  }
}
