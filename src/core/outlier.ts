import type { Outcome } from "./outcome.js";

/** Envoy's names; a threshold of 0 switches that detector off. */
export interface OutlierOptions {
  /** Answers of 500 and above in a row, failures of our own included. */
  readonly consecutive5xx: number;
  /** 502, 503, 504, connect failures and timeouts in a row. */
  readonly consecutiveGatewayFailure: number;
  /** Connect failures in a row. */
  readonly consecutiveConnectFailure: number;
  /** How often ejected backends that behave are forgiven one step. */
  readonly intervalMs: number;
  /** First ejection lasts this long, the nth n times as long. */
  readonly baseEjectionTimeMs: number;
  readonly maxEjectionTimeMs: number;
  /** Share of the pool that may be ejected at once; one always may, the last usable one never. */
  readonly maxEjectionPercent: number;
}

/** For pools without detection: nothing is detected, but the operator's ejections need durations all the same. */
export const MANUAL_OUTLIER_OPTIONS: OutlierOptions = {
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
  consecutiveConnectFailure: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionPercent: 100,
};

/** Which detector fired, or `manual` for the operator. */
export type EjectionCause =
  | "consecutive-5xx"
  | "consecutive-gateway-failure"
  | "consecutive-connect-failure"
  | "manual";

/** What detection remembers of one backend. It is forgotten with the backend. */
export class OutlierMonitor {
  consecutive5xx = 0;
  consecutiveGatewayFailure = 0;
  consecutiveConnectFailure = 0;
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
    this.consecutiveConnectFailure = 0;
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

/** Outlier detection by Envoy's arithmetic over consecutive failures. Pure: it advises, the pool acts. */
export class OutlierDetector {
  readonly #options: () => OutlierOptions;

  /** @param options read at each use, since a reload may change them */
  constructor(options: () => OutlierOptions) {
    this.#options = options;
  }

  get options(): OutlierOptions {
    return this.#options();
  }

  /**
   * Takes note of an outcome; answers the detector that has just reached its threshold, if any. A connect
   * failure counts as 503, a timeout as 504 and any other failure of the transport as 500 (Envoy's unsplit
   * mode). A streak that reaches its threshold starts anew, whether or not an ejection follows; where several
   * do so at once the most particular is named.
   */
  record(monitor: OutlierMonitor, outcome: Outcome, status: number): EjectionCause | undefined {
    switch (outcome) {
      case "ignored":
        return undefined;
      case "success":
        monitor.clearStreaks();
        return undefined;
      case "connect-failure":
        monitor.consecutiveConnectFailure++;
        return this.#failed(monitor, 503);
      case "timeout":
        monitor.consecutiveConnectFailure = 0;
        return this.#failed(monitor, 504);
      case "reset":
        monitor.consecutiveConnectFailure = 0;
        return this.#failed(monitor, 500);
      case "server-error":
        monitor.consecutiveConnectFailure = 0;
        return this.#failed(monitor, status);
    }
  }

  #failed(monitor: OutlierMonitor, status: number): EjectionCause | undefined {
    monitor.consecutive5xx++;
    if (status >= 502 && status <= 504) monitor.consecutiveGatewayFailure++;
    else monitor.consecutiveGatewayFailure = 0;
    const { options } = this;
    let cause: EjectionCause | undefined;
    if (reached(monitor.consecutive5xx, options.consecutive5xx)) {
      monitor.consecutive5xx = 0;
      cause = "consecutive-5xx";
    }
    if (reached(monitor.consecutiveGatewayFailure, options.consecutiveGatewayFailure)) {
      monitor.consecutiveGatewayFailure = 0;
      cause = "consecutive-gateway-failure";
    }
    if (reached(monitor.consecutiveConnectFailure, options.consecutiveConnectFailure)) {
      monitor.consecutiveConnectFailure = 0;
      cause = "consecutive-connect-failure";
    }
    return cause;
  }

  /**
   * Whether the cap leaves room for one more: the share counts the one about to go, one may always go where
   * none is ejected (Envoy's `always_eject_one_host`), and at least one must stay that takes new work.
   */
  hasRoom(census: PoolCensus, isEligible: boolean): boolean {
    if (isEligible && census.eligible <= 1) return false;
    if (census.ejected === 0) return true;
    return (100 * (census.ejected + 1)) / census.present <= this.options.maxEjectionPercent;
  }

  /** Ejects; answers when it ends: base times the number of ejections, up to the ceiling. */
  eject(monitor: OutlierMonitor, cause: EjectionCause, nowMs: number, durationMs?: number): number {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.options;
    // Envoy's bound: one step past the ceiling, so that a backend ejected at the ceiling needs one more to be forgiven.
    if (
      durationMs === undefined &&
      monitor.multiplier * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs
    ) {
      monitor.multiplier++;
    }
    const duration = durationMs ?? Math.min(baseEjectionTimeMs * monitor.multiplier, maxEjectionTimeMs);
    monitor.cause = cause;
    monitor.ejectedAtMs = nowMs;
    monitor.ejectedUntilMs = nowMs + duration;
    return monitor.ejectedUntilMs;
  }

  /** Ends an ejection; streaks start anew. */
  unEject(monitor: OutlierMonitor, nowMs: number): void {
    monitor.cause = undefined;
    monitor.ejectedAtMs = undefined;
    monitor.ejectedUntilMs = undefined;
    monitor.returnedAtMs = nowMs;
    monitor.clearStreaks();
  }

  /** When one step of the multiplier will be forgiven; infinite when there is none, or while ejected. */
  forgivenAtMs(monitor: OutlierMonitor): number {
    if (monitor.multiplier === 0 || monitor.ejectedUntilMs !== undefined) return Number.POSITIVE_INFINITY;
    return (monitor.returnedAtMs ?? 0) + this.options.intervalMs;
  }

  /** One step is forgiven per interval in service, however late this is called. */
  forgive(monitor: OutlierMonitor, nowMs: number): void {
    for (let at = this.forgivenAtMs(monitor); at <= nowMs; at = this.forgivenAtMs(monitor)) {
      monitor.multiplier--;
      monitor.returnedAtMs = at;
    }
  }
}

function reached(streak: number, threshold: number): boolean {
  return threshold > 0 && streak >= threshold;
}
