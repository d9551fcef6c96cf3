import type { Clock, Timer } from "../../../../src/platform/clock.js";

interface Pending {
  dueMs: number;
  readonly callback: () => void;
}

/** Time that moves only when the test says so. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #pending = new Set<Pending>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const pending: Pending = { dueMs: this.#nowMs + delayMs, callback };
    this.#pending.add(pending);
    return {
      cancel: () => this.#pending.delete(pending),
      restart: () => {
        pending.dueMs = this.#nowMs + delayMs;
        this.#pending.add(pending);
      },
    };
  }

  /** Timers that wait. */
  get timers(): number {
    return this.#pending.size;
  }

  /** Moves time on, firing what is due in order. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs;
    for (;;) {
      const next = [...this.#pending]
        .filter(({ dueMs }) => dueMs <= untilMs)
        .sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}
