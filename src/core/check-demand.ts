/** Probes of one backend come no closer, however great the demand. */
const LEAST_PAUSE_MS = 5;

/**
 * How soon a backend that is down is worth another probe, by the work that it is missing from: as often as a share of
 * the requests it would have taken. A pool at rest is probed as seldom as configured, and in a busy one the probes stay
 * a small part of the traffic that a return relieves.
 */
export class CheckDemand {
  #taken: number;
  #sinceMs: number;

  /** @param taken requests of the pool so far */
  constructor(taken: number, nowMs: number) {
    this.#taken = taken;
    this.#sinceMs = nowMs;
  }

  /**
   * Pause from now on by the requests since it was asked last, in ms; infinite when there were none.
   *
   * @param percent of the requests that one backend has of the pool's
   * @param backends how many share them
   */
  pauseMs(percent: number, taken: number, backends: number, nowMs: number): number {
    const requests = taken - this.#taken;
    const elapsedMs = nowMs - this.#sinceMs;
    this.#taken = taken;
    this.#sinceMs = nowMs;
    const probes = (percent * requests) / 100 / Math.max(backends, 1);
    return probes > 0 ? Math.max(elapsedMs / probes, LEAST_PAUSE_MS) : Number.POSITIVE_INFINITY;
  }
}
