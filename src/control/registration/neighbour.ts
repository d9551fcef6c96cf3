import type { HealthCheckTiming } from "../../config/health-model.js";
import { HealthCredit } from "../../core/health.js";
import type { Clock, Timer } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import type { CheckStatus } from "./instance.js";

/** What is said of the application, and why. */
export interface Verdict {
  readonly status: CheckStatus;
  readonly output: string;
}

/** What a neighbour is probed with. */
export interface NeighbourOptions {
  readonly probe: Probe;
  readonly target: ProbeTarget;
  readonly timing: HealthCheckTiming;
  /** Called after every probe. */
  readonly onVerdict: (verdict: Verdict) => void;
  readonly clock: Clock;
}

/** The answer by which an application says that it lives and has too much to do; Consul's own checks warn by it too. */
const TOO_MANY_REQUESTS = 429;

/**
 * Probes the application beside us at its interval, never twice at once. The first probe decides alone; from then on
 * it takes `fall` failures and `rise` passes in a row.
 */
export class Neighbour {
  readonly #options: NeighbourOptions;
  readonly #credit: HealthCredit;
  #timer: Timer | undefined;
  #running: RunningProbe | undefined;

  constructor(options: NeighbourOptions) {
    this.#options = options;
    this.#credit = new HealthCredit(options.timing);
  }

  /** Probes at once. Called once. */
  start(): void {
    const { probe, target, timing } = this.#options;
    this.#running = probe.run(target, timing.timeoutMs, (result) => this.#settle(result));
  }

  /** Nothing is called afterwards. */
  stop(): void {
    this.#timer?.cancel();
    this.#running?.cancel();
  }

  #settle(result: ProbeResult): void {
    const { probe, timing, clock, onVerdict } = this.#options;
    this.#running = undefined;
    const isWarning = result.status === TOO_MANY_REQUESTS;
    if (result.passed || isWarning) this.#credit.pass();
    else this.#credit.fail();
    // From start to start, but never without a pause.
    const pauseMs = Math.max(timing.intervalMs - result.durationMs, timing.intervalMs / 10);
    this.#timer = clock.after(pauseMs, () => this.start());
    onVerdict({
      status: !this.#credit.isUp ? "critical" : isWarning ? "warning" : "passing",
      output: `${this.#credit.text}: ${probe.kind} check ${result.code}, ${result.detail}`,
    });
  }
}
