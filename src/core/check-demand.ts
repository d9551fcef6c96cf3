/** Probes of one backend come no closer, however great the demand. */
export const LEAST_PAUSE_MS = 5;

/**
 * How soon a backend that is down is worth another probe, by the work that it is missing from: as often as a share of
 * the requests it would have taken. A pool at rest is probed as seldom as configured, and in a busy one the probes stay
 * a small part of the traffic that a return relieves.
 */
export class CheckDemand {
  #wanted: number;
  #sinceMs: number;

  /** @param wanted requests of the pool so far, served or not */
  constructor(wanted: number, nowMs: number) {
    this.#wanted = wanted;
    this.#sinceMs = nowMs;
  }

  /**
   * Pause from now on by the requests since it was asked last, in ms; infinite when there were none.
   *
   * @param percent of the requests that one backend has of the pool's
   * @param backends how many share them
   */
  pauseMs(percent: number, wanted: number, backends: number, nowMs: number): number {
    const probes = this.#probes(percent, wanted, backends);
    const elapsedMs = nowMs - this.#sinceMs;
    this.#wanted = wanted;
    this.#sinceMs = nowMs;
    return probes > 0 ? Math.max(elapsedMs / probes, LEAST_PAUSE_MS) : Number.POSITIVE_INFINITY;
  }

  /**
   * Whether the pause foreseen then is too long by what came since: the requests are worth a probe already. Asking
   * changes nothing.
   */
  isWorthProbe(percent: number, wanted: number, backends: number): boolean {
    return this.#probes(percent, wanted, backends) >= 1;
  }

  /** How many probes the requests since then are worth. */
  #probes(percent: number, wanted: number, backends: number): number {
    return (percent * (wanted - this.#wanted)) / 100 / Math.max(backends, 1);
  }
}
