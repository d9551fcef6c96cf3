import type { Connection, ConnectionHandler } from "../connection.js";
import { type ErrorPhase, ProxyError } from "../errors.js";
import type { ProtocolSession, SessionContext } from "../listener.js";
import type {
  ClientFacts,
  DownstreamReceiver,
  DownstreamStream,
  FieldList,
  ResponseHead,
  SwitchedConnection,
} from "../message.js";
import { Answer } from "./answer.js";
import { ClientDeadline } from "./client-deadline.js";
import { ConnectedClient } from "./connected-client.js";
import type { DownstreamOptions, ExchangeStart } from "./downstream-options.js";
import { FAULT, isFault, refusalOf } from "./head-fault.js";
import { Parting } from "./parting.js";
import { RequestAccount } from "./request-account.js";
import { RequestBody } from "./request-body.js";
import type { Http1RequestHead } from "./request-head.js";
import { RequestReader } from "./request-reader.js";

/** From this many bytes on, a client that sends ahead of its turn is not read any further. */
const READ_AHEAD_BYTES_MAX = 16 * 1024;
/** A connection used this recently may have its next request on the way when its listener closes. */
const RECENT_USE_MS = 1_000;

/**
 * - `idle`: between requests, perhaps with a part of a head
 * - `busy`: an exchange is under way
 * - `parting`: the last answer is out; what still comes is thrown away, so that the client can read it
 * - `switched`: a tunnel has the connection
 */
type State = "idle" | "busy" | "parting" | "switched" | "over";

/**
 * Request path. The life of one client connection (RFC 9112 section 9): one request at a time, answered in order, and
 * whose turn it is. Strict: what is not exactly a request is refused and the connection closed, since its next bytes
 * mean nothing any more. The rules of each part stand in its file: `RequestReader`, `Answer`, `ClientDeadline`, `Parting`.
 */
export class Http1Downstream implements ConnectionHandler, DownstreamStream, ProtocolSession {
  readonly client: ClientFacts;
  readonly #options: DownstreamOptions;
  readonly #connection: Connection;
  readonly #session: SessionContext;
  readonly #account: RequestAccount;
  readonly #deadline: ClientDeadline;
  readonly #reader: RequestReader;
  readonly #answer: Answer;
  readonly #body: RequestBody;
  readonly #parting: Parting;
  #state: State = "idle";
  /** The request that is served; undefined between two. */
  #head: Http1RequestHead | undefined;
  #receiver: DownstreamReceiver | undefined;
  #isPumping = false;
  #isDraining = false;
  /** When the last exchange ended; when the connection came, before the first. */
  #usedMs: number;
  #hasClientEnded = false;
  /** Whether nobody is there, or may be left in doubt, to read an end in order. */
  #isAbandoned = false;

  constructor(options: DownstreamOptions, connection: Connection, session: SessionContext) {
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
    this.#account = new RequestAccount(options, connection, session);
    this.client = new ConnectedClient(connection, options.isTrusted(connection.remoteAddress));
    this.#reader = new RequestReader(options.limits, options.allowsConnect);
    this.#deadline = new ClientDeadline(options, () => this.#tooSlow());
    this.#answer = new Answer(connection, options.clock, this.#deadline);
    this.#body = new RequestBody(connection, this.#reader, this.#answer, this.#deadline);
    this.#parting = new Parting(connection, this.#deadline);
    this.#usedMs = options.clock.nowMs();
    this.#deadline.awaitFirst(this.#usedMs);
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
    if (this.#state !== "idle" || !this.#reader.isEmpty) return;
    const nowMs = this.#options.clock.nowMs();
    const leftMs = this.#usedMs + RECENT_USE_MS - nowMs;
    if (leftMs > 0) this.#deadline.awaitLate(leftMs, nowMs);
    else this.#close();
  }

  destroy(): void {
    this.#receiver?.cut();
    this.#connection.destroy();
  }

  // ---------------------------------------------------------------- the connection

  onData(chunk: Buffer): void {
    if (this.#state === "over") return;
    if (this.#state === "parting") {
      this.#parting.ignore(chunk.length);
      return;
    }
    if (this.#state === "idle" && this.#reader.isEmpty) this.#account.startedMs = this.#options.clock.nowMs();
    this.#reader.offer(chunk);
    this.#pump();
    this.#reader.retain();
  }

  /** Uses what was read as far as it goes: heads while idle, a body while the exchange takes one. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const reader = this.#reader;
    let isMoving = true;
    while (isMoving && !reader.isEmpty) {
      // A client that does not take its answers gets no further ones: they would pile up here.
      if (this.#state === "idle") isMoving = !this.#answer.isStalled && this.#readHead();
      else if (this.#state === "busy" && this.#body.isWanted) isMoving = this.#readBody();
      else isMoving = false;
    }
    this.#isPumping = false;
    // A pipelined request waits, and its client with it.
    const isWaiting = this.#state === "busy" || (this.#state === "idle" && this.#answer.isStalled);
    if (isWaiting && !reader.isEmpty) {
      // A little is read ahead: who is not read from at all is not seen to leave.
      if (reader.unusedBytes >= READ_AHEAD_BYTES_MAX) this.#connection.pause();
    } else if (this.#state === "idle" && this.#hasClientEnded) {
      // The head that was begun will never be whole.
      this.#close();
    }
  }

  onEnd(): void {
    this.#hasClientEnded = true;
    // Requests that wait for the last answer to be taken are still answered.
    if (this.#state === "idle" && !this.#reader.isEmpty && this.#answer.isStalled) return;
    if (this.#state === "idle") this.#close();
    else if (this.#state === "parting") this.#parting.awaitEnd();
    else if (this.#state === "busy" && (this.#reader.lacksBody || this.#receiver?.endsWithClient === true))
      this.#clientLeft();
    // A client that only said that it will send no more is still answered.
  }

  onDrain(): void {
    this.#answer.taken();
    if (this.#state === "idle") {
      // A request that waited for this is not slow itself.
      if (!this.#reader.isEmpty) this.#account.startedMs = this.#options.clock.nowMs();
      this.#awaitRequest();
      this.#connection.resume();
      this.#pump();
    } else if (this.#state === "busy") {
      this.#body.awaitTurn();
      this.#receiver?.onDownstreamDrain();
    }
  }

  onClose(error: Error | undefined): void {
    this.#state = "over";
    this.#deadline.cancel();
    this.#isAbandoned = true;
    const facts = error === undefined ? {} : { cause: error };
    this.#receiver?.onDownstreamFailure(new ProxyError("client-left", this.#phase(), facts));
    this.#session.closed();
  }

  // ---------------------------------------------------------------- a request begins

  /** Whether it got any further. */
  #readHead(): boolean {
    const head = this.#reader.readHead();
    if (head === undefined) {
      if (!this.#reader.isEmpty) this.#awaitRequest();
      return false;
    }
    if (isFault(head)) this.#refuse(refusalOf(head, "request"));
    else this.#begin(head);
    return true;
  }

  #begin(head: Http1RequestHead): void {
    this.#account.begin(this.#reader.bytesAtHand, this.#reader.headBytes);
    this.#account.asked(head);
    this.#occupy(head);
    this.#body.awaitTurn();
    const { bodyFault } = this.#reader;
    if (bodyFault !== undefined) this.#refuseWith(refusalOf(bodyFault, "request"));
    else if (head.forwardsLeft === 0) this.#answerAsLast(head);
    else this.#serve(this.#options.begin(this, head, this.#account.record, this.#account.startedMs));
  }

  #serve(started: ExchangeStart): void {
    if (started instanceof ProxyError) {
      this.#refuseWith(started);
    } else {
      this.#receiver = this.#body.receiver = started;
      started.start(this.#options.clock.nowMs());
    }
  }

  #occupy(head: Http1RequestHead | undefined): void {
    this.#state = "busy";
    this.#head = head;
    this.#reader.beginBody(head);
    this.#answer.begin(head);
    this.#body.begin();
    this.#isAbandoned = false;
  }

  /** What came is no request, or not in time. */
  #refuse(error: ProxyError): void {
    this.#account.begin(this.#reader.bytesAtHand, this.#reader.headBytes);
    this.#account.askedNothing(this.#reader.faultText);
    this.#occupy(undefined);
    this.#refuseWith(error);
  }

  /**
   * A request that may go over no further proxy (RFC 9110 section 7.6.2). OPTIONS is answered here; a TRACE would
   * show what others put into the request, so it is not.
   */
  #answerAsLast(head: Http1RequestHead): void {
    if (head.method === "OPTIONS") {
      if (this.#isLastAnswer) this.#answer.makeLast();
      this.#answer.okay();
      this.#account.settle(200, this.#reader.unusedBytes);
      this.done();
    } else {
      this.#refuseWith(refusalOf(FAULT.traceHere, "request"));
    }
  }

  /** Answers without an exchange. */
  #refuseWith(error: ProxyError): void {
    this.fail(error, undefined);
    this.#account.record.fail(error);
    this.#account.settle(error.status, this.#reader.unusedBytes);
    this.done();
  }

  // ---------------------------------------------------------------- its body

  readBody(): void {
    if (this.#body.want()) this.#pump();
  }

  pauseBody(): void {
    this.#body.pause();
  }

  /** Whether it got any further. */
  #readBody(): boolean {
    const reader = this.#reader;
    if (!reader.readBody(this.#body)) return this.#state === "idle";
    if (this.#hasClientEnded && reader.lacksBody && reader.bodyFault === undefined) this.#clientLeft();
    else this.#body.tell();
    return true;
  }

  #clientLeft(): void {
    this.#isAbandoned = true;
    this.#receiver?.onDownstreamFailure(new ProxyError("client-left", "data"));
  }

  // ---------------------------------------------------------------- its answer

  get bytesIn(): number {
    return this.#account.bytesIn(this.#reader.unusedBytes);
  }

  get bytesOut(): number {
    return this.#account.bytesOut;
  }

  get isAnswered(): boolean {
    return this.#answer.isBegun;
  }

  sendInformational(head: ResponseHead): void {
    this.#answer.informational(head);
  }

  sendHead(head: ResponseHead): void {
    if (this.#isLastAnswer) this.#answer.makeLast();
    this.#answer.head(head);
  }

  sendBody(bytes: Buffer): boolean {
    return this.#answer.body(bytes);
  }

  sendEnd(trailers: FieldList | undefined): void {
    this.#answer.end(trailers);
  }

  flush(): boolean {
    return this.#answer.flush();
  }

  fail(error: ProxyError, pool: string | undefined): void {
    if (this.#answer.isBegun) {
      this.#isAbandoned = true;
      this.#answer.cut();
    } else if (error.status === 0 || this.#connection.closed) {
      this.#isAbandoned = true;
      this.#answer.withhold();
    } else {
      if (this.#isLastAnswer || error.origin === "downstream") this.#answer.makeLast();
      this.#answer.error(error, pool);
    }
  }

  switchProtocol(head: ResponseHead): SwitchedConnection {
    this.#state = "switched";
    this.#deadline.cancel();
    this.#answer.switched(head);
    return { connection: this.#connection, firstBytes: this.#reader.takeRest() };
  }

  done(): void {
    this.#receiver = this.#body.receiver = undefined;
    if (this.#state === "switched") {
      this.#state = "over";
      this.#session.closed();
      return;
    }
    if (this.#state !== "busy") return;
    if (this.#isAbandoned) this.#connection.destroy();
    else if (this.#answer.isLast) this.#close();
    else this.#next();
  }

  /**
   * Whether no request is read behind the one that is answered. Those that came before the client's end are; one that
   * is not whole leaves bytes behind that are no next request (RFC 9112 section 9.3).
   */
  get #isLastAnswer(): boolean {
    return this.#isDraining || !this.#reader.isBodyDone || (this.#hasClientEnded && this.#reader.isEmpty);
  }

  // ---------------------------------------------------------------- between exchanges

  #next(): void {
    this.#state = "idle";
    this.#head = undefined;
    this.#usedMs = this.#options.clock.nowMs();
    if (this.#reader.isEmpty && this.#hasClientEnded) {
      this.#close();
      return;
    }
    if (!this.#reader.isEmpty) this.#account.startedMs = this.#usedMs;
    this.#awaitRequest();
    // The answer's head was out before the stop began and did not say that it is the last.
    if (this.#isDraining) this.drain();
    this.#connection.resume();
    this.#pump();
  }

  #close(): void {
    // Who asked for the close may send nothing behind its request (RFC 9112 section 9.6).
    const saidLast = this.#head?.keepsAlive === false && this.#reader.isBodyDone;
    const isSilent = saidLast && this.#reader.isEmpty;
    this.#state = "parting";
    this.#reader.drop();
    this.#parting.begin(isSilent, this.#hasClientEnded);
  }

  /** Between two requests: that the last answer is taken, or the next first byte, or the rest of a head. */
  #awaitRequest(): void {
    if (this.#answer.isStalled) this.#deadline.awaitClient();
    else if (this.#reader.isEmpty) this.#deadline.awaitNext();
    else this.#deadline.awaitHead(this.#account.startedMs);
  }

  #tooSlow(): void {
    if (this.#state === "idle" && (this.#reader.isEmpty || this.#answer.isStalled)) {
      this.#connection.destroy();
    } else if (this.#state === "idle") {
      this.#reader.abandonHead();
      this.#refuse(new ProxyError("client-timeout", "request"));
    } else if (this.#state === "busy") {
      this.#receiver?.onDownstreamFailure(new ProxyError("client-timeout", this.#phase()));
    } else {
      this.#parting.tooSlow();
    }
  }

  #phase(): ErrorPhase {
    if (this.#answer.isBegun) return "data";
    return this.#reader.isBodyDone ? "response-head" : "data";
  }
}
