import type { OutlierDetectionConfig, SlowStartConfig } from "./detection-model.js";
import type { ParsedConfig } from "./schema/config.js";
import { outlierDetectionDefaults } from "./schema/outlier-detection.js";

type ParsedPool = ParsedConfig["pools"][number];

/** Outlier detection of a pool; undefined where it is off. */
export function compileOutlierDetection(
  detection: ParsedPool["outlierDetection"],
  isOffByDefault: boolean,
): OutlierDetectionConfig | undefined {
  if (detection === false || (detection === undefined && isOffByDefault)) return undefined;
  const {
    interval,
    baseEjectionTime,
    maxEjectionTime,
    maxEjectionTimeJitter,
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
  };
}

/** Slow start of a pool; undefined where it is off. */
export function compileSlowStart(slowStart: ParsedPool["slowStart"]): SlowStartConfig | undefined {
  if (slowStart === undefined) return undefined;
  const { window, ...rest } = slowStart;
  return { ...rest, windowMs: window };
}
