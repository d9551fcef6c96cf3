/** Counts durations in buckets whose width is at most 1/64 of their value, so that a percentile is off by under 2%. */
export class Histogram {
  readonly #counts = new Uint32Array(64 * 32);
  #total = 0;
  #maxUs = 0;

  /** Adds one duration in microseconds. Negative ones count as 0. */
  add(durationUs: number): void {
    const us = durationUs > 0 ? Math.floor(durationUs) : 0;
    const bucket = bucketOf(us);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#total += 1;
    if (durationUs > this.#maxUs) this.#maxUs = durationUs;
  }

  get total(): number {
    return this.#total;
  }

  get maxUs(): number {
    return this.#maxUs;
  }

  /** Smallest duration (upper edge of its bucket, microseconds) that `share` (0 to 1) of all do not exceed. NaN when empty. */
  percentileUs(share: number): number {
    if (this.#total === 0) return Number.NaN;
    let left = Math.max(1, Math.ceil(share * this.#total));
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      left -= this.#counts[bucket] ?? 0;
      if (left <= 0) return upperEdge(bucket);
    }
    return this.#maxUs;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
    this.#maxUs = 0;
  }
}

/** Values below 128 have a bucket each; then 64 buckets for each doubling. */
function bucketOf(us: number): number {
  if (us < 128) return us;
  const exponent = Math.min(30, 31 - Math.clz32(us));
  const shift = exponent - 6;
  return (shift << 6) + Math.min(127, us >>> shift);
}

function upperEdge(bucket: number): number {
  if (bucket < 128) return bucket + 1;
  const shift = (bucket >> 6) - 1;
  return (bucket - (shift << 6) + 1) * 2 ** shift;
}
