import type { Backend } from "../core/backend.js";
import type { Lease } from "../core/lease.js";
import type { Priority, Waiter } from "../core/line.js";
import type { Outcome } from "../core/outcome.js";
import type { Ticket } from "../core/queue.js";
import { isRedispatchDue } from "../core/redispatch.js";
import { COUNTER } from "../core/scoreboard.js";
import { takesBoundWork } from "../core/wish.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { AccessRecord } from "./access-record.js";
import { ProxyError, type ProxyErrorCode } from "./errors.js";
import type { UpstreamService } from "./upstream-service.js";

/** What a search needs of a pool. */
type SearchedService = Pick<UpstreamService, "pool" | "timeouts" | "retries" | "retryAfterMs">;

/** Who is looking for a backend. */
export interface SearchOwner {
  /** A slot was taken: connect. */
  onLease(lease: Lease): void;
  /** The pool has no backend left. Answers whether the search goes on elsewhere (`moveTo`). */
  onNoBackend(): boolean;
  /** There is none to be had. */
  onSearchFailed(error: ProxyError): void;
}

/** How a try ended that another is to follow. */
export interface FailedTry {
  readonly outcome: Outcome;
  /** 0 where there was no answer. */
  readonly status: number;
}

/** HAProxy's pause before the same server is tried again, if the connect timeout is not shorter. */
const SAME_BACKEND_PAUSE_MS = 1_000;

/**
 * Request path. Finds a backend for an exchange or a tunnel: the balancer's pick, the queue when all are at
 * their limit, and after a failed connection another backend at once where there is one (HAProxy's
 * `redispatch`), the same one after a pause where there is none. Who is bound to a backend tries that one again as
 * often as the pool's interval says.
 */
export class BackendSearch implements Waiter {
  /** Backends whose connection failed, the last one at the end. */
  readonly avoid: Backend[] = [];
  /** Hash of the request's key; undefined where it has none. */
  hash: number | undefined;
  /** The backend the session is bound to; undefined where it is bound to none. */
  bound: Backend | undefined;
  /** Where it stands among those who wait; undefined for where everyone does. */
  priority: Priority | undefined;
  /** What is looked for; undefined where it is no request. */
  request: { readonly isRepeatable: boolean } | undefined;
  #service: SearchedService;
  readonly #retriesMax: number;
  readonly #record: AccessRecord;
  readonly #owner: SearchOwner;
  readonly #clock: Clock;
  #ticket: Ticket | undefined;
  #timer: Timer | undefined;
  #waitingSinceMs = 0;
  /** The slot that is held through the pause before the same backend is tried again. */
  #kept: { readonly lease: Lease; readonly failed: FailedTry } | undefined;

  constructor(
    service: SearchedService,
    retriesMax: number,
    record: AccessRecord,
    owner: SearchOwner,
    clock: Clock,
  ) {
    this.#service = service;
    this.#retriesMax = retriesMax;
    this.#record = record;
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Whether a failure of the next try would be followed by another. */
  get isRepeatable(): boolean {
    return this.request !== undefined && this.hasTriesLeft && this.request.isRepeatable;
  }

  /** Whether it looks for a tunnel of a TCP listener; an upgraded exchange goes on counting as the request it was. */
  get isTunnel(): boolean {
    return this.request === undefined;
  }

  /** Whether it stands in the queue. */
  get isQueued(): boolean {
    return this.#ticket !== undefined;
  }

  /** Tries after the first so far. */
  get retries(): number {
    return this.#record.retries;
  }

  get hasTriesLeft(): boolean {
    return this.#record.retries < this.#retriesMax;
  }

  /** Tells the owner at once, or from the queue later. */
  begin(nowMs: number): void {
    const { pool } = this.#service;
    const lease = pool.acquireFor(this, nowMs);
    if (lease !== undefined) {
      this.#record.queueMs = Math.max(this.#record.queueMs, 0);
      this.#found(lease);
    } else if (pool.refusal(this) === "no-usable-backend" && !pool.isAwaitingBackend(nowMs)) {
      this.#refuse("connect");
    } else {
      this.#queue(nowMs);
    }
  }

  /**
   * A try failed: takes the lease over and looks on. False when no try is left; the lease is the caller's still.
   *
   * @param pauseMs before another backend is tried; undefined for at once. The same one again after a failed connection
   *   waits as HAProxy does
   */
  tryAgain(lease: Lease, failed: FailedTry, pauseMs?: number): boolean {
    if (!this.hasTriesLeft) return false;
    const mayLeave = this.#mayLeave(lease.backend);
    this.#record.retries++;
    if (mayLeave) this.#tryElsewhere(lease, failed, pauseMs);
    else this.#trySame(lease, failed, pauseMs);
    return true;
  }

  /** Whether `tryAgain` would find a backend that has not failed before. */
  hasOther(lease: Lease): boolean {
    if (!this.#mayLeave(lease.backend)) return false;
    const next = this.#service.pool.peek([...this.avoid, lease.backend], this.hash);
    return next !== undefined && next !== lease.backend && !this.avoid.includes(next);
  }

  /** Another pool is searched from now on, in which nobody failed and it is bound to nobody. Not while it waits. */
  moveTo(service: SearchedService): void {
    this.#service = service;
    this.avoid.length = 0;
    this.hash = undefined;
    this.bound = undefined;
  }

  /** Leaves the queue and forgets what was planned. */
  cancel(nowMs: number): void {
    this.#timer?.cancel();
    this.#kept?.lease.release(this.#kept.failed.outcome, this.#kept.failed.status, nowMs);
    this.#kept = undefined;
    if (this.#ticket === undefined) return;
    this.#ticket.cancel();
    this.#ticket = undefined;
    this.#countWait(nowMs);
  }

  granted(lease: Lease): void {
    this.#timer?.cancel();
    this.#ticket = undefined;
    this.#countWait(this.#clock.nowMs());
    this.#found(lease);
  }

  stranded(): void {
    this.#timer?.cancel();
    this.#ticket = undefined;
    this.#countWait(this.#clock.nowMs());
    this.#refuse("queue", "the last one was lost while the request waited");
  }

  #found(lease: Lease): void {
    const last = this.avoid.at(-1);
    if (last !== undefined && last !== lease.backend) this.#record.isRedispatched = true;
    this.#record.try(lease.backend);
    this.#owner.onLease(lease);
  }

  #queue(nowMs: number): void {
    const { pool, timeouts } = this.#service;
    const ticket = pool.enqueue(this, nowMs);
    if (ticket === undefined) {
      this.#fail("queue-full", "queue");
      return;
    }
    if (ticket.backend === undefined) this.#record.queuePosition += ticket.ahead;
    else this.#record.backendQueuePosition += ticket.ahead;
    this.#ticket = ticket;
    this.#waitingSinceMs = nowMs;
    this.#timer = this.#clock.after(timeouts.queueMs, () => this.#queueTimedOut());
  }

  #queueTimedOut(): void {
    this.#service.pool.count("queueTimeouts");
    this.cancel(this.#clock.nowMs());
    this.#fail("queue-timeout", "queue");
  }

  #refuse(phase: "queue" | "connect", detail?: string): void {
    const { pool } = this.#service;
    if (this.#owner.onNoBackend()) return;
    pool.count("refusedNoBackend");
    this.#fail("no-usable-backend", phase, detail);
  }

  /** It may be otherwise in a moment, and the client is told in how long. */
  #fail(code: ProxyErrorCode, phase: "queue" | "connect", detail?: string): void {
    const { retryAfterMs } = this.#service;
    const facts = detail === undefined ? { retryAfterMs } : { retryAfterMs, detail };
    this.#owner.onSearchFailed(new ProxyError(code, phase, facts));
  }

  #countWait(nowMs: number): void {
    this.#record.queueMs = Math.max(this.#record.queueMs, 0) + nowMs - this.#waitingSinceMs;
  }

  /**
   * Whether the try after a failed one may go to another backend: at once where any will do, or where it is lost to its
   * sessions; where the request is bound or has a key, as the interval says.
   */
  #mayLeave(backend: Backend): boolean {
    const { redispatch, redispatchInterval } = this.#service.retries;
    if (!redispatch || redispatchInterval === 1) return redispatch;
    if (this.bound !== backend && this.hash === undefined) return true;
    if (!takesBoundWork(backend, false)) return true;
    return isRedispatchDue(redispatchInterval, this.#record.retries + 1, this.#retriesMax);
  }

  #tryElsewhere(lease: Lease, failed: FailedTry, pauseMs: number | undefined): void {
    const known = this.avoid.indexOf(lease.backend);
    if (known >= 0) this.avoid.splice(known, 1);
    this.avoid.push(lease.backend);
    const next = this.#service.pool.peek(this.avoid, this.hash);
    const isOtherLeft = next === undefined || !this.avoid.includes(next);
    // Charged to the backend that failed, as HAProxy does, and before the release, which may remove its row.
    lease.backend.row.add(isOtherLeft ? COUNTER.redispatches : COUNTER.retries, lease.writer, 1);
    const nowMs = this.#clock.nowMs();
    lease.release(failed.outcome, failed.status, nowMs);
    const waitMs = pauseMs ?? (isOtherLeft ? 0 : this.#pauseMs());
    if (waitMs === 0) this.begin(nowMs);
    else this.#timer = this.#clock.after(waitMs, () => this.begin(this.#clock.nowMs()));
  }

  /** The same backend again, whose slot is kept meanwhile. */
  #trySame(lease: Lease, failed: FailedTry, pauseMs: number | undefined): void {
    lease.backend.row.add(COUNTER.retries, lease.writer, 1);
    this.#kept = { lease, failed };
    this.#timer = this.#clock.after(pauseMs ?? this.#pauseMs(), () => {
      this.#kept = undefined;
      this.#owner.onLease(lease);
    });
  }

  #pauseMs(): number {
    return Math.min(SAME_BACKEND_PAUSE_MS, this.#service.timeouts.connectMs);
  }
}
