import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import type { AdaptiveLimit } from "./generated/pilotfish/admin/v1/admin.js";

/** The limit that follows the latency of a backend; undefined where none does. */
export function adaptiveMessage({ options }: Pool, { adaptive }: Backend): AdaptiveLimit | undefined {
  if (adaptive === undefined || options.adaptiveLimit === undefined) return undefined;
  return {
    limit: adaptive.limit(options.adaptiveLimit),
    minRttMs: adaptive.minRttMs,
    latencyMs: adaptive.sampleMs,
    measuring: adaptive.isMeasuring,
  };
}
