import type { ListenerConfig, PoolConfig, PoolLimits } from "./model.js";
import { poolsOf } from "./pool-use.js";
import type { ParsedConfig } from "./schema/config.js";

/** The limits of a pool, as far as they follow from the listeners before it. */
export function compileLimits(
  { name, limits }: Pick<ParsedConfig["pools"][number], "limits"> & Pick<PoolConfig, "name">,
  listeners: readonly ListenerConfig[],
  isTcpOnly: boolean,
): PoolLimits {
  const { maxRequestsPerBackend, fullConnections, retryAfter, adaptive, ...rest } = limits;
  const before = listeners.filter((listener) => poolsOf(listener).includes(name));
  const tenth = before.reduce((sum, listener) => sum + listener.limits.maxConnections, 0) / 10;
  return {
    ...rest,
    maxRequestsPerBackend: isTcpOnly ? 0 : maxRequestsPerBackend,
    // HAProxy's default for `fullconn`.
    fullConnections: fullConnections ?? Math.max(1, Math.floor(tenth)),
    retryAfterMs: retryAfter,
    // A tunnel is not answered, so its limit would have nothing to follow.
    adaptive: isTcpOnly ? undefined : compileAdaptive(adaptive),
  };
}

function compileAdaptive(
  adaptive: ParsedConfig["pools"][number]["limits"]["adaptive"],
): PoolLimits["adaptive"] {
  if (adaptive === undefined) return undefined;
  const { interval, minDifference, minRttInterval, ...rest } = adaptive;
  return { ...rest, intervalMs: interval, minDifferenceMs: minDifference, minRttIntervalMs: minRttInterval };
}
