/** Limits of a backend that grow with the load of its pool; HAProxy's `minconn` and `fullconn`. */
export interface GrowingLimit {
  /** Most leases on one backend while the pool has little to do, at least 1. */
  readonly least: number;
  /** Open and waiting work of the pool at which the whole limit is granted, at least 1. */
  readonly fullLoad: number;
}

/**
 * The limit at a load, HAProxy's `srv_dynamic_maxconn`: in proportion to the load, never below the least and
 * never above the most. Without a most there is nothing to grow to, so there is no limit.
 *
 * @param most leases on one backend at once; 0 for no limit
 * @param load open and waiting work of the pool, whoever asks included
 */
export function limitAt(most: number, growing: GrowingLimit | undefined, load: number): number {
  if (growing === undefined || most === 0 || load >= growing.fullLoad) return most;
  return Math.min(most, Math.max(growing.least, Math.floor((load * most) / growing.fullLoad)));
}

/** The smaller of two limits, of which 0 means none. */
export function leastLimit(a: number, b: number): number {
  return a === 0 ? b : b === 0 ? a : Math.min(a, b);
}
