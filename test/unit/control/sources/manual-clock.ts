import type { Clock, Timer } from "../../../../src/platform/clock.js";

interface Entry {
  atMs: number;
  readonly delayMs: number;
  readonly callback: () => void;
  isPending: boolean;
}

/** A clock that moves only by hand. Timers due at the same time fire in the order they were made. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #entries = new Set<Entry>();

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Entry = { atMs: this.#nowMs + Math.max(0, delayMs), delayMs, callback, isPending: true };
    this.#entries.add(entry);
    return {
      cancel: () => {
        entry.isPending = false;
        this.#entries.delete(entry);
      },
      restart: () => {
        entry.atMs = this.#nowMs + Math.max(0, entry.delayMs);
        entry.isPending = true;
        this.#entries.add(entry);
      },
    };
  }

  /** Timers not fired and not cancelled. */
  pendingTimers(): number {
    return this.#entries.size;
  }

  /** Moves on, firing what falls due, and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    for (;;) {
      const next = this.#nextBefore(endMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.isPending = false;
      this.#entries.delete(next);
      next.callback();
      await settled();
    }
    this.#nowMs = endMs;
    await settled();
  }

  #nextBefore(endMs: number): Entry | undefined {
    let next: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.atMs <= endMs && (next === undefined || entry.atMs < next.atMs)) next = entry;
    }
    return next;
  }
}

/** Lets every promise that can settle do so. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
