import type { OutlierOptions, Tally } from "./outlier.js";

/** Mean, deviation and the threshold that follows, in percent. */
export interface RateThreshold {
  readonly mean: number;
  readonly stdev: number;
  /** Below it a backend is an outlier. */
  readonly threshold: number;
}

/** Percent of an interval's attempts that succeeded. */
export function successRateOf(tally: Tally): number {
  return (100 * (tally.total - tally.failed)) / tally.total;
}

/**
 * Envoy's threshold: the mean less a number of standard deviations of the population, which is given in
 * thousandths. Undefined when there are too few rates. `rates` are those of the backends with enough volume.
 */
export function successRateThreshold(
  rates: readonly number[],
  options: OutlierOptions,
): RateThreshold | undefined {
  if (rates.length === 0 || rates.length < options.successRateMinimumHosts) return undefined;
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / rates.length;
  const stdev = Math.sqrt(variance);
  return { mean, stdev, threshold: mean - (stdev * options.successRateStdevFactor) / 1000 };
}

/** One backend's interval. */
export interface Sample<Subject> {
  readonly subject: Subject;
  readonly tally: Tally;
}

/** Those whose success rate lies below the threshold, with the reason in words. */
export function* rateOutliers<Subject>(
  samples: readonly Sample<Subject>[],
  options: OutlierOptions,
): Generator<readonly [Subject, string]> {
  const judged = samples.filter(
    ({ tally }) => tally.total > 0 && tally.total >= options.successRateRequestVolume,
  );
  const found = successRateThreshold(
    judged.map(({ tally }) => successRateOf(tally)),
    options,
  );
  if (found === undefined) return;
  for (const { subject, tally } of judged) {
    const rate = successRateOf(tally);
    if (rate >= found.threshold) continue;
    const against = `mean ${rounded(found.mean)}%, deviation ${rounded(found.stdev)}%`;
    yield [subject, `${rounded(rate)}% succeeded, less than ${rounded(found.threshold)}% (${against})`];
  }
}

/** Those that failed too large a part of their attempts, with the reason in words. */
export function* failureOutliers<Subject>(
  samples: readonly Sample<Subject>[],
  options: OutlierOptions,
): Generator<readonly [Subject, string]> {
  const { failurePercentageThreshold: threshold } = options;
  if (threshold === 0) return;
  const judged = samples.filter(
    ({ tally }) => tally.total > 0 && tally.total >= options.failurePercentageRequestVolume,
  );
  if (judged.length < options.failurePercentageMinimumHosts) return;
  for (const { subject, tally } of judged) {
    const failed = 100 - successRateOf(tally);
    if (failed >= threshold) yield [subject, `${rounded(failed)}% of ${tally.total} failed`];
  }
}

function rounded(percent: number): number {
  return Math.round(percent * 10) / 10;
}
