import type { OutlierDetectionConfig, SlowStartConfig } from "./detection-model.js";
import type { ParsedConfig } from "./schema/config.js";
import { latencyDefaults, outlierDetectionDefaults } from "./schema/outlier-detection.js";

/** Algorithms under which backends serve different requests, so that their times do not compare, and a new weight moves keys. */
const KEYED_ALGORITHMS: readonly string[] = ["consistent-hash", "maglev"];

type ParsedPool = ParsedConfig["pools"][number];

/** Outlier detection of a pool; undefined where it is off. */
export function compileOutlierDetection(
  detection: ParsedPool["outlierDetection"],
  isOffByDefault: boolean,
  algorithm: string,
): OutlierDetectionConfig | undefined {
  if (detection === false || (detection === undefined && isOffByDefault)) return undefined;
  const {
    interval,
    baseEjectionTime,
    maxEjectionTime,
    maxEjectionTimeJitter,
    latency,
    enforcingConsecutive5xx,
    enforcingConsecutiveGatewayFailure,
    enforcingConsecutiveConnectFailure,
    enforcingConsecutiveLocalOriginFailure,
    enforcingSuccessRate,
    enforcingLocalOriginSuccessRate,
    enforcingFailurePercentage,
    enforcingFailurePercentageLocalOrigin,
    ...thresholds
  } = detection ?? outlierDetectionDefaults;
  return {
    ...thresholds,
    enforcing: {
      "consecutive-5xx": enforcingConsecutive5xx,
      "consecutive-gateway-failure": enforcingConsecutiveGatewayFailure,
      "consecutive-connect-failure": enforcingConsecutiveConnectFailure,
      "consecutive-local-origin-failure": enforcingConsecutiveLocalOriginFailure,
      "success-rate": enforcingSuccessRate,
      "success-rate-local-origin": enforcingLocalOriginSuccessRate,
      "failure-percentage": enforcingFailurePercentage,
      "failure-percentage-local-origin": enforcingFailurePercentageLocalOrigin,
    },
    intervalMs: interval,
    baseEjectionTimeMs: baseEjectionTime,
    maxEjectionTimeMs: maxEjectionTime,
    maxEjectionTimeJitterMs: maxEjectionTimeJitter,
    latency: compileLatency(latency ?? !KEYED_ALGORITHMS.includes(algorithm)),
  };
}

function compileLatency(
  latency: NonNullable<typeof outlierDetectionDefaults.latency>,
): OutlierDetectionConfig["latency"] {
  if (latency === false) return undefined;
  const { minDifference, interval, ...rest } = latency === true ? latencyDefaults : latency;
  return { ...rest, minDifferenceMs: minDifference, intervalMs: interval };
}

/** Slow start of a pool; undefined where it is off. */
export function compileSlowStart(slowStart: ParsedPool["slowStart"]): SlowStartConfig | undefined {
  if (slowStart === undefined) return undefined;
  const { window, ...rest } = slowStart;
  return { ...rest, windowMs: window };
}
