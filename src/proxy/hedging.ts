import type { Lease } from "../core/lease.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Wish } from "../core/wish.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { AccessRecord } from "./access-record.js";
import { Hedge, type HedgedExchange, type HedgeOwner, type HedgeRequest } from "./hedge.js";
import type { RequestHead, ResponseHead } from "./message.js";
import type { Destination } from "./router.js";
import type { Tries } from "./tries.js";

/** For a request of a pool that hedges, and which may be sent twice; undefined for any other. */
export function hedgingOf(
  destination: Destination,
  head: RequestHead,
  tries: Tries,
  record: AccessRecord,
  clock: Clock,
  exchange: HedgedExchange,
): Hedging | undefined {
  if (destination.service.retries.hedge === undefined) return undefined;
  if (head.upgrade !== undefined || !destination.retry.maySendTwice(head)) return undefined;
  return new Hedging({ destination, head, tries, clock, exchange }, record);
}

/**
 * Request path, where it is configured. Sends a second try to another backend when the first one is silent for
 * longer than most: once per request, within the retry budget, and only with the whole request at hand. The first
 * answer that is no server error is the client's; the other try is cancelled and counts for nothing.
 */
export class Hedging implements HedgeOwner {
  readonly #request: HedgeRequest;
  readonly #record: AccessRecord;
  #first: Lease | undefined;
  #beganMs = 0;
  #timer: Timer | undefined;
  #hedge: Hedge | undefined;

  constructor(request: HedgeRequest, record: AccessRecord) {
    this.#request = request;
    this.#record = record;
  }

  /** A try begins. Only the first one is hedged, and none of a session that is bound to its backend. */
  begin(lease: Lease, wish: Wish, nowMs: number): void {
    const { destination, clock } = this.#request;
    const { retries, hedgeDelay } = destination.service;
    if (this.#first !== undefined || retries.hedge === undefined) return;
    this.#first = lease;
    this.#beganMs = nowMs;
    const delayMs = hedgeDelay.delayMs(retries.hedge, nowMs);
    if (delayMs === undefined || wish.bound !== undefined) return;
    this.#timer = clock.after(delayMs, () => this.#send(lease, wish.hash));
  }

  /** The client gets the answer of the exchange's own try. */
  answered(nowMs: number): void {
    this.#request.destination.service.hedgeDelay.record(nowMs - this.#beganMs);
    this.stop(nowMs);
  }

  /** The exchange's own try is over: whether a hedge takes its place. None will be sent from now on. */
  takesOver(): boolean {
    const hedge = this.#forget();
    if (hedge === undefined || this.#first === undefined) return false;
    this.#adopt(hedge, this.#first);
    return true;
  }

  onHedgeAnswered(hedge: Hedge, head: ResponseHead): void {
    const { destination, clock, exchange } = this.#request;
    const nowMs = clock.nowMs();
    const first = this.#first;
    this.#hedge = undefined;
    const isError = head.status >= 500;
    if (
      first === undefined ||
      isError ||
      destination.retry.adviceAfter(head, this.#request.head).kind !== "never"
    ) {
      hedge.end(isError ? "server-error" : "success", head.status, nowMs);
      return;
    }
    this.#adopt(hedge, first);
    // It did not fail, but it took at least so long.
    first.latencyMs = nowMs - first.takenMs;
    first.release("ignored", 0, nowMs);
    exchange.onResponseHead(head);
  }

  onHedgeFailed(): void {
    this.#hedge = undefined;
  }

  /** Nobody waits for it any more. */
  stop(nowMs: number): void {
    this.#forget()?.end("ignored", 0, nowMs);
  }

  #adopt(hedge: Hedge, former: Lease): void {
    hedge.adopt();
    this.#request.exchange.adopt(hedge);
    former.backend.row.add(COUNTER.hedgesWon, former.writer, 1);
    this.#record.hedge = "won";
  }

  #forget(): Hedge | undefined {
    const hedge = this.#hedge;
    this.#timer?.cancel();
    this.#hedge = undefined;
    return hedge;
  }

  #send(first: Lease, hash: number | undefined): void {
    const { destination, tries, clock } = this.#request;
    const { pool } = destination.service;
    const nowMs = clock.nowMs();
    if (!first.isOpen || !tries.hasWholeBody) return;
    const avoid = [first.backend];
    const other = pool.peek(avoid, hash);
    if (other === undefined || other === first.backend || !tries.takeBudget()) return;
    const lease = pool.acquireFor({ avoid, hash }, nowMs);
    if (lease === undefined) return;
    first.backend.row.add(COUNTER.hedges, first.writer, 1);
    this.#record.hedge = "lost";
    this.#hedge = new Hedge(this.#request, lease, this, nowMs);
    this.#hedge.start(nowMs);
  }
}
