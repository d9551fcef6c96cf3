import type { LatencyOptions } from "./latency.js";
import type { Outcome } from "./outcome.js";

/** What a detector can find. Detections are counted by it. */
export const DETECTED_CAUSES = [
  "consecutive-5xx",
  "consecutive-gateway-failure",
  "consecutive-connect-failure",
  "consecutive-local-origin-failure",
  "success-rate",
  "success-rate-local-origin",
  "failure-percentage",
  "failure-percentage-local-origin",
] as const;

/** One of the detectors. */
export type DetectedCause = (typeof DETECTED_CAUSES)[number];

/** Everything that ejects: the detectors, and `manual` for the operator. */
export const EJECTION_CAUSES = [...DETECTED_CAUSES, "manual"] as const;

/** Which detector fired, or `manual` for the operator. */
export type EjectionCause = (typeof EJECTION_CAUSES)[number];

/** Envoy's names and meanings; a threshold of 0 switches that detector off. */
export interface OutlierOptions {
  /** Answers of 500 and above in a row; failures of our own too, unless they are split off. */
  readonly consecutive5xx: number;
  /** 502, 503, 504 in a row; connect failures and timeouts too, unless they are split off. */
  readonly consecutiveGatewayFailure: number;
  /** Connect failures in a row. */
  readonly consecutiveConnectFailure: number;
  /** Connect failures, timeouts and resets in a row; only where they are split off. */
  readonly consecutiveLocalOriginFailure: number;
  /** Failures of the connection are judged apart from answers that are failures. */
  readonly splitExternalLocalOriginErrors: boolean;
  /** Backends with enough requests in an interval, without which success rates are not compared. */
  readonly successRateMinimumHosts: number;
  /** Requests in an interval that are enough to be compared. */
  readonly successRateRequestVolume: number;
  /** Thousandths of a standard deviation below the mean that eject. */
  readonly successRateStdevFactor: number;
  /** Failed percent of an interval's requests from which on a backend is ejected; 0 for never. */
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Chance in percent that what a detector found is acted on. */
  readonly enforcing: Readonly<Record<DetectedCause, number>>;
  /** How often success rates are compared, and ejected backends that behave forgiven one step. */
  readonly intervalMs: number;
  /** First ejection lasts this long, the nth n times as long. */
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  /** Up to so much is added to each ejection, so that those ejected together do not return together. */
  readonly maxEjectionTimeJitterMs: number;
  /** Share of the pool that may be ejected at once; one always may, the last usable one never. */
  readonly maxEjectionPercent: number;
  /** So many that take new work stay, whatever they do; at least 1. */
  readonly minHealthyBackends: number;
  /** Successes that a backend owes after an ejection: until then one failure ejects it again; 0 for none. */
  readonly probation: number;
  /** A passed active check ends an ejection. */
  readonly successfulActiveHealthCheckUneject: boolean;
  /** Demotion of backends that answer too slowly; undefined when it is off. */
  readonly latency: LatencyOptions | undefined;
}

/** For pools without detection: nothing is detected, but the operator's ejections need durations all the same. */
export const MANUAL_OUTLIER_OPTIONS = {
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
} as const;

/** How many attempts an interval saw, and how many of them failed. */
export class Tally {
  total = 0;
  failed = 0;

  clear(): void {
    this.total = 0;
    this.failed = 0;
  }
}

/** What detection remembers of one backend. It is forgotten with the backend. */
export class OutlierMonitor {
  consecutive5xx = 0;
  consecutiveGatewayFailure = 0;
  consecutiveConnectFailure = 0;
  consecutiveLocalOriginFailure = 0;
  /** Answers in the interval under way; failures of the connection too, unless they are split off. */
  readonly external = new Tally();
  /** Whether connections held in the interval under way; counts only where failures are split off. */
  readonly local = new Tally();
  /** Percent of the last interval that was judged; undefined when it saw too little. */
  successRate: number | undefined;
  /** Ejections that count towards the next duration; drops by one per interval of good conduct. */
  multiplier = 0;
  cause: EjectionCause | undefined;
  ejectedAtMs: number | undefined;
  /** End of the ejection in force. */
  ejectedUntilMs: number | undefined;
  /** From when the next interval of good conduct counts: its return, or the last forgiveness. */
  returnedAtMs: number | undefined;

  clearStreaks(): void {
    this.consecutive5xx = 0;
    this.consecutiveGatewayFailure = 0;
    this.clearLocalStreaks();
  }

  clearLocalStreaks(): void {
    this.consecutiveConnectFailure = 0;
    this.consecutiveLocalOriginFailure = 0;
  }
}

/** How many there are, for the cap. */
export interface PoolCensus {
  /** Backends discovery lists. */
  readonly present: number;
  readonly ejected: number;
  /** Backends that take new work. */
  readonly eligible: number;
}

/**
 * Request path. Takes note of how an attempt ended; answers the detector that has just reached its threshold,
 * if any. Unless they are split off a connect failure counts as 503, a timeout as 504 and any other failure of
 * the transport as 500. A streak that reaches its threshold starts anew, whether or not an ejection follows;
 * where several do so at once the most particular is named.
 *
 * Split off, failures of the connection leave the streaks of answers alone, and any answer ends theirs.
 *
 * @param status the answer's, as HTTP has it
 */
export function recordOutcome(
  options: OutlierOptions,
  monitor: OutlierMonitor,
  outcome: Outcome,
  status: number,
): DetectedCause | undefined {
  switch (outcome) {
    case "ignored":
      return undefined;
    case "success":
      monitor.clearStreaks();
      monitor.external.total++;
      monitor.local.total++;
      return undefined;
    case "connect-failure":
      monitor.consecutiveConnectFailure++;
      return connectionFailed(options, monitor, 503);
    case "timeout":
      monitor.consecutiveConnectFailure = 0;
      return connectionFailed(options, monitor, 504);
    case "reset":
      monitor.consecutiveConnectFailure = 0;
      return connectionFailed(options, monitor, 500);
    case "server-error":
      monitor.clearLocalStreaks();
      monitor.local.total++;
      return answerFailed(options, monitor, status);
  }
}

function connectionFailed(
  options: OutlierOptions,
  monitor: OutlierMonitor,
  status: number,
): DetectedCause | undefined {
  let cause: DetectedCause | undefined;
  if (options.splitExternalLocalOriginErrors) {
    monitor.local.total++;
    monitor.local.failed++;
    monitor.consecutiveLocalOriginFailure++;
    if (reached(monitor.consecutiveLocalOriginFailure, options.consecutiveLocalOriginFailure)) {
      monitor.consecutiveLocalOriginFailure = 0;
      cause = "consecutive-local-origin-failure";
    }
  } else {
    cause = answerFailed(options, monitor, status);
  }
  if (reached(monitor.consecutiveConnectFailure, options.consecutiveConnectFailure)) {
    monitor.consecutiveConnectFailure = 0;
    cause = "consecutive-connect-failure";
  }
  return cause;
}

function answerFailed(
  options: OutlierOptions,
  monitor: OutlierMonitor,
  status: number,
): DetectedCause | undefined {
  monitor.external.total++;
  monitor.external.failed++;
  monitor.consecutive5xx++;
  if (status >= 502 && status <= 504) monitor.consecutiveGatewayFailure++;
  else monitor.consecutiveGatewayFailure = 0;
  let cause: DetectedCause | undefined;
  if (reached(monitor.consecutive5xx, options.consecutive5xx)) {
    monitor.consecutive5xx = 0;
    cause = "consecutive-5xx";
  }
  if (reached(monitor.consecutiveGatewayFailure, options.consecutiveGatewayFailure)) {
    monitor.consecutiveGatewayFailure = 0;
    cause = "consecutive-gateway-failure";
  }
  return cause;
}

function reached(streak: number, threshold: number): boolean {
  return threshold > 0 && streak >= threshold;
}

/**
 * Whether there is room for one more: the share counts the one about to go, one may always go where none is
 * ejected (Envoy's `always_eject_one_host`; without it the usual 10% eject nobody below ten backends), and
 * enough must stay that take new work.
 */
export function hasRoom(options: OutlierOptions, census: PoolCensus, isEligible: boolean): boolean {
  if (isEligible && census.eligible <= Math.max(options.minHealthyBackends, 1)) return false;
  if (census.ejected === 0) return true;
  return (100 * (census.ejected + 1)) / census.present <= options.maxEjectionPercent;
}
