import type { ListenerLimits, ListenerTimeouts } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
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
import { FAULT, type HeadFault, isFault } from "./head-fault.js";
import { RawFields } from "./raw-fields.js";
import { faultOfPartialHead, type Http1RequestHead, parseRequestHead } from "./request-head.js";
import {
  CHUNK_END,
  chunkStart,
  informationalHeadText,
  lastChunk,
  replyText,
  responseHeadText,
  switchingHeadText,
} from "./writer.js";

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

/** Body portions up to this size wait for `flush`, to share a write. */
const HELD_BYTES_MAX = 4 * 1024;
/** Empty lines before a request that are passed over (RFC 9112 section 2.2). */
const EMPTY_LINE_BYTES_MAX = 4;
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
  #state: State = "idle";
  #head: Http1RequestHead | undefined;
  #receiver: DownstreamReceiver | undefined;
  /** Bytes that were read and not used; in the shared buffer only while `onData` runs. */
  #rest: Buffer | undefined;
  #isPumping = false;
  #wantsBody = false;
  #isDraining = false;
  #hasClientEnded = false;
  /** When the first byte of the present head came. */
  #startedMs = 0;
  #held = "";
  #isChunked = false;
  #isAnswered = false;
  #closesAfter = false;
  #isAbandoned = false;
  #bytesInBefore = 0;
  #bytesOutBefore = 0;
  #lingeredBytes = 0;

  constructor(options: DownstreamOptions, connection: Connection, session: SessionContext) {
    const { clock } = options;
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
    this.#record = new AccessRecord("http", options.listener);
    this.#record.clientAddress = connection.remoteAddress;
    this.#record.clientPort = connection.remotePort;
    this.client = {
      remoteAddress: connection.remoteAddress,
      isTrusted: options.isTrusted(connection.remoteAddress),
      scheme: "http",
      localAuthority: localAuthorityOf(connection),
    };
    this.#deadline = new Deadline(clock, () => this.#tooSlow());
    this.#deadline.set(options.timeouts.httpRequestMs, clock.nowMs());
    connection.handler = this;
    connection.resume();
  }

  // ---------------------------------------------------------------- the session

  drain(): void {
    this.#isDraining = true;
    if (this.#state === "idle" && this.#rest === undefined) this.#close();
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
      if (this.#lingeredBytes > LINGER_BYTES_MAX) this.#connection.destroy();
      return;
    }
    if (this.#state === "idle" && this.#rest === undefined) this.#startedMs = this.#options.clock.nowMs();
    const isBorrowed = this.#rest === undefined;
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#pump();
    if (this.#rest === undefined) return;
    // What stays lies in the shared buffer, which the next read of any connection overwrites.
    if (isBorrowed) this.#rest = Buffer.from(this.#rest);
    // A pipelined request waits, and its client with it.
    if (this.#state === "busy") this.#connection.pause();
  }

  /** Uses what was read as far as it goes: heads while idle, a body while the exchange takes one. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    let isMoving = true;
    while (isMoving && this.#rest !== undefined) {
      if (this.#state === "idle") isMoving = this.#readHead(this.#rest);
      else if (this.#state === "busy" && this.#wantsBody) isMoving = this.#readBody(this.#rest);
      else isMoving = false;
    }
    this.#isPumping = false;
  }

  #keepRest(bytes: Buffer, from: number): void {
    this.#rest = from >= bytes.length ? undefined : from === 0 ? bytes : bytes.subarray(from);
  }

  /** Whether it got any further. */
  #readHead(bytes: Buffer): boolean {
    const start = this.#passEmptyLines(bytes);
    if (start < 0) return false;
    const end = bytes.indexOf("\r\n\r\n", start, "latin1");
    const { maxHeadBytes, maxHeaders } = this.#options.limits;
    if (end < 0 || end + 4 - start > maxHeadBytes) {
      this.#awaitHead(bytes, start);
      return false;
    }
    const text = bytes.toString("latin1", start, end + 4);
    this.#keepRest(bytes, end + 4);
    this.#beginRecord(bytes.length - start, end + 4 - start);
    const head = parseRequestHead(text, this.#fields, maxHeaders);
    if (isFault(head)) this.#refuse(head, text);
    else this.#begin(head);
    return true;
  }

  /** Answers where the head begins; -1 when nothing but empty lines came. */
  #passEmptyLines(bytes: Buffer): number {
    let at = 0;
    while (at < EMPTY_LINE_BYTES_MAX && bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at += 2;
    if (at > 0) this.#keepRest(bytes, at);
    return at === bytes.length ? -1 : at;
  }

  /** The head is not whole: refuses what cannot become one, and waits for the rest otherwise. */
  #awaitHead(bytes: Buffer, start: number): void {
    const { maxHeadBytes } = this.#options.limits;
    const text = bytes.toString("latin1", start, Math.min(bytes.length, start + maxHeadBytes));
    const isTooLong = bytes.length - start >= maxHeadBytes;
    const fault =
      faultOfPartialHead(text) ??
      (isTooLong ? (text.includes("\r\n") ? FAULT.headTooLarge : FAULT.targetTooLong) : undefined);
    if (fault !== undefined) {
      this.#rest = undefined;
      this.#beginRecord(bytes.length, bytes.length);
      this.#refuse(fault, text);
      return;
    }
    const { clock, timeouts } = this.#options;
    const nowMs = clock.nowMs();
    // Counted from the head's first byte: further bytes do not buy more time.
    if (timeouts.httpRequestMs > 0) {
      this.#deadline.set(Math.max(this.#startedMs + timeouts.httpRequestMs - nowMs, 1), nowMs);
    }
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
    this.#isAnswered = false;
    this.#isAbandoned = false;
    this.#closesAfter = !head.keepsAlive;
    this.#deadline.clear();
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
    if (this.#state !== "busy" || !this.#wantsBody) {
      if (this.#rest === bytes) this.#keepRest(bytes, used);
      return this.#state === "idle";
    }
    this.#keepRest(bytes, used);
    const { fault } = this.#decoder;
    if (fault !== undefined) {
      this.#isAbandoned = true;
      this.#receiver?.onDownstreamFailure(
        new ProxyError("bad-request", "data", { status: fault.status, detail: fault.detail }),
      );
    } else if (this.#decoder.isDone) {
      this.#wantsBody = false;
      this.#deadline.clear();
      this.#receiver?.onRequestEnd(this.#decoder.trailers);
      this.#receiver?.onRequestPause();
    } else {
      this.#awaitClient();
      this.#receiver?.onRequestPause();
    }
    return true;
  }

  onBody(bytes: Buffer): void {
    this.#receiver?.onRequestBody(bytes);
  }

  onEnd(): void {
    this.#hasClientEnded = true;
    if (this.#state === "idle" || this.#state === "lingering") {
      this.#connection.destroy();
    } else if (this.#state === "busy" && !this.#decoder.isDone) {
      this.#isAbandoned = true;
      this.#receiver?.onDownstreamFailure(new ProxyError("client-left", "data"));
    }
    // A client that only said that it will send no more is still answered.
  }

  onDrain(): void {
    this.#deadline.clear();
    this.#receiver?.onDownstreamDrain();
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
    if (this.#decoder.isDone || this.#wantsBody) return;
    this.#wantsBody = true;
    this.#awaitClient();
    this.#connection.resume();
    this.#pump();
  }

  pauseBody(): void {
    this.#wantsBody = false;
    this.#deadline.clear();
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
    this.#isChunked = isUnsized && !isOld;
    // A request that is not whole leaves bytes behind that are no next request.
    if (this.#mustClose() || (isUnsized && isOld) || !this.#decoder.isDone) this.#closesAfter = true;
    const connection = this.#closesAfter ? "close" : isOld ? "keep-alive" : undefined;
    this.#held = responseHeadText(head, { isChunked: this.#isChunked, connection });
  }

  sendBody(bytes: Buffer): boolean {
    const before = this.#isChunked ? this.#held + chunkStart(bytes.length) : this.#held;
    const after = this.#isChunked ? CHUNK_END : "";
    if (bytes.length <= HELD_BYTES_MAX && before.length <= HELD_BYTES_MAX) {
      this.#held = before + bytes.toString("latin1") + after;
      return true;
    }
    this.#held = "";
    return this.#wrote(this.#connection.writeText(before, bytes, after));
  }

  sendEnd(trailers: FieldList | undefined): void {
    if (this.#isChunked) this.#held += lastChunk(this.#head?.takesTrailers ? trailers : undefined);
    this.flush();
  }

  flush(): void {
    if (this.#held === "") return;
    const text = this.#held;
    this.#held = "";
    this.#wrote(this.#connection.writeText(text));
  }

  fail(error: ProxyError, pool: string | undefined): void {
    if (this.#isAnswered) {
      // Cut, never ended: the client must be able to tell that there was more.
      this.flush();
      this.#closesAfter = true;
      this.#isAbandoned = true;
      if (this.#isChunked || this.#head?.version !== "HTTP/1.0") this.#connection.destroy();
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
    const { clock, timeouts } = this.#options;
    this.#state = "idle";
    this.#head = undefined;
    const nowMs = clock.nowMs();
    if (this.#rest === undefined) this.#deadline.set(timeouts.httpKeepAliveMs, nowMs);
    else this.#startedMs = nowMs;
    this.#connection.resume();
    this.#pump();
  }

  /** The last response is out. What the client still sends is thrown away for a while: a reset would make it lose the response. */
  #close(): void {
    this.#state = "lingering";
    this.#rest = undefined;
    this.#connection.end();
    if (this.#hasClientEnded) {
      // Both have ended; the socket closes when what is queued is out.
      this.#deadline.set(this.#options.timeouts.clientMs, this.#options.clock.nowMs());
      return;
    }
    this.#connection.resume();
    this.#deadline.set(LINGER_MS, this.#options.clock.nowMs());
  }

  #mustClose(): boolean {
    return this.#isDraining || this.#hasClientEnded || this.#closesAfter;
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

  /** Answers without an exchange. */
  #refuseWith(error: ProxyError): void {
    const record = this.#record;
    this.fail(error, undefined);
    record.fail(error);
    record.status = error.status;
    record.totalMs = this.#options.clock.nowMs() - this.#startedMs;
    record.bytesIn = this.bytesIn;
    record.bytesOut = this.bytesOut;
    this.#options.accessLog.write(record);
    this.done();
  }

  #reply(error: ProxyError, pool: string | undefined): void {
    const withBody = this.#head?.method !== "HEAD";
    const text = replyText(error.status, replyBody(error, pool), { close: this.#closesAfter, withBody });
    this.#wrote(this.#connection.writeText(text));
  }

  #wrote(hasRoom: boolean): boolean {
    if (!hasRoom) this.#awaitClient();
    return hasRoom;
  }

  /** The client must show a sign of life now and then (`timeout client`). */
  #awaitClient(): void {
    const { clock, timeouts } = this.#options;
    this.#deadline.set(timeouts.clientMs, clock.nowMs());
  }

  #tooSlow(): void {
    if (this.#state === "idle") {
      if (this.#rest === undefined) this.#connection.destroy();
      else this.#headTimedOut(this.#rest);
    } else if (this.#state === "busy") {
      this.#receiver?.onDownstreamFailure(new ProxyError("client-timeout", this.#phase()));
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

function localAuthorityOf(connection: Connection): string {
  const { localAddress, localPort } = connection;
  if (localAddress === "") return "localhost";
  return localAddress.includes(":") ? `[${localAddress}]:${localPort}` : `${localAddress}:${localPort}`;
}
