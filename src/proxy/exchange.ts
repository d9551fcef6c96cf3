import type { Lease } from "../core/lease.js";
import type { Outcome } from "../core/outcome.js";
import { COUNTER } from "../core/scoreboard.js";
import type { AccessRecord } from "./access-record.js";
import { answeredHead, type Stick } from "./affinity.js";
import { BackendSearch, type FailedTry, type SearchOwner } from "./backend-search.js";
import type { Connection } from "./connection.js";
import { type Dial, type DialFailure, dialConnection } from "./dial.js";
import { connectError, finalOutcomeOf, isCut, outcomeOf, ProxyError } from "./errors.js";
import type { ExchangeContext } from "./exchange-context.js";
import { closeRecord, countExchange } from "./exchange-counts.js";
import { firstHealthy } from "./fallback.js";
import { grpcJudgement } from "./grpc-status.js";
import { forwardedLines } from "./headers.js";
import type { Hedge, HedgedExchange } from "./hedge.js";
import { type Hedging, hedgingOf } from "./hedging.js";
import type { Http1Upstream } from "./http1/upstream.js";
import type {
  DownstreamReceiver,
  DownstreamStream,
  FieldList,
  RequestHead,
  ResponseHead,
  SwitchedConnection,
  UpstreamStream,
} from "./message.js";
import type { CutCause, Cuttable } from "./open-work.js";
import type { Destination } from "./router.js";
import { prepareSearch } from "./seek.js";
import { Tries, type TriesOwner } from "./tries.js";
import { Tunnel, type TunnelOwner } from "./tunnel.js";
import { farewellOf } from "./websocket.js";

/**
 * Request path. One HTTP request with all its attempts, from its head to the last byte of its response,
 * whatever protocols carry it. Ends at one settle point: outcome, lease, counters, access line.
 */
export class Exchange
  implements DownstreamReceiver, SearchOwner, TriesOwner, HedgedExchange, Cuttable, TunnelOwner
{
  readonly #context: ExchangeContext;
  #destination: Destination;
  readonly #downstream: DownstreamStream;
  readonly #head: RequestHead;
  readonly #record: AccessRecord;
  readonly #startedMs: number;
  readonly #search: BackendSearch;
  readonly #tries: Tries;
  #hedging: Hedging | undefined;
  #lease: Lease | undefined;
  #dial: Dial | undefined;
  #connectingSinceMs = 0;
  #upstream: UpstreamStream | undefined;
  #lines: string | undefined;
  #status = 0;
  /** What a gRPC answer amounts to; 0 for any other. */
  #judgedStatus = 0;
  #sentMs = 0;
  #tunnel: Tunnel | undefined;
  #stick: Stick | undefined;
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
    this.#search = new BackendSearch(destination.service, destination.retry.max, record, this, context.clock);
    this.#tries = this.#search.request = new Tries(destination, head, context, this, startedMs);
    this.#hedging = hedgingOf(destination, head, this.#tries, record, context.clock, this);
  }

  get kind(): "request" | "tunnel" {
    return this.#tunnel === undefined ? "request" : "tunnel";
  }

  /** Looks for a backend. May end the exchange at once. */
  start(nowMs: number): void {
    this.#tries.start(nowMs);
    this.#seek(nowMs);
  }

  #seek(nowMs: number): void {
    this.#stick = prepareSearch(this.#search, this.#destination, this.#head, this.#downstream, this.#record);
    this.#search.begin(nowMs);
  }

  onLease(lease: Lease): void {
    const { service } = this.#destination;
    const nowMs = this.#context.clock.nowMs();
    this.#lease = lease;
    service.work.add(lease.backend, this);
    this.#tries.begin();
    this.#hedging?.begin(lease, this.#search, nowMs);
    const idleMs = this.#tries.idleForLessMs(service.reuse);
    const connection = service.connections.take(lease.backend, idleMs, nowMs);
    if (connection === undefined) this.#open(lease, nowMs);
    else this.#attempt(connection, lease, nowMs);
  }

  /** On with the pool that stands behind this one, if that has any; the rules for retries stay the first one's. */
  onNoBackend(): boolean {
    const next = firstHealthy(this.#destination);
    if (next === this.#destination) return false;
    this.#destination = next;
    this.#hedging = undefined;
    this.#search.moveTo(next.service);
    this.#seek(this.#context.clock.nowMs());
    return true;
  }

  onSearchFailed(error: ProxyError): void {
    this.#fail(error);
  }

  #open({ backend }: Lease, nowMs: number): void {
    const { service } = this.#destination;
    service.connections.makeRoom(backend);
    this.#connectingSinceMs = nowMs;
    this.#dial = dialConnection(backend.endpoint, service.timeouts.connectMs, this.#context.clock, this);
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
    const connectMs = nowMs - this.#connectingSinceMs;
    this.#record.connectMs = Math.max(this.#record.connectMs, 0) + connectMs;
    const { connections } = this.#destination.service;
    this.#attempt(connections.adopt(connection, lease.backend, connectMs), lease, nowMs);
  }

  onConnectFailed(failure: DialFailure, cause: Error): void {
    this.#dial = undefined;
    this.#failTry(connectError(failure, cause));
  }

  #attempt(connection: Http1Upstream, lease: Lease, nowMs: number): void {
    this.#sentMs = nowMs;
    const upstream = connection.begin(this, this.#destination.serverMs);
    this.#upstream = upstream;
    this.#record.isReused = upstream.isReused;
    if (upstream.isReused) {
      this.#record.connectMs = Math.max(this.#record.connectMs, 0);
      lease.backend.row.add(COUNTER.connectionsReused, lease.writer, 1);
    }
    upstream.sendHead(this.#head, this.requestLines(), this.#tries.asksFirst);
    if (this.#head.body.kind === "none" || this.#tries.resend(upstream)) {
      upstream.flush();
    } else {
      // Who waits for a 100 gets the backend's, so the head must not wait for the body.
      if (this.#head.expectsContinue || this.#tries.asksFirst || this.#tries.hasBodyBegun) upstream.flush();
      this.#tries.readBody(this.#downstream);
    }
  }

  requestLines(): string {
    this.#lines ??= forwardedLines(this.#head, this.#downstream.client, this.#stick?.fieldsOf(this.#head));
    return this.#lines;
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
    if (!this.#tries.takesInformational(head)) this.#downstream.sendInformational(head);
  }

  onResponseHead(head: ResponseHead): void {
    if (this.#isReplaced(head)) return;
    this.#tries.commit();
    const nowMs = this.#context.clock.nowMs();
    this.#hedging?.answered(nowMs);
    this.#status = head.status;
    this.#judgedStatus = grpcJudgement(head.fields);
    this.#record.responseMs = nowMs - this.#sentMs;
    this.#downstream.sendHead(answeredHead(this.#stick, head, this.#lease));
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
    this.#settle((this.#judgedStatus || this.#status) >= 500 ? "server-error" : "success", undefined);
    this.#downstream.done();
  }

  onSwitched(head: ResponseHead, switched: SwitchedConnection): void {
    const lease = this.#lease;
    this.#upstream = undefined;
    if (lease === undefined) return;
    this.#tries.close();
    this.#status = head.status;
    this.#record.responseMs = this.#context.clock.nowMs() - this.#sentMs;
    const client = this.#downstream.switchProtocol(answeredHead(this.#stick, head, this.#lease));
    const sides = { client: client.connection, upstream: switched.connection };
    const idleMs = this.#destination.service.timeouts.tunnelMs;
    const farewell = farewellOf(this.#head.upgrade, this.#context.random);
    this.#tunnel = new Tunnel({ ...sides, lease, clock: this.#context.clock, idleMs, owner: this, farewell });
    this.#tunnel.start(client.firstBytes, switched.firstBytes);
  }

  onTunnelClosed(tunnel: Tunnel): void {
    this.#settle(isCut(tunnel.error) ? "ignored" : "success", tunnel.error);
    this.#downstream.done();
  }

  // ---------------------------------------------------------------- failure and end

  onUpstreamFailure(error: ProxyError): void {
    this.#upstream = undefined;
    if (!this.#isRepeated(error)) this.#failTry(error);
  }

  /** That a connection was closed at rest does not count: on with a fresh one to the same backend. */
  #isRepeated(error: ProxyError): boolean {
    const lease = this.#lease;
    if (lease === undefined || !this.#tries.survives(error)) return false;
    // Until there is a connection again nobody would take the body.
    this.#downstream.pauseBody();
    this.#open(lease, this.#context.clock.nowMs());
    return true;
  }

  /** Another try, elsewhere where there is a choice, for which the lease is given back; without one the exchange fails. */
  #failTry(error: ProxyError): void {
    const lease = this.#lease;
    this.#tries.end();
    const failed = { outcome: outcomeOf(error), status: 0 };
    if (lease !== undefined && this.#takesHedge(lease, failed)) return;
    const next = lease === undefined ? undefined : this.#tries.afterFailure(error, lease, this.#search);
    if (lease !== undefined && next?.isAllowed) this.#leave(lease, failed, next.pauseMs);
    else this.#fail(error);
  }

  /** An answer that another try may better is thrown away, with its connection: it may be of any length. */
  #isReplaced(head: ResponseHead): boolean {
    const lease = this.#lease;
    const judgedStatus = grpcJudgement(head.fields);
    const status = judgedStatus || head.status;
    if (status < 400 || lease === undefined) return false;
    const next = this.#tries.afterAnswer(head, lease, this.#search);
    if (!next.isAllowed) return false;
    this.#tries.end();
    this.#upstream?.cancel();
    this.#upstream = undefined;
    const failed: FailedTry = { outcome: status >= 500 ? "server-error" : "success", status: head.status };
    lease.judgedStatus = judgedStatus;
    if (!this.#takesHedge(lease, failed)) this.#leave(lease, failed, next.pauseMs);
    return true;
  }

  /** The try beside this one, where there is one, takes its place. */
  #takesHedge(lease: Lease, failed: FailedTry): boolean {
    if (this.#hedging?.takesOver() !== true) return false;
    this.#search.avoid.push(lease.backend);
    lease.release(failed.outcome, failed.status, this.#context.clock.nowMs());
    return true;
  }

  adopt(hedge: Hedge): void {
    const { work } = this.#destination.service;
    if (this.#lease !== undefined) work.remove(this.#lease.backend, this);
    this.#dial?.cancel();
    this.#upstream?.cancel();
    this.#tries.end();
    work.add(hedge.lease.backend, this);
    this.#lease = hedge.lease;
    this.#dial = hedge.dial;
    this.#upstream = hedge.upstream;
    this.#connectingSinceMs = hedge.connectingSinceMs;
    this.#sentMs = hedge.sentMs;
    this.#record.try(hedge.lease.backend);
    this.#tries.begin();
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
    this.#failTry(new ProxyError("upstream-timeout", "response-head", { isSent }));
  }

  get endsWithClient(): boolean {
    return this.#search.isQueued && this.#destination.service.abortOnClose;
  }

  onDownstreamFailure(error: ProxyError): void {
    // The client's side does not know that there is no backend yet.
    const isSearching = this.#upstream === undefined && this.#tunnel === undefined;
    const isEarly = error.code === "client-left" && isSearching;
    this.#fail(isEarly ? new ProxyError(error.code, this.#phase(), { cause: error.cause }) : error);
  }

  cut(cause: CutCause = "cut"): void {
    if (this.#tunnel === undefined) this.#fail(new ProxyError(cause, this.#phase()));
    else this.#tunnel.part(new ProxyError(cause, "data"));
  }

  onTotalTimeOver(): void {
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
    this.#settle(finalOutcomeOf(error), error);
    this.#downstream.done();
  }

  /** The one settle point. */
  #settle(outcome: Outcome, error: ProxyError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const record = this.#record;
    const lease = this.#lease;
    const nowMs = this.#context.clock.nowMs();
    this.#tries.close();
    this.#hedging?.stop(nowMs);
    this.#dial?.cancel();
    this.#search.cancel(nowMs);
    record.end(this.#status, nowMs - this.#startedMs, error);
    closeRecord(record, this.#downstream, this.#destination.service, lease);
    if (lease !== undefined) {
      this.#lease = undefined;
      this.#destination.service.work.remove(lease.backend, this);
      countExchange(record, lease, this.#tunnel);
      lease.judgedStatus = this.#judgedStatus;
      lease.release(outcome, this.#status, nowMs);
    }
    this.#context.accessLog.write(record);
  }
}
