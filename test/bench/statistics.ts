/** What the rounds of a benchmark say together: medians, intervals and paired ratios. Pure. */

/** A median and the interval it lies in, in the unit of the samples. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** How many samples it stands on. */
  readonly samples: number;
}

/** Middle value, the mean of the two middle ones for an even count. NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? Number.NaN : (lower + upper) / 2;
}

/**
 * How many of the smallest (and of the largest) samples may be left out so that the rest still covers the
 * median with a confidence of at least 95%, by the binomial order-statistic rule; 0 for eight samples or fewer,
 * where the interval is the whole spread.
 */
export function trimmedRanks(samples: number): number {
  let trimmed = 0;
  let tail = 0.5 ** samples;
  let term = tail;
  for (;;) {
    term *= (samples - trimmed) / (trimmed + 1);
    tail += term;
    if (!(tail <= 0.025)) return trimmed;
    trimmed += 1;
  }
}

/** Median with its interval (95% or better from six samples on, otherwise the spread). Undefined for no values. */
export function summarize(values: readonly number[]): Summary | undefined {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  const trimmed = trimmedRanks(sorted.length);
  const low = sorted[trimmed];
  const high = sorted[sorted.length - 1 - trimmed];
  if (low === undefined || high === undefined) return undefined;
  return { median: median(sorted), low, high, samples: sorted.length };
}

/**
 * Ratios of values to the reference measured in the same round. Pairing takes out what slows a whole round
 * down. A round that misses either side is left out.
 */
export function pairedRatios(
  values: ReadonlyMap<number, number>,
  reference: ReadonlyMap<number, number>,
): number[] {
  const ratios: number[] = [];
  for (const [round, value] of values) {
    const base = reference.get(round);
    if (base !== undefined && base > 0) ratios.push(value / base);
  }
  return ratios;
}
