/** Each bucket is so much wider than the one before: a quantile is right within 5%. */
const GROWTH = 1.1;
const PER_LOG = 1 / Math.log(GROWTH);
/** Shorter times are told apart no more. */
const SHORTEST_MS = 0.05;
/** Up to about 3 hours; whatever takes longer counts as that. */
const BUCKETS = 200;

/**
 * Request path. A bounded, decaying record of times: counts in buckets of geometric width, of which a part is
 * forgotten at each decay, so that what it tells is of the last few intervals. Recording costs a logarithm and
 * an addition, and allocates nothing.
 */
export class LatencySketch {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;

  /** How many times weigh in, the older ones in part. */
  get total(): number {
    return this.#total;
  }

  record(ms: number): void {
    const bucket = ms <= SHORTEST_MS ? 0 : Math.ceil(Math.log(ms / SHORTEST_MS) * PER_LOG);
    const at = bucket < BUCKETS ? bucket : BUCKETS - 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#total++;
  }

  /** The time that this share (0 to 1) of all does not exceed, in milliseconds; undefined when there is none. */
  quantile(share: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = share * this.#total;
    let last = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const count = this.#counts[bucket] as number;
      if (count === 0) continue;
      last = bucket;
      left -= count;
      // What decay and rounding leave over must not lead past the last one.
      if (left <= 1e-9) break;
    }
    return middleOf(last);
  }

  /** Takes in all that another one holds. */
  add(other: LatencySketch): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      this.#counts[bucket] = (this.#counts[bucket] as number) + (other.#counts[bucket] as number);
    this.#total += other.#total;
  }

  /** Leaves this part (0 to 1) of every count, and nothing of what has become too little to matter. */
  decay(keep: number): void {
    let total = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const left = (this.#counts[bucket] as number) * keep;
      const kept = left < 0.01 ? 0 : left;
      this.#counts[bucket] = kept;
      total += kept;
    }
    this.#total = total;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}

/** Geometric middle of a bucket. */
function middleOf(bucket: number): number {
  return bucket === 0 ? SHORTEST_MS : SHORTEST_MS * GROWTH ** (bucket - 0.5);
}
