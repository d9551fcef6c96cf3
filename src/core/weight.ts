/** Greatest weight of a backend, as in HAProxy. */
export const GREATEST_WEIGHT = 256;

/**
 * Factor that brings a pool's discovered weights into 0..256. Consul allows up to 65535; a pool in which any
 * weight is greater than 256 is scaled together, so that proportions stay.
 */
export function weightScale(rawWeights: Iterable<number>): number {
  let greatest = 0;
  for (const weight of rawWeights) greatest = Math.max(greatest, weight);
  return greatest > GREATEST_WEIGHT ? GREATEST_WEIGHT / greatest : 1;
}

/** A discovered weight on the pool's scale: whole, and at least 1 unless it was 0. */
export function scaledWeight(raw: number, scale: number): number {
  return raw === 0 ? 0 : Math.max(1, Math.round(raw * scale));
}

/** What an operator asked for: a weight of its own, or a percentage of the discovered one. */
export type WeightChange =
  | { readonly kind: "weight"; readonly weight: number }
  | { readonly kind: "percent"; readonly percent: number };

/**
 * Weight in sixteenths (HAProxy's eweight): 0 to 4096, at least 1 unless 0 was asked for, so that ten percent
 * of weight 1 still means something. What was asked for beyond 256 counts as 256.
 */
export function weightInSixteenths(discovered: number, change: WeightChange | undefined): number {
  const wanted =
    change === undefined
      ? discovered
      : change.kind === "weight"
        ? Math.min(change.weight, GREATEST_WEIGHT)
        : Math.min((discovered * change.percent) / 100, GREATEST_WEIGHT);
  return wanted === 0 ? 0 : Math.max(1, Math.round(wanted * 16));
}

/** A weight in sixteenths times a factor of 0 to 1: at least 1 unless it was 0. */
export function reducedWeight(weight16: number, factor: number): number {
  return weight16 === 0 ? 0 : Math.max(1, Math.round(weight16 * factor));
}
