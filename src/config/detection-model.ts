import type { OutlierOptions } from "../core/outlier.js";

/** Envoy's names and arithmetic, with the chances of enforcement by cause; a threshold of 0 switches that detector off. */
export type OutlierDetectionConfig = OutlierOptions;

/** How a backend that joins or returns is brought to its full share. */
export interface SlowStartConfig {
  readonly windowMs: number;
  /** Envoy's: the share grows with time to the power of 1/aggression. */
  readonly aggression: number;
  /** Least share from the start. */
  readonly minPercent: number;
}
