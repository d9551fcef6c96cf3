import type { Clock, Timer } from "../platform/clock.js";

/**
 * Request path. One deadline that moves with every sign of life. Moving it later costs a store: the timer that
 * runs is left alone and looks, when it fires, whether it came too early.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #passed: () => void;
  #dueMs = Number.POSITIVE_INFINITY;
  #armedForMs = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(clock: Clock, passed: () => void) {
    this.#clock = clock;
    this.#passed = passed;
  }

  /** Due `delayMs` from now; 0 for never. */
  set(delayMs: number, nowMs: number): void {
    if (delayMs === 0) {
      this.clear();
      return;
    }
    this.#dueMs = nowMs + delayMs;
    if (this.#dueMs < this.#armedForMs) this.#arm(delayMs);
  }

  /** Never due, until set again. */
  clear(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
  }

  /** For the end: no timer is left behind. */
  cancel(): void {
    this.clear();
    this.#timer?.cancel();
    this.#armedForMs = Number.POSITIVE_INFINITY;
  }

  #arm(delayMs: number): void {
    this.#timer?.cancel();
    this.#armedForMs = this.#dueMs;
    this.#timer = this.#clock.after(delayMs, () => this.#fired());
  }

  #fired(): void {
    this.#armedForMs = Number.POSITIVE_INFINITY;
    if (this.#dueMs === Number.POSITIVE_INFINITY) return;
    const leftMs = this.#dueMs - this.#clock.nowMs();
    if (leftMs > 0) {
      // Rounded up: timers are whole milliseconds and may fire a fraction early.
      this.#arm(Math.ceil(leftMs));
      return;
    }
    this.clear();
    this.#passed();
  }
}
