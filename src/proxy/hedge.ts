import type { Lease } from "../core/lease.js";
import type { Outcome } from "../core/outcome.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Clock } from "../platform/clock.js";
import type { Connection } from "./connection.js";
import { type Dial, type DialFailure, type DialHandler, dialConnection } from "./dial.js";
import { connectError, finalOutcomeOf, ProxyError } from "./errors.js";
import type {
  FieldList,
  RequestHead,
  ResponseHead,
  SwitchedConnection,
  UpstreamReceiver,
  UpstreamStream,
} from "./message.js";
import type { CutCause, Cuttable } from "./open-work.js";
import { idleForLessMs } from "./retry-policy.js";
import type { Destination } from "./router.js";
import type { Tries } from "./tries.js";

/** The exchange that a hedge belongs to. */
export interface HedgedExchange extends UpstreamReceiver, DialHandler {
  /** The field lines to send. */
  requestLines(): string;
  /** Ends its own try in favour of this one, whose lease becomes its own. */
  adopt(hedge: Hedge): void;
}

/** Who decides what becomes of a hedge. */
export interface HedgeOwner {
  /** It answered before the other try. */
  onHedgeAnswered(hedge: Hedge, head: ResponseHead): void;
  /** It failed, and its lease is given back. */
  onHedgeFailed(): void;
}

/** What a hedge sends, and how. */
export interface HedgeRequest {
  readonly destination: Destination;
  readonly head: RequestHead;
  readonly exchange: HedgedExchange;
  /** Holds the body. */
  readonly tries: Tries;
  readonly clock: Clock;
}

/**
 * Request path, where it is configured. A second try beside the first one. It stands on its own until it answers,
 * fails, or is adopted: from then on it only passes on to its exchange what its connection tells.
 */
export class Hedge implements UpstreamReceiver, DialHandler, Cuttable {
  readonly kind = "request";
  readonly lease: Lease;
  readonly connectingSinceMs: number;
  sentMs = 0;
  dial: Dial | undefined;
  upstream: UpstreamStream | undefined;
  readonly #request: HedgeRequest;
  readonly #owner: HedgeOwner;
  #isAdopted = false;

  constructor(request: HedgeRequest, lease: Lease, owner: HedgeOwner, nowMs: number) {
    this.#request = request;
    this.lease = lease;
    this.#owner = owner;
    this.connectingSinceMs = nowMs;
  }

  start(nowMs: number): void {
    const { destination, head, clock } = this.#request;
    const { service } = destination;
    const { backend } = this.lease;
    service.work.add(backend, this);
    const connection = service.connections.take(backend, idleForLessMs(service.reuse, head, false), nowMs);
    if (connection !== undefined) {
      this.lease.backend.row.add(COUNTER.connectionsReused, this.lease.writer, 1);
      this.#send(connection.begin(this, destination.serverMs), nowMs);
      return;
    }
    service.connections.makeRoom(backend);
    const { host, port } = backend.endpoint;
    this.dial = dialConnection({ host, port }, service.timeouts.connectMs, clock, this);
  }

  /** The exchange takes it over, with its lease. */
  adopt(): void {
    this.#isAdopted = true;
    this.#request.destination.service.work.remove(this.lease.backend, this);
  }

  /** Ends it: the other try made it. */
  end(outcome: Outcome, status: number, nowMs: number): void {
    if (!this.lease.isOpen) return;
    this.dial?.cancel();
    this.upstream?.cancel();
    this.#request.destination.service.work.remove(this.lease.backend, this);
    this.lease.release(outcome, status, nowMs);
  }

  cut(cause: CutCause): void {
    this.#fail(new ProxyError(cause, "response-head"));
  }

  onConnected(connection: Connection): void {
    this.dial = undefined;
    if (this.#isAdopted) {
      this.#request.exchange.onConnected(connection);
      return;
    }
    const { destination, clock } = this.#request;
    this.lease.backend.row.add(COUNTER.connectionsOpened, this.lease.writer, 1);
    const nowMs = clock.nowMs();
    const connectMs = nowMs - this.connectingSinceMs;
    const adopted = destination.service.connections.adopt(connection, this.lease.backend, connectMs);
    this.#send(adopted.begin(this, destination.serverMs), nowMs);
  }

  onConnectFailed(failure: DialFailure, cause: Error): void {
    this.dial = undefined;
    if (this.#isAdopted) this.#request.exchange.onConnectFailed(failure, cause);
    else this.#fail(connectError(failure, cause));
  }

  onResponseHead(head: ResponseHead): void {
    if (this.#isAdopted) this.#request.exchange.onResponseHead(head);
    else this.#owner.onHedgeAnswered(this, head);
  }

  onInformational(head: ResponseHead): void {
    if (this.#isAdopted) this.#request.exchange.onInformational(head);
  }

  onResponseBody(bytes: Buffer): void {
    this.#request.exchange.onResponseBody(bytes);
  }

  onResponseEnd(trailers: FieldList | undefined): void {
    this.#request.exchange.onResponseEnd(trailers);
  }

  onResponsePause(): void {
    if (this.#isAdopted) this.#request.exchange.onResponsePause();
  }

  onUpstreamDrain(): void {
    if (this.#isAdopted) this.#request.exchange.onUpstreamDrain();
  }

  onSwitched(head: ResponseHead, switched: SwitchedConnection): void {
    this.#request.exchange.onSwitched(head, switched);
  }

  onUpstreamFailure(error: ProxyError): void {
    this.upstream = undefined;
    if (this.#isAdopted) this.#request.exchange.onUpstreamFailure(error);
    else this.#fail(error);
  }

  /** The whole request is at hand: that is a condition of hedging. */
  #send(upstream: UpstreamStream, nowMs: number): void {
    const { head, exchange, tries } = this.#request;
    this.upstream = upstream;
    this.sentMs = nowMs;
    upstream.sendHead(head, exchange.requestLines());
    if (head.body.kind !== "none") tries.resend(upstream);
    upstream.flush();
  }

  #fail(error: ProxyError): void {
    this.end(finalOutcomeOf(error), 0, this.#request.clock.nowMs());
    this.#owner.onHedgeFailed();
  }
}
