import type { Clock, Timer } from "../platform/clock.js";

/** Moments that checks choose lie so far apart. */
const GRID_MS = 10;

/** What is to be done at one moment, and the timer that waits for it. */
interface Moment {
  readonly timer: Timer;
  readonly calls: Set<() => void>;
}

/**
 * When checks start, over the whole process. Those that may choose within a span start on a common grid of 10 ms, all of
 * one moment in one turn of the event loop and off one timer: what these cost is shared, about a fifth of what checks of
 * many backends cost otherwise (`npm run bench:checks`).
 */
export class CheckStarts {
  readonly #clock: Clock;
  readonly #moments = new Map<number, Moment>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Calls back once at `atMs`, or at the moment of the grid that is next to it and not outside of the span.
   *
   * @returns what forgets the call, and when it is due
   */
  within(leastMs: number, atMs: number, mostMs: number, call: () => void): CheckStart {
    const dueMs = onGrid(leastMs, atMs, mostMs);
    const moment = this.#moments.get(dueMs) ?? this.#begin(dueMs);
    moment.calls.add(call);
    return {
      dueMs,
      cancel: () => {
        if (moment.calls.delete(call) && moment.calls.size === 0) this.#forget(dueMs, moment);
      },
    };
  }

  #begin(dueMs: number): Moment {
    const timer = this.#clock.after(dueMs - this.#clock.nowMs(), () => {
      this.#moments.delete(dueMs);
      for (const call of moment.calls) call();
    });
    const moment = { timer, calls: new Set<() => void>() };
    this.#moments.set(dueMs, moment);
    return moment;
  }

  #forget(dueMs: number, moment: Moment): void {
    moment.timer.cancel();
    if (this.#moments.get(dueMs) === moment) this.#moments.delete(dueMs);
  }
}

/** A start that was asked for. */
export interface CheckStart {
  readonly dueMs: number;
  /** Harmless when it was made already. */
  cancel(): void;
}

/** The moment of the grid next to `atMs` within the span; `atMs` itself where there is none. */
function onGrid(leastMs: number, atMs: number, mostMs: number): number {
  const near = Math.round(atMs / GRID_MS) * GRID_MS;
  if (near < leastMs) return near + GRID_MS <= mostMs ? near + GRID_MS : atMs;
  if (near > mostMs) return near - GRID_MS >= leastMs ? near - GRID_MS : atMs;
  return near;
}
