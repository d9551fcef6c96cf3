/**
 * Token bucket that may go into debt: a caller learns how long to wait instead of being turned away. Without
 * calls it costs nothing; there is no timer in it.
 */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #updatedMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#updatedMs = nowMs;
  }

  /** Takes one token; returns the milliseconds until it is there, 0 when it was. */
  takeDelayMs(nowMs: number): number {
    const refilled = this.#tokens + ((nowMs - this.#updatedMs) * this.#perSecond) / 1_000;
    this.#tokens = Math.min(this.#burst, refilled) - 1;
    this.#updatedMs = nowMs;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1_000) / this.#perSecond;
  }
}

/** Bounds of a doubling delay. */
export interface BackoffBounds {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * The delay after the n-th failure in a row (n from 1): doubles from `minMs` to `maxMs`, of which `random`
 * (uniform in [0, 1)) chooses between half and all, so that many sidecars do not come back together.
 */
export function backoffDelayMs(failures: number, bounds: BackoffBounds, random: number): number {
  const full = Math.min(bounds.maxMs, bounds.minMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return full * (0.5 + random / 2);
}
