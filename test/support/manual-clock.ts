import type { Clock, Timer } from "../../src/platform/clock.js";

interface Pending {
  dueMs: number;
  readonly callback: () => void;
}

/** A clock that moves only by hand. Timers due at the same time fire in the order they were made. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  /** From this clock's time to the wall's. */
  #wallOffsetMs = 1_700_000_000_000 - 1_000;
  readonly #pending = new Set<Pending>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs;
  }

  /** Somebody sets the wall clock. */
  setWall(wallMs: number): void {
    this.#wallOffsetMs = wallMs - this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { dueMs: 0, callback };
    const start = (): void => {
      pending.dueMs = this.#nowMs + Math.max(0, delayMs);
      this.#pending.add(pending);
    };
    start();
    return { cancel: () => void this.#pending.delete(pending), restart: start };
  }

  /** Timers not fired and not cancelled. */
  pendingTimers(): number {
    return this.#pending.size;
  }

  /** Moves on, firing what falls due, and lets promises settle before, between and behind. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    while (this.#fireNext(endMs)) await settled();
    this.#nowMs = endMs;
    await settled();
  }

  /** As `advance`, all in one turn: for code that no promise is between. */
  advanceSync(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#fireNext(endMs));
    this.#nowMs = endMs;
  }

  /** Answers whether a timer was due by then. */
  #fireNext(endMs: number): boolean {
    let next: Pending | undefined;
    for (const each of this.#pending) {
      if (each.dueMs <= endMs && (next === undefined || each.dueMs < next.dueMs)) next = each;
    }
    if (next === undefined) return false;
    this.#pending.delete(next);
    this.#nowMs = Math.max(this.#nowMs, next.dueMs);
    next.callback();
    return true;
  }
}

/** Lets every promise that can settle do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
