/** Bounds of the pause before a further try. */
export interface BackoffRules {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Pause before a try, with full jitter: uniform between 0 and `base * (2^n - 1)`, capped, for the nth try after the
 * first (Envoy's `retry_back_off`).
 *
 * @param random uniform in [0, 1)
 */
export function backoffMs(rules: BackoffRules, retry: number, random: number): number {
  return random * Math.min(rules.baseMs * (2 ** Math.min(retry, 30) - 1), rules.maxMs);
}
