/** What a set of measured values looks like, each rounded to a tenth. */
export interface Distribution {
  readonly samples: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
}

/** Sums up values of at least one sample; a share is the smallest value that at least so many reach. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1));
  return { samples: sorted.length, min: at(0), p50: at(0.5), p90: at(0.9), max: at(1) };
}
