import type { Pool } from "../core/pool.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Clock, Timer } from "../platform/clock.js";

/** Demand that begins during a pause is seen so late at most. */
export const LOOK_MS = 50;

/** Someone whose work may be missed. */
export interface Missed {
  /** Work came since the last look; `wanted` is all of it so far. */
  demanded(wanted: number): void;
}

/**
 * Looks whether requests come that backends which are down are missing from, so that nobody sleeps through a pause that
 * was chosen while the pool was at rest. One look of a pool for all its backends, off one timer that runs only while one
 * of them is down, and over at one comparison where nobody came. A request pays for no more than the counters it moves
 * anyway: it knows of no check that it could wake. The period is below the pauses that checks commonly have, and twenty
 * looks a second are nothing to an idle process.
 */
export class DemandLook {
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #missed = new Set<Missed>();
  #timer: Timer | undefined;
  #seen = 0;

  constructor(pool: Pool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  /** It is told of demand from now on. Harmless the second time. */
  join(missed: Missed): void {
    this.#missed.add(missed);
    if (this.#timer !== undefined) return;
    this.#seen = wantedOf(this.#pool);
    this.#timer = this.#clock.after(LOOK_MS, () => this.#look());
  }

  /** It is told no more. Harmless the second time. */
  leave(missed: Missed): void {
    if (!this.#missed.delete(missed) || this.#missed.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer?.restart();
    const wanted = wantedOf(this.#pool);
    if (wanted === this.#seen) return;
    this.#seen = wanted;
    for (const missed of this.#missed) missed.demanded(wanted);
  }
}

/**
 * Requests so far that a backend of the pool would have been good for: those that had one, found none, went to a
 * fallback, or wait.
 */
export function wantedOf({ tiers, row, queue }: Pool): number {
  return tiers.leases + row.read(COUNTER.refusedNoBackend) + row.read(COUNTER.passedOver) + queue.length;
}
