import type { AdaptiveLimitOptions } from "../../src/core/adaptive-limit.js";

/** A limit that follows latency, with the defaults of the configuration. */
export const ADAPTIVE_LIMIT: AdaptiveLimitOptions = {
  minLimit: 3,
  maxLimit: 1_000,
  intervalMs: 100,
  minSamples: 20,
  percentile: 50,
  bufferPercent: 25,
  minDifferenceMs: 2,
  minRttIntervalMs: 60_000,
  minRttJitterPercent: 15,
  minRttSamples: 100,
};
