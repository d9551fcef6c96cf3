import { LatencySketch } from "./latency-sketch.js";

/** When a second try is sent beside a first one that has not answered. */
export type HedgeAfter =
  | { readonly kind: "time"; readonly delayMs: number }
  /** As long as this percent of the pool's answers take at most. */
  | { readonly kind: "percentile"; readonly percent: number };

/** Fewer answers in memory say too little of what is slow. */
const VOLUME = 100;
/** The percentile is read anew so often... */
const REFRESH_MS = 1_000;
/** ...and each time this part of the memory is left: half of it is younger than 23 seconds. */
const KEPT = 0.97;

/** Request path. How long the answers of a pool take, as far as hedging needs to know. Empty until it is used. */
export class HedgeDelay {
  #sketch: LatencySketch | undefined;
  #refreshMs = Number.NEGATIVE_INFINITY;
  #quantileMs: number | undefined;

  /** A request that may be hedged was answered, by whichever try, so long after its first one began. */
  record(ms: number): void {
    this.#sketch ??= new LatencySketch();
    this.#sketch.record(ms);
  }

  /** How long to wait before the second try; undefined while too little is known. */
  delayMs(after: HedgeAfter, nowMs: number): number | undefined {
    if (after.kind === "time") return after.delayMs;
    if (nowMs >= this.#refreshMs + REFRESH_MS) this.#refresh(after.percent, nowMs);
    return this.#quantileMs;
  }

  #refresh(percent: number, nowMs: number): void {
    const sketch = this.#sketch;
    const intervals = Math.floor((nowMs - this.#refreshMs) / REFRESH_MS);
    this.#refreshMs = nowMs;
    if (sketch === undefined) return;
    if (intervals < Number.POSITIVE_INFINITY) sketch.decay(KEPT ** intervals);
    this.#quantileMs = sketch.total < VOLUME ? undefined : sketch.quantile(percent / 100);
  }
}
