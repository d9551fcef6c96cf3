/** How a backend that joins or returns is brought to its full share. */
export interface SlowStartConfig {
  readonly windowMs: number;
  /** Envoy's: the share grows with time to the power of 1/aggression. */
  readonly aggression: number;
  /** Least share from the start. */
  readonly minPercent: number;
}
