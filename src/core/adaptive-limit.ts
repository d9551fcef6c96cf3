import { LatencySketch } from "./latency-sketch.js";

/** How the limit of a backend follows its latency; Envoy's gradient controller, with its names where it has them. */
export interface AdaptiveLimitOptions {
  /** Never below, at least 1; also what a backend gets before its latency is known. */
  readonly minLimit: number;
  /** Never above. */
  readonly maxLimit: number;
  /** Least time from one limit to the next. */
  readonly intervalMs: number;
  /** Answers that an interval has to hold; it goes on until it does. */
  readonly minSamples: number;
  /** The time that counts: the one this percent of the answers do not exceed. */
  readonly percentile: number;
  /** How much slower than at little load is well, in percent... */
  readonly bufferPercent: number;
  /** ...but at least so much slower, since less is nothing but noise. */
  readonly minDifferenceMs: number;
  /** How often the latency at little load is measured anew... */
  readonly minRttIntervalMs: number;
  /** ...and up to so many percent of it later, so that not all do it together. */
  readonly minRttJitterPercent: number;
  /** Answers that such a measurement takes. */
  readonly minRttSamples: number;
}

/** A measurement takes at most this part of the time between two, and one that is urgent comes after as long. */
const SOON = 0.1;
/** What is over sooner is answered by the fastest alone, so nothing is over before so many times the latency. */
const PACE = 3;
/** Bounds of one step; Envoy's. */
const LEAST_GRADIENT = 0.5;
const MOST_GRADIENT = 2;
/** In so many intervals in a row the latency at little load showed to be another one. */
const PATIENCE = 3;
/** It did when less was given and the latency came down to no less than this part of what it was before... */
const NO_BETTER = 0.9;
/** ...or when it was less than this part of the one at little load. */
const FAR_BELOW = 0.5;
/** Measured at less than this part of what it was before, it may still hold a part of the load. */
const LOWER = 0.8;

/**
 * Request path, where it is configured. The most that a backend is given at once, found by its latency: the limit is
 * multiplied by what latency ought to be over what it is, and the square root of that is added so that there is always
 * something to find out with (Envoy's gradient controller). What it ought to be is measured from time to time while
 * little is given.
 *
 * Other than Envoy's on purpose. A measurement takes away half of the limit rather than all but the least, and gives up
 * after a while. A limit that is not used stays as it is, since then latency says nothing about it (Netflix'
 * Gradient2). And where giving less does not help, or answers come far below the latency at little load, the backend itself
 * has become slower or faster: what it shows now is taken for that latency until the next measurement, which comes soon.
 */
export class AdaptiveLimit {
  readonly #random: () => number;
  readonly #sketch = new LatencySketch();
  /** With a fraction, so that small limits can grow in steps below one. */
  #learnt = 0;
  #minRttMs: number | undefined;
  #sampleMs: number | undefined;
  /** Begin of the interval or of the measurement; what was begun earlier met another load. Undefined before the first answer. */
  #sinceMs: number | undefined;
  #isMeasuring = true;
  #nextMeasurementMs = 0;
  /** Most leases at once in the interval. */
  #peak = 0;
  /** Whether the last step took something away. */
  #isLowered = false;
  /** Intervals in a row in which the latency at little load showed to be another one. */
  #doubts = 0;

  /** @param random chance of the jitter, from 0 to below 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Whether the latency at little load is being measured. */
  get isMeasuring(): boolean {
    return this.#isMeasuring;
  }

  /** The latency at little load, in milliseconds; undefined before it was measured. */
  get minRttMs(): number | undefined {
    return this.#minRttMs;
  }

  /** The latency that the last interval had, in milliseconds; undefined before the first. */
  get sampleMs(): number | undefined {
    return this.#sampleMs;
  }

  /** Most leases at once as things stand, a whole number. */
  limit({ minLimit, maxLimit }: AdaptiveLimitOptions): number {
    const wanted = !this.#isMeasuring
      ? this.#learnt
      : this.#minRttMs === undefined
        ? minLimit
        : this.#learnt / 2;
    return Math.max(minLimit, Math.min(maxLimit, Math.floor(wanted)));
  }

  /** When a measurement gives up; infinite while there is none that may. */
  givesUpMs({ minRttIntervalMs }: AdaptiveLimitOptions): number {
    if (!this.#isMeasuring || this.#minRttMs === undefined || this.#sinceMs === undefined)
      return Number.POSITIVE_INFINITY;
    return this.#sinceMs + minRttIntervalMs * SOON;
  }

  /**
   * A backend answered after `ms`. The limit may be another one then.
   *
   * @param takenMs when the lease began
   * @param inFlight leases that were open, this one included
   */
  answered(
    options: AdaptiveLimitOptions,
    ms: number,
    takenMs: number,
    inFlight: number,
    nowMs: number,
  ): void {
    this.#sinceMs ??= takenMs;
    if (takenMs < this.#sinceMs) {
      // A measurement that nobody ends by what was begun in it ends by the time.
      this.giveUp(options, nowMs);
      return;
    }
    this.#sketch.record(ms);
    if (inFlight > this.#peak) this.#peak = inFlight;
    const passedMs = nowMs - this.#sinceMs;
    if (this.#isMeasuring) this.#measure(options, passedMs, nowMs);
    else if (passedMs >= options.intervalMs && this.#sketch.total >= options.minSamples)
      this.#adjust(options, passedMs, nowMs);
  }

  /** As `answered`, for whoever was not waited for any longer: it would have taken more than `ms`. */
  abandoned(
    options: AdaptiveLimitOptions,
    ms: number,
    takenMs: number,
    inFlight: number,
    nowMs: number,
  ): void {
    if (this.#minRttMs !== undefined && ms > this.#goodMs(options, this.#minRttMs))
      this.answered(options, ms, takenMs, inFlight, nowMs);
  }

  /** Gives a measurement up whose time is over: too little came. */
  giveUp(options: AdaptiveLimitOptions, nowMs: number): void {
    if (this.givesUpMs(options) <= nowMs) this.#endMeasurement(options, false, nowMs);
  }

  #measure(options: AdaptiveLimitOptions, passedMs: number, nowMs: number): void {
    const { minRttSamples, minSamples, percentile, minRttIntervalMs } = options;
    const { total } = this.#sketch;
    const isLate = passedMs >= minRttIntervalMs * SOON;
    if (total >= minRttSamples || (isLate && total >= minSamples)) {
      const ms = this.#sketch.quantile(percentile / 100) ?? 0;
      if (passedMs >= ms * PACE) {
        const isLower = this.#minRttMs !== undefined && ms < this.#minRttMs * LOWER;
        this.#minRttMs = ms;
        this.#endMeasurement(options, isLower, nowMs);
        return;
      }
    }
    this.giveUp(options, nowMs);
  }

  #endMeasurement(options: AdaptiveLimitOptions, isUrgent: boolean, nowMs: number): void {
    this.#isMeasuring = false;
    this.#learnt = Math.max(this.#learnt, options.minLimit);
    this.#plan(options, isUrgent, nowMs);
    this.#begin(nowMs);
  }

  /** Says when the latency at little load is measured next. */
  #plan(
    { minRttIntervalMs, minRttJitterPercent }: AdaptiveLimitOptions,
    isUrgent: boolean,
    nowMs: number,
  ): void {
    const waitMs = isUrgent ? minRttIntervalMs * SOON : minRttIntervalMs;
    this.#nextMeasurementMs = nowMs + waitMs * (1 + (this.#random() * minRttJitterPercent) / 100);
    this.#doubts = 0;
  }

  /** Ends an interval. */
  #adjust(options: AdaptiveLimitOptions, passedMs: number, nowMs: number): void {
    const sampleMs = this.#sketch.quantile(options.percentile / 100);
    const minRttMs = this.#minRttMs;
    if (sampleMs === undefined || minRttMs === undefined || passedMs < sampleMs * PACE) return;
    const peak = this.#peak;
    const isFarBelow = sampleMs < minRttMs * FAR_BELOW;
    const isInVain = this.#isLowered && sampleMs >= (this.#sampleMs ?? 0) * NO_BETTER;
    this.#isLowered = false;
    this.#sampleMs = sampleMs;
    this.#begin(nowMs);
    // Far below there is nothing to go by yet, so nothing is given on it.
    if (peak >= this.#learnt / 2 && !isFarBelow) this.#step(options, minRttMs, sampleMs, peak);
    this.#doubts = isFarBelow || (isInVain && this.#isLowered) ? this.#doubts + 1 : 0;
    if (this.#doubts >= PATIENCE) {
      this.#minRttMs = sampleMs;
      this.#plan(options, true, nowMs);
    } else if (nowMs >= this.#nextMeasurementMs) {
      this.#isMeasuring = true;
    }
  }

  #step(options: AdaptiveLimitOptions, minRttMs: number, sampleMs: number, peak: number): void {
    const { minLimit, maxLimit } = options;
    // What another limit holds down must not grow away from it: it would not come back once it has to.
    const most = Math.min(maxLimit, Math.max(this.#learnt, 2 * peak));
    const asked = this.#goodMs(options, minRttMs) / sampleMs;
    const gradient = Math.max(LEAST_GRADIENT, Math.min(MOST_GRADIENT, asked));
    const kept = this.#learnt * gradient;
    const next = Math.max(minLimit, Math.min(most, kept + Math.sqrt(kept)));
    this.#isLowered = next < this.#learnt * NO_BETTER || (next === minLimit && gradient < 1);
    this.#learnt = next;
  }

  #begin(nowMs: number): void {
    this.#sketch.clear();
    this.#sinceMs = nowMs;
    this.#peak = 0;
  }

  /** The longest latency that still counts as that at little load. */
  #goodMs({ bufferPercent, minDifferenceMs }: AdaptiveLimitOptions, minRttMs: number): number {
    return minRttMs + Math.max((minRttMs * bufferPercent) / 100, minDifferenceMs);
  }
}
