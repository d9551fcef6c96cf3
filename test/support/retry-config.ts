import type { RetryConfig } from "../../src/config/retry-model.js";

/** What a pool has that says nothing of retries, and the given changes. */
export function retryConfig(changes: Partial<RetryConfig> = {}): RetryConfig {
  return {
    max: 3,
    redispatch: true,
    redispatchInterval: 1,
    perTryMs: 0,
    on: ["conn-failure", "empty-response"],
    nonIdempotent: false,
    maxBodyBytes: 64 * 1024,
    expectContinueMs: 0,
    backoff: { baseMs: 25, maxMs: 250 },
    hedge: undefined,
    budget: { percent: 50, min: 10 },
    ...changes,
  };
}
