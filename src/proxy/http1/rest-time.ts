/** How long what was seen counts: it is kept for one to two of these. */
const MEMORY_MS = 60_000;

/**
 * Request path. How long one backend lets connections rest, learnt from those that it closed. A backend closes by a
 * clock of its own, which began before its answer was read here; so only half of the shortest time is trusted.
 */
export class RestTime {
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestBeforeMs = Number.POSITIVE_INFINITY;
  #beganMs: number;

  constructor(nowMs: number) {
    this.#beganMs = nowMs;
  }

  /** The backend closed a connection that had rested for so long. */
  closed(restedMs: number, nowMs: number): void {
    this.#age(nowMs);
    this.#shortestMs = Math.min(this.#shortestMs, restedMs);
  }

  /** A connection that rested for less than this will hardly be closed at this moment; no limit while nothing is known. */
  trustedMs(nowMs: number): number {
    this.#age(nowMs);
    return Math.min(this.#shortestMs, this.#shortestBeforeMs) / 2;
  }

  #age(nowMs: number): void {
    const ageMs = nowMs - this.#beganMs;
    if (ageMs < MEMORY_MS) return;
    this.#shortestBeforeMs = ageMs < 2 * MEMORY_MS ? this.#shortestMs : Number.POSITIVE_INFINITY;
    this.#shortestMs = Number.POSITIVE_INFINITY;
    this.#beganMs = nowMs;
  }
}
