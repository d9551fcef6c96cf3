import type { Backend } from "./backend.js";
import { Lease, type LeaseOwner } from "./lease.js";
import type { PoolOptions } from "./pool-options.js";
import { type Ticket, type Waiter, WaitQueue } from "./queue.js";
import { COUNTER, type Row, WRITER } from "./scoreboard.js";
import type { Standing } from "./standing.js";
import type { Tiers } from "./tiers.js";
import { boundBackend, type Wish } from "./wish.js";

/** Why no lease was given. */
export type Refusal = "no-usable-backend" | "all-full";

/** What slots need of their pool. */
export interface SlotsHost extends LeaseOwner {
  readonly options: PoolOptions;
}

/**
 * Request path. Who gets a slot of which backend: whoever asks, in the same step, or whoever waits. Nobody overtakes
 * those who wait.
 */
export class Slots {
  readonly queue: WaitQueue;
  readonly #host: SlotsHost;
  /** Counts of the pool itself. */
  readonly #row: Row;
  readonly #standing: Standing;
  readonly #tiers: Tiers;
  #isGranting = false;
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
    if (!this.#haveWaitersTheirDue(nowMs)) return undefined;
    const backend = this.#tiers.pick(avoid);
    return backend === undefined ? undefined : this.#take(backend, nowMs);
  }

  /** As `acquire`, for whoever is bound to a backend or has a key that decides. */
  acquireFor(wish: Wish, nowMs: number): Lease | undefined {
    if (!this.#haveWaitersTheirDue(nowMs)) return undefined;
    const backend = this.#choose(wish);
    return backend === undefined ? undefined : this.#take(backend, nowMs);
  }

  /** Why nothing was given: everyone at its limit is worth waiting for, nobody usable is not. */
  refusal(wish?: Wish): Refusal {
    const isBound = wish !== undefined && boundBackend(wish) !== undefined;
    return this.#tiers.state.usable === 0 && !isBound ? "no-usable-backend" : "all-full";
  }

  /** Waits for a slot. Undefined when the queue is full; both are counted. */
  enqueue(waiter: Waiter): Ticket | undefined {
    const ticket = this.queue.join(waiter);
    this.#row.add(ticket === undefined ? COUNTER.refusedQueueFull : COUNTER.queued, WRITER, 1);
    return ticket;
  }

  /** A slot is free again; `serve` has to follow. */
  giveBack(lease: Lease): void {
    lease.backend.row.giveBack(lease.writer);
    this.#open--;
    if (this.#host.options.growingLimit !== undefined) this.#growLimits(0);
  }

  /**
   * Hands free slots to those who wait, longest wait first. Who is bound to a backend at its limit waits for that one and
   * holds up nobody behind.
   */
  serve(nowMs: number): void {
    if (this.queue.length === 0 || this.#isGranting) return;
    this.#isGranting = true;
    try {
      let place = this.queue.first;
      while (place !== undefined) {
        const { waiter } = place;
        const backend = this.#choose(waiter);
        if (backend !== undefined) {
          this.queue.leave(place);
          this.#hand(waiter, this.#take(backend, nowMs), nowMs);
          place = this.queue.first;
        } else if (this.queue.boundCount === 0) {
          return;
        } else {
          place = place.next;
        }
      }
    } finally {
      this.#isGranting = false;
    }
  }

  /** Once they were served, whoever waits still can use nothing of what is free. */
  #haveWaitersTheirDue(nowMs: number): boolean {
    const isGrowing = this.#host.options.growingLimit !== undefined;
    if (isGrowing) this.#growLimits(1);
    if (this.queue.length === 0) return true;
    if (this.#isGranting) return false;
    this.serve(nowMs);
    // Whoever was served may have given its slot back already.
    if (isGrowing) this.#growLimits(1);
    return this.queue.length === 0 || this.queue.boundCount > 0;
  }

  /** Limits follow the load: what is open, what waits, and `more`. */
  #growLimits(more: number): void {
    this.#standing.limits.follow(this.#open + this.queue.length + more);
  }

  /** The backend the wish is bound to, which may be drained or of weight 0, or else the balancer's pick. */
  #choose(wish: Wish): Backend | undefined {
    const bound = boundBackend(wish);
    if (bound === undefined) return this.#tiers.pick(wish.avoid, wish.hash);
    return bound.row.isFull ? undefined : bound;
  }

  #take(backend: Backend, nowMs: number): Lease {
    backend.row.take(WRITER);
    this.#open++;
    backend.used(nowMs);
    if (this.#tiers.state.isPanicking) this.#row.add(COUNTER.panicPicks, WRITER, 1);
    const { zone } = this.#host.options.tiers;
    if (zone !== undefined) {
      const isOwn = backend.endpoint.zone === zone.own;
      this.#row.add(isOwn ? COUNTER.ownZonePicks : COUNTER.otherZonePicks, WRITER, 1);
    }
    this.#tiers.taken(backend);
    return new Lease(this.#host, backend, WRITER, nowMs);
  }

  /** A waiter that fails must not take down whoever gave the slot back. */
  #hand(waiter: Waiter, lease: Lease, nowMs: number): void {
    try {
      waiter.granted(lease);
    } catch (error) {
      if (lease.isOpen) lease.release("ignored", 0, nowMs);
      this.#host.invariantBroken(`a waiter failed on its slot: ${String(error)}`);
    }
  }
}
