import type { Backend } from "./backend.js";
import { beginEjection, type EjectionTimes, endEjection, forgive, forgivenAtMs } from "./ejection.js";
import { EjectionCounts } from "./ejection-counts.js";
import type { PoolEvent } from "./events.js";
import { LatencyComparison } from "./latency.js";
import type { Outcome } from "./outcome.js";
import {
  type DetectedCause,
  type EjectionCause,
  hasRoom,
  MANUAL_OUTLIER_OPTIONS,
  type OutlierOptions,
  type PoolCensus,
  recordOutcome,
} from "./outlier.js";
import { COUNTER } from "./scoreboard.js";
import { failureOutliers, rateOutliers, type Sample, successRateOf } from "./success-rate.js";

/** What detection sees of its pool, and what it may do there. */
export interface DetectionHost {
  /** Read at each use, since a reload may change them. Undefined: nothing is detected. */
  options(): OutlierOptions | undefined;
  backends(): Iterable<Backend>;
  census(): PoolCensus;
  /** States detection's fact of a backend. */
  state(
    backend: Backend,
    state: "active" | "ejected",
    why: string,
    untilMs: number | undefined,
    nowMs: number,
  ): void;
  /** The probation of a backend began or ended: its limit follows. */
  limited(backend: Backend): void;
  /** The demotion of a backend moved: its weight follows. */
  demoted(backend: Backend, why: string, nowMs: number): void;
  note(event: PoolEvent, nowMs: number): void;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/** An ejection that another process began. */
export interface BegunEjection {
  readonly cause: EjectionCause;
  readonly why: string;
  readonly leftMs: number;
  readonly multiplier: number;
}

/**
 * A pool's outlier detection: hears of every outcome, judges each interval at its end, ejects what a detector
 * names where the cap leaves room, and brings back what has served its time.
 */
export class Detection {
  readonly counts = new EjectionCounts();
  readonly #host: DetectionHost;
  readonly #writer: number;
  readonly #random: () => number;
  readonly #latency: LatencyComparison;
  /** End of the interval under way; infinite while no request came since the last one. */
  #sweepAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param writer the thread that counts
   * @param random chance of enforcing percentages and of the jitter, from 0 to below 1
   */
  constructor(host: DetectionHost, writer: number, random: () => number) {
    this.#host = host;
    this.#writer = writer;
    this.#random = random;
    this.#latency = new LatencyComparison({
      options: () => host.options()?.latency,
      backends: () => host.backends(),
      demoted: (backend, why, nowMs) => host.demoted(backend, why, nowMs),
      dueMoved: () => host.dueMoved(),
    });
  }

  /** Request path. Takes note of how an attempt ended; may eject. `status` as HTTP has it. */
  settled(backend: Backend, outcome: Outcome, status: number, takenMs: number, nowMs: number): void {
    const options = this.#host.options();
    if (options === undefined) return;
    if (this.#sweepAtMs === Number.POSITIVE_INFINITY) this.#beginInterval(nowMs + options.intervalMs);
    const cause = recordOutcome(options, backend.monitor, outcome, status);
    if (cause !== undefined) this.#detected(options, backend, cause, cause, nowMs);
    else if (backend.probation.owed > 0) this.#probed(options, backend, outcome, takenMs, nowMs);
  }

  /** Request path. A backend began to answer after so long. */
  timed(backend: Backend, ms: number, nowMs: number): void {
    this.#latency.timed(backend, ms, nowMs);
  }

  get #times(): EjectionTimes {
    return this.#host.options() ?? MANUAL_OUTLIER_OPTIONS;
  }

  /** Ejects, whatever the cap; without a duration for as long as its count of ejections says. */
  eject(
    backend: Backend,
    cause: EjectionCause,
    why: string,
    durationMs: number | undefined,
    nowMs: number,
  ): void {
    this.#count(backend, COUNTER.ejectionsEnforced);
    this.counts.enforced(cause);
    const options = this.#host.options();
    const mostJitterMs = options?.maxEjectionTimeJitterMs ?? 0;
    const jitterMs = mostJitterMs === 0 ? 0 : mostJitterMs * this.#random();
    const untilMs = beginEjection(this.#times, backend.monitor, cause, { durationMs, jitterMs }, nowMs);
    this.#endProbation(backend);
    this.#host.state(backend, "ejected", why, untilMs, nowMs);
    this.#host.dueMoved();
  }

  /** Ends an ejection. What a detector ejected is on probation from then on. */
  unEject(backend: Backend, why: string, nowMs: number): void {
    const { cause } = backend.monitor;
    const options = this.#host.options();
    endEjection(backend.monitor, nowMs);
    let text = why;
    if (options !== undefined && options.probation > 0 && cause !== undefined && cause !== "manual") {
      const { probation, inFlight } = backend;
      probation.begin(cause, options.probation, inFlight, nowMs + options.intervalMs, nowMs);
      this.#host.limited(backend);
      text = `${why}; on probation, owes ${successes(options.probation)}`;
    }
    this.#host.state(backend, "active", text, undefined, nowMs);
    this.#host.dueMoved();
  }

  /** An active check passed and says up: ends an ejection where the options say so, but not the operator's. */
  checkPassed(backend: Backend, nowMs: number): void {
    const { cause } = backend.monitor;
    if (cause === undefined || cause === "manual") return;
    if (this.#host.options()?.successfulActiveHealthCheckUneject)
      this.unEject(backend, "an active check passed", nowMs);
  }

  /** Does what is due: returns, the end of an interval, forgiveness. */
  tick(nowMs: number): void {
    const times = this.#times;
    for (const backend of this.#host.backends()) {
      const { monitor } = backend;
      if (monitor.ejectedUntilMs !== undefined && monitor.ejectedUntilMs <= nowMs)
        this.unEject(backend, "ejection time served", nowMs);
      if (backend.probation.untilMs <= nowMs) this.#probationDue(backend, nowMs);
      forgive(times, monitor, nowMs);
    }
    if (this.#sweepAtMs <= nowMs) this.#sweep(nowMs);
    this.#latency.tick(nowMs);
  }

  /** When to call `tick` next; infinite when nothing is due. */
  nextDueMs(): number {
    const times = this.#times;
    let due = Math.min(this.#sweepAtMs, this.#latency.nextDueMs());
    for (const { monitor, probation } of this.#host.backends()) {
      due = Math.min(due, monitor.ejectedUntilMs ?? due, forgivenAtMs(times, monitor), probation.untilMs);
    }
    return due;
  }

  /** Request path. An attempt of a backend on probation ended, and no detector fired. */
  #probed(options: OutlierOptions, backend: Backend, outcome: Outcome, takenMs: number, nowMs: number): void {
    const { probation } = backend;
    const { cause } = probation;
    const step = probation.judge(outcome, takenMs);
    if (step === "going-on") return;
    // One failure is all it may have: where the cap keeps it in, thresholds judge it from here on.
    this.#endProbation(backend);
    if (step === "failed" && cause !== undefined)
      this.#detected(options, backend, cause, `failed on probation after ${cause}`, nowMs);
  }

  /** An interval in which nobody came, since the check kept it out or nothing was to do, tells nothing. */
  #probationDue(backend: Backend, nowMs: number): void {
    const { probation, lastUsedMs = -1 } = backend;
    if (lastUsedMs >= probation.sinceMs) this.#endProbation(backend);
    else probation.untilMs = nowMs + this.#times.intervalMs;
  }

  #endProbation(backend: Backend): void {
    if (backend.probation.cause === undefined) return;
    backend.probation.end();
    this.#host.limited(backend);
  }

  #beginInterval(sweepAtMs: number): void {
    this.#sweepAtMs = sweepAtMs;
    this.#host.dueMoved();
  }

  /** Judges the interval that ends and begins the next one, unless it saw nothing. */
  #sweep(nowMs: number): void {
    const options = this.#host.options();
    const external: Sample<Backend>[] = [];
    const local: Sample<Backend>[] = [];
    let isIdle = true;
    for (const subject of this.#host.backends()) {
      const { monitor } = subject;
      if (monitor.external.total > 0 || monitor.local.total > 0) isIdle = false;
      monitor.successRate = undefined;
      // Envoy: what is out already neither counts nor is judged.
      if (options !== undefined && !subject.isGone && subject.facts.detection.state === "active") {
        if (monitor.external.total >= Math.max(options.successRateRequestVolume, 1))
          monitor.successRate = successRateOf(monitor.external);
        external.push({ subject, tally: monitor.external });
        local.push({ subject, tally: monitor.local });
      }
    }
    if (options !== undefined) {
      this.#judge(options, external, "success-rate", "failure-percentage", nowMs);
      if (options.splitExternalLocalOriginErrors)
        this.#judge(options, local, "success-rate-local-origin", "failure-percentage-local-origin", nowMs);
    }
    for (const { monitor } of this.#host.backends()) {
      monitor.external.clear();
      monitor.local.clear();
    }
    this.#sweepAtMs = options === undefined || isIdle ? Number.POSITIVE_INFINITY : nowMs + options.intervalMs;
  }

  #judge(
    options: OutlierOptions,
    samples: readonly Sample<Backend>[],
    rateCause: DetectedCause,
    percentageCause: DetectedCause,
    nowMs: number,
  ): void {
    // Found before anyone is ejected, so that all are held against the same.
    const found = [
      ...[...rateOutliers(samples, options)].map(([backend, why]) => [backend, rateCause, why] as const),
      ...[...failureOutliers(samples, options)].map(
        ([backend, why]) => [backend, percentageCause, why] as const,
      ),
    ];
    for (const [backend, cause, why] of found) this.#detected(options, backend, cause, why, nowMs);
  }

  /** Envoy's order: the cap first, then the chance. */
  #detected(
    options: OutlierOptions,
    backend: Backend,
    cause: DetectedCause,
    why: string,
    nowMs: number,
  ): void {
    if (backend.facts.detection.state === "ejected") return;
    this.#count(backend, COUNTER.ejectionsDetected);
    this.counts.detected(cause);
    if (!hasRoom(options, this.#host.census(), backend.isEligible)) {
      this.#count(backend, COUNTER.ejectionsOverflowed);
      this.counts.overflowed(cause);
      this.#host.note({ type: "ejection-overflowed", backend, cause }, nowMs);
    } else if (this.#isEnforced(options.enforcing[cause])) {
      this.eject(backend, cause, why, undefined, nowMs);
    }
  }

  #isEnforced(percent: number): boolean {
    return percent >= 100 || (percent > 0 && 100 * this.#random() < percent);
  }

  #count(backend: Backend, counter: number): void {
    backend.row.add(counter, this.#writer, 1);
  }
}

function successes(count: number): string {
  return count === 1 ? "one success" : `${count} successes`;
}
