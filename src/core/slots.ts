import type { Backend } from "./backend.js";
import { Lease, type LeaseOwner } from "./lease.js";
import { isRequestsLimited } from "./limits.js";
import type { Line, Place, Waiter } from "./line.js";
import { type Outcome, outcomeIndex } from "./outcome.js";
import type { PoolOptions } from "./pool-options.js";
import { type Ticket, WaitQueue } from "./queue.js";
import { COUNTER, type Row, WRITER } from "./scoreboard.js";
import type { Standing } from "./standing.js";
import type { Tiers } from "./tiers.js";
import { boundBackend, takesBoundWork, type Wish } from "./wish.js";

/** Why no lease was given. */
export type Refusal = "no-usable-backend" | "all-full";

/** What slots need of their pool. */
export interface SlotsHost extends LeaseOwner {
  readonly options: PoolOptions;
}

/**
 * Request path. Who gets a slot of which backend: whoever asks, in the same step, or whoever waits. Nobody overtakes
 * those who wait for the same.
 *
 * Who is bound to a backend that is at its limit waits there, and so does a key that belongs to one backend; everyone
 * else waits for whichever slot is free first. A slot goes to whose turn comes first of the backend's own line and the
 * common one (HAProxy's `process_srv_queue`). Who waits at a backend that is lost to it goes back to the common line with
 * its turn; who waits while no backend is left at all is sent away, as whoever arrives is.
 *
 * Where requests have a limit of their own, tunnels of TCP listeners neither count for it nor stand behind those who wait
 * for it, as in Envoy, whose `max_requests` counts streams (upgraded ones too) and whose TCP proxy knows only
 * `max_connections`.
 */
export class Slots {
  readonly queue: WaitQueue;
  readonly #host: SlotsHost;
  /** Counts of the pool itself. */
  readonly #row: Row;
  readonly #standing: Standing;
  readonly #tiers: Tiers;
  #isServing = false;
  /** Leases that are open. */
  #open = 0;

  constructor(host: SlotsHost, standing: Standing, row: Row) {
    this.#host = host;
    this.#standing = standing;
    this.#tiers = standing.tiers;
    this.#row = row;
    this.queue = new WaitQueue(host.options.maxQueue);
  }

  /** The balancer's pick, which is taken in the same step; undefined when there is none. */
  acquire(avoid: readonly Backend[], nowMs: number): Lease | undefined {
    if (!this.#haveWaitersTheirDue(nowMs) || this.queue.common.length > 0) return undefined;
    const backend = this.#tiers.pick(avoid);
    return backend === undefined ? undefined : this.#take(backend, nowMs);
  }

  /** As `acquire`, for whoever is bound to a backend or has a key that decides. */
  acquireFor(wish: Wish, nowMs: number): Lease | undefined {
    if (!this.#haveWaitersTheirDue(nowMs)) return undefined;
    let backend = this.#wantedBy(wish);
    if (backend !== undefined && this.#isFullFor(backend, wish)) {
      if (!this.#isLineFull(backend) || this.#host.options.redispatch === false) return undefined;
      backend = undefined;
    }
    const isFirst = this.queue.common.length === 0 || (wish.isTunnel === true && this.#areTunnelsApart);
    if (backend === undefined && isFirst) backend = this.#pick(wish, nowMs);
    return backend === undefined ? undefined : this.#take(backend, nowMs, wish.isTunnel);
  }

  /** Why nothing was given: everyone at its limit is worth waiting for, nobody usable is not. */
  refusal(wish?: Wish): Refusal {
    const isBound = wish !== undefined && this.#wantedBy(wish) !== undefined;
    return this.#tiers.state.usable === 0 && !isBound ? "no-usable-backend" : "all-full";
  }

  /** Whether no backend is left, and one may be back before long: then requests wait for it. */
  isAwaitingBackend(nowMs: number): boolean {
    return this.#tiers.state.usable === 0 && nowMs < this.#awaitedUntilMs();
  }

  /** Waits for a slot. Undefined when there is no room to wait; both are counted. */
  enqueue(waiter: Waiter, nowMs: number): Ticket | undefined {
    const wanted = this.#wantedBy(waiter);
    const isTooLong = wanted !== undefined && this.#isLineFull(wanted);
    const isRefused = isTooLong && this.#host.options.redispatch === false;
    const ticket = isRefused ? undefined : this.queue.join(waiter, isTooLong ? undefined : wanted, nowMs);
    this.#row.add(ticket === undefined ? COUNTER.refusedQueueFull : COUNTER.queued, WRITER, 1);
    return ticket;
  }

  /** When `serve` has somebody to send away; infinite when nobody waits for a backend to return. */
  nextDueMs(): number {
    const isWaiting = this.#tiers.state.usable === 0 && this.queue.common.length > 0;
    return isWaiting ? this.#awaitedUntilMs() : Number.POSITIVE_INFINITY;
  }

  /** A slot is free again, and is counted; `serve` has to follow. */
  giveBack(lease: Lease, outcome: Outcome, status: number, nowMs: number): void {
    const { backend, writer } = lease;
    const { row } = backend;
    row.giveBack(writer);
    this.#open--;
    if (lease.isTunnel) this.#countTunnel(backend, -1);
    if (this.#host.options.growingLimit !== undefined) this.#growLimits(0);
    row.add(COUNTER.success + outcomeIndex(outcome), writer, 1);
    if (outcome === "success") backend.succeeded(nowMs);
    if (status >= 100 && status < 600) row.add(COUNTER.status1xx + Math.floor(status / 100) - 1, writer, 1);
  }

  /** Hands free slots to those who wait, and sends away who waits in vain. */
  serve(nowMs: number): void {
    if (this.queue.length === 0 || this.#isServing) return;
    this.#isServing = true;
    try {
      let isGoingOn = true;
      while (isGoingOn) isGoingOn = this.#serveOne(nowMs);
      if (this.#tiers.state.usable === 0 && nowMs >= this.#awaitedUntilMs()) this.#sendAway();
    } finally {
      this.#isServing = false;
    }
  }

  /** Answers whether somebody got a slot. */
  #serveOne(nowMs: number): boolean {
    const { queue } = this;
    for (const line of queue.busy) this.#handBack(line);
    const { first } = queue.common;
    if (this.#serveCommon(first, nowMs)) return true;
    if (this.#areTunnelsApart && first?.isTunnel === false)
      if (this.#serveCommon(queue.common.firstTunnel, nowMs)) return true;
    for (const line of queue.busy) {
      const next = this.#nextAt(line);
      if (next === undefined || line.backend === undefined) continue;
      this.#grant(next, line.backend, nowMs);
      return true;
    }
    return false;
  }

  /** Gives a slot to someone of the common line, or to whom it belongs at the same backend. */
  #serveCommon(place: Place | undefined, nowMs: number): boolean {
    const backend = place && this.#backendFor(place.waiter, nowMs);
    if (place === undefined || backend === undefined) return false;
    const line = this.queue.at(backend);
    const bound = line && this.#nextAt(line);
    this.#grant(bound?.precedes(place) ? bound : place, backend, nowMs);
    return true;
  }

  /** Who of the line at a backend may have a slot of it now. */
  #nextAt(line: Line): Place | undefined {
    const { backend, first } = line;
    if (backend === undefined || first === undefined) return undefined;
    if (!this.#isFullFor(backend, first.waiter)) return first;
    const { firstTunnel } = line;
    return firstTunnel === undefined || this.#isFullFor(backend, firstTunnel.waiter)
      ? undefined
      : firstTunnel;
  }

  /**
   * Who stands at a backend that is lost to it stands elsewhere from now on: the bound ones when it takes no more bound
   * work, those whose key belonged there also when it takes no new work. As HAProxy does, a line stays at a backend that
   * is merely down where requests may not go elsewhere, or sessions are persistent.
   */
  #handBack(line: Line): void {
    const { backend } = line;
    if (backend === undefined) return;
    const { persist, redispatch } = this.#host.options;
    const isLost = !takesBoundWork(backend, persist === true || redispatch === false);
    if (!isLost && (line.unboundCount === 0 || redispatch === false || this.#tiers.takesWork(backend)))
      return;
    for (let place = line.first; place !== undefined; ) {
      const { next } = place;
      if (isLost || !place.isBound) {
        const wanted = this.#wantedBy(place.waiter);
        this.queue.move(place, wanted === backend ? undefined : wanted);
      }
      place = next;
    }
  }

  #grant(place: Place, backend: Backend, nowMs: number): void {
    this.queue.leave(place);
    const lease = this.#take(backend, nowMs, place.isTunnel);
    // A waiter that fails must not take down whoever gave the slot back.
    try {
      place.waiter.granted(lease);
    } catch (error) {
      if (lease.isOpen) lease.release("ignored", 0, nowMs);
      this.#host.invariantBroken(`a waiter failed on its slot: ${String(error)}`);
    }
  }

  /** No backend is left: nobody stays in the common line but whose own backend still takes its bound work. */
  #sendAway(): void {
    const { common } = this.queue;
    // Whoever is told may have others leave, and joins no more.
    for (let left = common.length; left > 0; left--) {
      const place = common.first;
      if (place === undefined) return;
      const wanted = this.#wantedBy(place.waiter);
      if (wanted !== undefined) this.queue.move(place, wanted);
      else this.#strand(place);
    }
  }

  #strand(place: Place): void {
    this.queue.leave(place);
    try {
      place.waiter.stranded();
    } catch (error) {
      this.#host.invariantBroken(`a waiter failed on being sent away: ${String(error)}`);
    }
  }

  #awaitedUntilMs(): number {
    return this.#standing.unusableSinceMs + (this.#host.options.awaitBackendMs ?? 0);
  }

  /** Once they were served, whoever waits still can use nothing of what is free. */
  #haveWaitersTheirDue(nowMs: number): boolean {
    const isGrowing = this.#host.options.growingLimit !== undefined;
    if (isGrowing) this.#growLimits(1);
    if (this.queue.length === 0) return true;
    if (this.#isServing) return false;
    this.serve(nowMs);
    // Whoever was served may have given its slot back already.
    if (isGrowing) this.#growLimits(1);
    return true;
  }

  /** Limits follow the load: what is open, what waits, and `more`. */
  #growLimits(more: number): void {
    this.#standing.limits.follow(this.#open + this.queue.length + more);
  }

  /** The one backend that a wish is for: the one it is bound to, or else where its key belongs. */
  #wantedBy(wish: Wish): Backend | undefined {
    if (wish.bound !== undefined) {
      const bound = boundBackend(wish, this.#host.options.persist === true);
      if (bound !== undefined) return bound;
    }
    return wish.hash === undefined ? undefined : this.#tiers.home(wish.avoid, wish.hash);
  }

  /** Whom the first of the common line is given now: its own backend if that has room, or else anyone. */
  #backendFor(wish: Wish, nowMs: number): Backend | undefined {
    const wanted = this.#wantedBy(wish);
    return wanted === undefined || this.#isFullFor(wanted, wish) ? this.#pick(wish, nowMs) : wanted;
  }

  get #areTunnelsApart(): boolean {
    return isRequestsLimited(this.#host.options);
  }

  #isFullFor(backend: Backend, wish: Wish): boolean {
    return wish.isTunnel === true ? backend.isFullForTunnels : backend.row.isFull;
  }

  #countTunnel(backend: Backend, change: 1 | -1): void {
    backend.tunnels += change;
    if (this.#areTunnelsApart) this.#standing.limits.put(backend);
  }

  #isLineFull(backend: Backend): boolean {
    const { maxQueuePerBackend } = this.#host.options;
    if (maxQueuePerBackend === undefined || maxQueuePerBackend === 0) return false;
    return (this.queue.at(backend)?.length ?? 0) >= maxQueuePerBackend;
  }

  /** The balancer's pick; what may not be sent twice is not risked on a backend that is on probation. */
  #pick(wish: Wish, nowMs: number): Backend | undefined {
    const picked = this.#tiers.pick(wish.avoid, wish.hash);
    if (wish.isTunnel === true && (picked === undefined || wish.avoid.includes(picked)))
      return (this.#areTunnelsApart ? this.#tiers.pickForTunnel(wish.avoid) : undefined) ?? picked;
    if (picked === undefined || !picked.probation.wantsRepeatable(nowMs)) return picked;
    // In a panic others may be worse.
    const isForAll = wish.isRepeatable === true || this.#tiers.state.isPanicking;
    return isForAll ? picked : otherThan(this.#tiers, picked, wish);
  }

  #take(backend: Backend, nowMs: number, isTunnel = false): Lease {
    backend.row.take(WRITER);
    if (isTunnel) this.#countTunnel(backend, 1);
    this.#open++;
    backend.used(nowMs);
    if (this.#tiers.state.isPanicking) this.#row.add(COUNTER.panicPicks, WRITER, 1);
    const { zone } = this.#host.options.tiers;
    if (zone !== undefined) {
      const isOwn = backend.endpoint.zone === zone.own;
      this.#row.add(isOwn ? COUNTER.ownZonePicks : COUNTER.otherZonePicks, WRITER, 1);
    }
    this.#tiers.taken(backend);
    return new Lease(this.#host, backend, WRITER, nowMs, isTunnel);
  }
}

/** Request path. Another backend, or the same where there is none. */
export function otherThan(tiers: Tiers, picked: Backend, { avoid, hash }: Wish): Backend {
  const other = tiers.pick([...avoid, picked], hash);
  // A backup of another tier is none.
  return other === undefined || avoid.includes(other) || !tiers.takesWork(other) ? picked : other;
}
