import type { Lease } from "../core/lease.js";
import type { Outcome } from "../core/outcome.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Timer } from "../platform/clock.js";
import type { AccessRecord, AccessSink } from "./access-record.js";
import { BackendSearch, type FailedTry, type SearchOwner } from "./backend-search.js";
import type { Connection } from "./connection.js";
import { type Dial, type DialFailure, type DialHandler, dialConnection } from "./dial.js";
import { connectError, isCut, outcomeOf, ProxyError, retryKindOf } from "./errors.js";
import { countExchange } from "./exchange-counts.js";
import { grpcJudgement } from "./grpc-status.js";
import { forwardedLines } from "./headers.js";
import type { Http1Upstream } from "./http1/upstream.js";
import type {
  DownstreamReceiver,
  DownstreamStream,
  FieldList,
  RequestHead,
  ResponseHead,
  SwitchedConnection,
  UpstreamReceiver,
  UpstreamStream,
} from "./message.js";
import type { CutCause, Cuttable } from "./open-work.js";
import { isIdempotent } from "./retry-policy.js";
import type { Destination } from "./router.js";
import { Tries, type TriesContext, type TriesOwner } from "./tries.js";
import { Tunnel, type TunnelOwner } from "./tunnel.js";

/** What all exchanges of a listener share. */
export interface ExchangeContext extends TriesContext {
  readonly accessLog: AccessSink;
}

/**
 * Request path. One HTTP request with all its attempts, from its head to the last byte of its response,
 * whatever protocols carry it. Ends at one settle point: outcome, lease, counters, access line.
 */
export class Exchange
  implements DownstreamReceiver, UpstreamReceiver, SearchOwner, TriesOwner, DialHandler, Cuttable, TunnelOwner
{
  readonly #context: ExchangeContext;
  readonly #destination: Destination;
  readonly #downstream: DownstreamStream;
  readonly #head: RequestHead;
  readonly #record: AccessRecord;
  readonly #startedMs: number;
  readonly #search: BackendSearch;
  readonly #tries: Tries;
  #lease: Lease | undefined;
  #dial: Dial | undefined;
  #connectingSinceMs = 0;
  #upstream: UpstreamStream | undefined;
  #lines: string | undefined;
  #status = 0;
  /** What a gRPC answer amounts to; 0 for any other. */
  #judgedStatus = 0;
  #sentMs = 0;
  #totalTimer: Timer | undefined;
  #tunnel: Tunnel | undefined;
  #isOver = false;

  /** @param startedMs when the first byte of the request came */
  constructor(
    context: ExchangeContext,
    destination: Destination,
    downstream: DownstreamStream,
    head: RequestHead,
    record: AccessRecord,
    startedMs: number,
  ) {
    this.#context = context;
    this.#destination = destination;
    this.#downstream = downstream;
    this.#head = head;
    this.#record = record;
    this.#startedMs = startedMs;
    const { service, retry } = destination;
    record.pool = service.pool.name;
    this.#search = new BackendSearch(service, retry.max, record, this, context.clock);
    this.#tries = new Tries(destination, head, context, this, startedMs);
  }

  get kind(): "request" | "tunnel" {
    return this.#tunnel === undefined ? "request" : "tunnel";
  }

  /** Looks for a backend. May end the exchange at once. */
  start(nowMs: number): void {
    const { requestTotalMs } = this.#destination;
    if (requestTotalMs > 0) {
      const leftMs = Math.max(this.#startedMs + requestTotalMs - nowMs, 0);
      this.#totalTimer = this.#context.clock.after(leftMs, () => this.#totalTimePassed());
    }
    this.#destination.service.affinity?.begin(this.#search, this.#head, this.#downstream.client);
    this.#search.begin(nowMs);
  }

  // ---------------------------------------------------------------- reaching a backend

  onLease(lease: Lease): void {
    const { service } = this.#destination;
    const nowMs = this.#context.clock.nowMs();
    this.#lease = lease;
    service.work.add(lease.backend, this);
    this.#tries.begin();
    const connection = service.connections.take(lease.backend, this.#idleForLessMs(), nowMs);
    if (connection === undefined) this.#open(lease, nowMs);
    else this.#attempt(connection, lease, nowMs);
  }

  onSearchFailed(error: ProxyError): void {
    this.#fail(error);
  }

  /** How recently a connection must have been used to carry this request; see `ReuseConfig`. */
  #idleForLessMs(): number {
    const { reuse } = this.#destination.service;
    if (reuse.mode === "never") return 0;
    const canRepeat = isIdempotent(this.#head.method) && this.#head.body.kind === "none";
    return reuse.mode === "always" || canRepeat ? Number.POSITIVE_INFINITY : reuse.safeForMs;
  }

  #open(lease: Lease, nowMs: number): void {
    const { service } = this.#destination;
    const { host, port } = lease.backend.endpoint;
    service.connections.makeRoom(lease.backend);
    this.#connectingSinceMs = nowMs;
    this.#dial = dialConnection({ host, port }, service.timeouts.connectMs, this.#context.clock, this);
  }

  onConnected(connection: Connection): void {
    this.#dial = undefined;
    const lease = this.#lease;
    if (lease === undefined) {
      connection.reset();
      return;
    }
    lease.backend.row.add(COUNTER.connectionsOpened, lease.writer, 1);
    const nowMs = this.#context.clock.nowMs();
    this.#record.connectMs = Math.max(this.#record.connectMs, 0) + nowMs - this.#connectingSinceMs;
    this.#attempt(this.#destination.service.connections.adopt(connection, lease.backend), lease, nowMs);
  }

  onConnectFailed(failure: DialFailure, cause: Error): void {
    this.#dial = undefined;
    const error =
      failure === "connect-failed" ? connectError(cause) : new ProxyError(failure, "connect", { cause });
    if (!this.#triesAgain(error)) this.#fail(error);
  }

  #attempt(connection: Http1Upstream, lease: Lease, nowMs: number): void {
    this.#lines ??= forwardedLines(this.#head, this.#downstream.client);
    this.#sentMs = nowMs;
    const upstream = connection.begin(this, this.#destination.serverMs);
    this.#upstream = upstream;
    this.#record.isReused = upstream.isReused;
    if (upstream.isReused) {
      this.#record.connectMs = Math.max(this.#record.connectMs, 0);
      lease.backend.row.add(COUNTER.connectionsReused, lease.writer, 1);
    }
    upstream.sendHead(this.#head, this.#lines);
    if (this.#head.body.kind === "none" || this.#tries.resend(upstream)) {
      upstream.flush();
    } else {
      // A client that waits for a 100 gets the backend's, so the head must not wait for the body.
      if (this.#head.expectsContinue || this.#tries.hasBodyBegun) upstream.flush();
      this.#downstream.readBody();
    }
  }

  // ---------------------------------------------------------------- the request's body

  onRequestBody(bytes: Buffer): void {
    this.#tries.body(bytes);
    if (this.#upstream?.sendBody(bytes) === false) this.#downstream.pauseBody();
  }

  onRequestEnd(trailers: FieldList | undefined): void {
    this.#tries.bodyEnd(trailers);
    this.#upstream?.sendEnd(trailers);
  }

  onRequestPause(): void {
    if (this.#upstream?.flush() === false) this.#downstream.pauseBody();
  }

  onUpstreamDrain(): void {
    this.#downstream.readBody();
  }

  // ---------------------------------------------------------------- the response

  onInformational(head: ResponseHead): void {
    this.#downstream.sendInformational(head);
  }

  onResponseHead(head: ResponseHead): void {
    this.#tries.end();
    if (this.#isReplaced(head)) return;
    this.#tries.commit();
    this.#status = head.status;
    this.#judgedStatus = grpcJudgement(head.fields);
    this.#record.responseMs = this.#context.clock.nowMs() - this.#sentMs;
    this.#downstream.sendHead(head);
  }

  onResponseBody(bytes: Buffer): void {
    if (!this.#downstream.sendBody(bytes)) this.#upstream?.pause();
  }

  onResponsePause(): void {
    if (!this.#downstream.flush()) this.#upstream?.pause();
  }

  onDownstreamDrain(): void {
    this.#upstream?.resume();
  }

  onResponseEnd(trailers: FieldList | undefined): void {
    this.#upstream = undefined;
    this.#judgedStatus ||= grpcJudgement(trailers);
    this.#downstream.sendEnd(trailers);
    const status = this.#judgedStatus || this.#status;
    this.#settle(status >= 500 ? "server-error" : "success", undefined);
    this.#downstream.done();
  }

  onSwitched(head: ResponseHead, switched: SwitchedConnection): void {
    const lease = this.#lease;
    this.#upstream = undefined;
    if (lease === undefined) return;
    this.#tries.commit();
    this.#status = 101;
    this.#totalTimer?.cancel();
    this.#record.responseMs = this.#context.clock.nowMs() - this.#sentMs;
    const client = this.#downstream.switchProtocol(head);
    this.#tunnel = new Tunnel({
      client: client.connection,
      upstream: switched.connection,
      lease,
      clock: this.#context.clock,
      idleMs: this.#destination.service.timeouts.tunnelMs,
      owner: this,
    });
    this.#tunnel.start(client.firstBytes, switched.firstBytes);
  }

  onTunnelClosed(tunnel: Tunnel): void {
    this.#settle(isCut(tunnel.error) ? "ignored" : "success", tunnel.error);
    this.#downstream.done();
  }

  // ---------------------------------------------------------------- failure

  onUpstreamFailure(error: ProxyError): void {
    this.#upstream = undefined;
    if (!this.#isRepeated(error) && !this.#triesAgain(error)) this.#fail(error);
  }

  /**
   * A connection that had served before and died before the first byte of the answer was closed by the backend
   * at leisure: that does not count against it, and what may be sent twice, or was not sent, goes out again on
   * a fresh connection to the same backend.
   */
  #isRepeated(error: ProxyError): boolean {
    const lease = this.#lease;
    if (lease === undefined || !error.isReused || !this.#tries.canSendAgain) return false;
    if (retryKindOf(error) !== "empty-response") return false;
    if (error.isSent && !this.#destination.retry.maySendTwice(this.#head)) return false;
    // Until there is a connection again nobody would take the body.
    this.#downstream.pauseBody();
    this.#open(lease, this.#context.clock.nowMs());
    return true;
  }

  /** Another try, elsewhere where there is a choice; the lease is given back. */
  #triesAgain(error: ProxyError): boolean {
    const lease = this.#lease;
    this.#tries.end();
    if (lease === undefined) return false;
    const next = this.#tries.afterFailure(error, lease, this.#search);
    if (next.isAllowed) this.#leave(lease, { outcome: outcomeOf(error), status: 0 }, next.pauseMs);
    return next.isAllowed;
  }

  /** An answer that another try may better is thrown away, with its connection: it may be of any length. */
  #isReplaced(head: ResponseHead): boolean {
    const lease = this.#lease;
    const judgedStatus = grpcJudgement(head.fields);
    const status = judgedStatus || head.status;
    if (status < 400 || lease === undefined) return false;
    const next = this.#tries.afterAnswer(head, lease, this.#search);
    if (!next.isAllowed) return false;
    this.#upstream?.cancel();
    this.#upstream = undefined;
    const outcome = status >= 500 ? "server-error" : "success";
    lease.judgedStatus = judgedStatus;
    this.#leave(lease, { outcome, status: head.status }, next.pauseMs);
    return true;
  }

  #leave(lease: Lease, failed: FailedTry, pauseMs: number | undefined): void {
    if (this.#tries.hasBodyBegun) this.#downstream.pauseBody();
    this.#destination.service.work.remove(lease.backend, this);
    this.#lease = undefined;
    this.#search.tryAgain(lease, failed, pauseMs);
  }

  onTryTooLong(): void {
    if (this.#dial !== undefined) {
      this.#dial.cancel();
      this.onConnectFailed("connect-timeout", new Error("the try took longer than it may"));
      return;
    }
    const isSent = this.#upstream?.isSent === true;
    this.#upstream?.cancel();
    this.#upstream = undefined;
    const error = new ProxyError("upstream-timeout", "response-head", { isSent });
    if (!this.#triesAgain(error)) this.#fail(error);
  }

  onDownstreamFailure(error: ProxyError): void {
    // The client's side does not know that there is no backend yet.
    const isSearching = this.#upstream === undefined && this.#tunnel === undefined;
    const isEarly = error.code === "client-left" && isSearching;
    this.#fail(isEarly ? new ProxyError(error.code, this.#phase(), { cause: error.cause }) : error);
  }

  cut(cause: CutCause = "cut"): void {
    if (this.#tunnel === undefined) this.#fail(new ProxyError(cause, this.#phase()));
    else this.#tunnel.break(new ProxyError(cause, "data"));
  }

  #totalTimePassed(): void {
    this.#fail(new ProxyError("request-total-timeout", this.#phase()));
  }

  #phase(): "queue" | "connect" | "response-head" | "data" {
    if (this.#search.isQueued) return "queue";
    if (this.#upstream === undefined) return "connect";
    return this.#status === 0 ? "response-head" : "data";
  }

  #fail(error: ProxyError): void {
    if (this.#isOver) return;
    this.#upstream?.cancel();
    this.#upstream = undefined;
    this.#downstream.fail(error, this.#destination.service.pool.name);
    // A reused connection's death says nothing about the backend.
    const isStale = error.isReused && error.code === "upstream-reset";
    this.#settle(isStale ? "ignored" : outcomeOf(error), error);
    this.#downstream.done();
  }

  // ---------------------------------------------------------------- the end

  /** The one settle point. */
  #settle(outcome: Outcome, error: ProxyError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { clock, accessLog } = this.#context;
    const { service } = this.#destination;
    const record = this.#record;
    const nowMs = clock.nowMs();
    this.#totalTimer?.cancel();
    this.#tries.close();
    this.#dial?.cancel();
    this.#search.cancel(nowMs);
    if (error !== undefined) record.fail(error);
    record.status = this.#status > 0 ? this.#status : (error?.status ?? 0);
    record.totalMs = nowMs - this.#startedMs;
    record.bytesIn = this.#downstream.bytesIn;
    record.bytesOut = this.#downstream.bytesOut;
    record.poolConnections = service.work.size + service.pool.queue.length;
    record.backendConnections = this.#lease?.backend.inFlight ?? 0;
    this.#release(outcome, nowMs);
    accessLog.write(record);
  }

  #release(outcome: Outcome, nowMs: number): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    this.#lease = undefined;
    this.#destination.service.work.remove(lease.backend, this);
    const record = this.#record;
    countExchange(record, lease, this.#tunnel);
    lease.judgedStatus = this.#judgedStatus;
    lease.latencyMs = record.responseMs;
    lease.release(outcome, this.#status, nowMs);
  }
}
