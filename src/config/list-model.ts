/** What the configuration says of lists of endpoints on their way to a pool, checked and complete as all of `model.ts`. */

/** When an answer of discovery is not believed at once. */
export interface SuspicionConfig {
  /** An answer that leaves so many percent fewer than took work before; 100: that leaves none. */
  readonly removedPercent: number;
  /** Longest time such an answer is held. */
  readonly holdMs: number;
  /** How long a good answer to real traffic counts as a sign of life. */
  readonly evidenceMs: number;
}

/** Penalties for instances that come and go: RFC 2439 in the names of Cisco's `bgp dampening`. */
export interface FlapDampingConfig {
  readonly halfLifeMs: number;
  /** Penalty from which an instance is suppressed; each departure adds 1000. */
  readonly suppress: number;
  /** Penalty below which it takes work again. */
  readonly reuse: number;
  /** Longest suppression after the last departure. */
  readonly maxSuppressMs: number;
  readonly maxSuppressedPercent: number;
}

/** The last good list on disk, where there is a folder for state. */
export interface SavedListConfig {
  /** An older list is not used. */
  readonly maxAgeMs: number;
}
