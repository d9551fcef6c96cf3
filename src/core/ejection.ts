import type { EjectionCause, OutlierMonitor } from "./outlier.js";

/** How long ejections last. */
export interface EjectionTimes {
  /** A step of the count is forgiven after so long in service. */
  readonly intervalMs: number;
  /** First ejection lasts this long, the nth n times as long. */
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
}

/**
 * Ejects; answers when it ends: base times the number of ejections, up to the ceiling, and the jitter that was
 * drawn. A duration that is given is taken as it is and not counted.
 */
export function beginEjection(
  times: EjectionTimes,
  monitor: OutlierMonitor,
  cause: EjectionCause,
  given: { readonly durationMs: number | undefined; readonly jitterMs: number },
  nowMs: number,
): number {
  const { baseEjectionTimeMs, maxEjectionTimeMs } = times;
  const { durationMs, jitterMs } = given;
  // Envoy's bound: one step past the ceiling, so that a backend ejected at the ceiling needs one more to be forgiven.
  if (
    durationMs === undefined &&
    monitor.multiplier * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs
  ) {
    monitor.multiplier++;
  }
  const counted = Math.min(baseEjectionTimeMs * monitor.multiplier, maxEjectionTimeMs) + jitterMs;
  monitor.cause = cause;
  monitor.ejectedAtMs = nowMs;
  monitor.ejectedUntilMs = nowMs + (durationMs ?? counted);
  return monitor.ejectedUntilMs;
}

/** Ends an ejection; streaks and the interval under way start anew. */
export function endEjection(monitor: OutlierMonitor, nowMs: number): void {
  monitor.cause = undefined;
  monitor.ejectedAtMs = undefined;
  monitor.ejectedUntilMs = undefined;
  monitor.returnedAtMs = nowMs;
  monitor.clearStreaks();
  monitor.external.clear();
  monitor.local.clear();
}

/** When one step of the multiplier will be forgiven; infinite when there is none, or while ejected. */
export function forgivenAtMs(times: EjectionTimes, monitor: OutlierMonitor): number {
  if (monitor.multiplier === 0 || monitor.ejectedUntilMs !== undefined) return Number.POSITIVE_INFINITY;
  return (monitor.returnedAtMs ?? 0) + times.intervalMs;
}

/** One step is forgiven per interval in service, however late this is called. */
export function forgive(times: EjectionTimes, monitor: OutlierMonitor, nowMs: number): void {
  for (let at = forgivenAtMs(times, monitor); at <= nowMs; at = forgivenAtMs(times, monitor)) {
    monitor.multiplier--;
    monitor.returnedAtMs = at;
  }
}
