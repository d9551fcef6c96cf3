import type { Clock, Timer } from "../../../src/platform/clock.js";

interface Pending {
  dueMs: number;
  readonly delayMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs = 1000;
  #wallMs = 1_700_000_000_000;
  readonly #pending = new Set<Pending>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  /** Somebody sets the wall clock. */
  setWall(wallMs: number): void {
    this.#wallMs = wallMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { dueMs: this.#nowMs + delayMs, delayMs, callback };
    this.#pending.add(pending);
    return {
      cancel: () => void this.#pending.delete(pending),
      restart: () => {
        pending.dueMs = this.#nowMs + delayMs;
        this.#pending.add(pending);
      },
    };
  }

  /** Moves time and calls what came due, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#pending]
        .filter(({ dueMs }) => dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#wallMs += next.dueMs - this.#nowMs;
      this.#nowMs = next.dueMs;
      next.callback();
    }
    this.#wallMs += endMs - this.#nowMs;
    this.#nowMs = endMs;
  }
}
