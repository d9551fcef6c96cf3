import type { HealthCheckRhythm } from "../config/health-model.js";
import type { Backend, CheckFact, OutcomeObserver } from "../core/backend.js";
import { CheckDemand, LEAST_PAUSE_MS } from "../core/check-demand.js";
import { ErrorStreak, trafficSign } from "../core/error-streak.js";
import { HealthCredit, intervalOf } from "../core/health.js";
import type { Outcome } from "../core/outcome.js";
import type { Pool } from "../core/pool.js";
import { COUNTER } from "../core/scoreboard.js";
import { CheckLoop, type CheckParts } from "./check-loop.js";
import { DemandLook, LOOK_MS, type Missed, wantedOf } from "./demand-look.js";
import type { Probe, ProbeResult } from "./probe.js";
import type { BackendWatch, WatchKind } from "./prober.js";

/** Checks are counted by the control plane's thread. */
const WRITER = 0;
/** What of a backend's traffic speaks against it. */
const FAILURES = [COUNTER.serverError, COUNTER.connectFailure, COUNTER.timeout, COUNTER.reset] as const;
const NOT_FOUND = 404;

/** The health check of a pool's backends. None in maint: checks stop, and what they said is void. */
export class HealthWatches implements WatchKind {
  readonly source = "health";
  readonly #pool: Pool;
  readonly #probe: Probe;
  readonly #options: HealthCheckRhythm;
  readonly #parts: CheckParts;
  readonly #look: DemandLook;

  constructor(pool: Pool, probe: Probe, options: HealthCheckRhythm, parts: CheckParts) {
    this.#pool = pool;
    this.#probe = probe;
    this.#options = options;
    this.#parts = parts;
    this.#look = new DemandLook(pool, parts.clock);
  }

  wants(backend: Backend): boolean {
    return backend.facts.admin.state !== "maint";
  }

  begin(backend: Backend): BackendWatch {
    return new HealthWatch(this.#pool, backend, this.#probe, this.#options, this.#parts, this.#look);
  }

  pause(backend: Backend, why: string): void {
    backend.reports.health = undefined;
    this.#pool.setCheck(backend, "unchecked", why, this.#parts.clock.nowMs());
  }

  end(backend: Backend): void {
    this.pause(backend, "no health checks any more");
  }
}

/** The health check of one backend: HAProxy's credit and cadence, and what its traffic says (`observe`). */
class HealthWatch implements BackendWatch, OutcomeObserver, Missed {
  readonly #pool: Pool;
  readonly #backend: Backend;
  readonly #options: HealthCheckRhythm;
  readonly #parts: CheckParts;
  readonly #kind: string;
  readonly #loop: CheckLoop;
  readonly #credit: HealthCredit;
  readonly #streak: ErrorStreak;
  readonly #demand: CheckDemand;
  readonly #look: DemandLook;
  /** Up, but its check asks for bound work alone. */
  #isStopping = false;
  #checkedMs = Number.NEGATIVE_INFINITY;
  #failuresSeen = 0;

  constructor(
    pool: Pool,
    backend: Backend,
    probe: Probe,
    options: HealthCheckRhythm,
    parts: CheckParts,
    look: DemandLook,
  ) {
    this.#pool = pool;
    this.#look = look;
    this.#backend = backend;
    this.#options = options;
    this.#parts = parts;
    this.#kind = probe.kind;
    // What checks before these said stays until these know better.
    const isKnownDown = backend.verdictOf("health").state === "down";
    this.#credit = new HealthCredit(options, isKnownDown ? "down" : options.initialState);
    this.#streak = new ErrorStreak(options.observe?.errorLimit ?? 1);
    this.#demand = new CheckDemand(wantedOf(pool), parts.clock.nowMs());
    this.#loop = new CheckLoop(
      backend,
      probe,
      options.target,
      parts,
      (result) => this.#settle(result),
      () => this.#pauseWhileProven(),
    );
    if (options.observe !== undefined) backend.observer = this;
    if (!this.#credit.isUp && !isKnownDown) this.#state("not checked yet");
    this.#loop.begin(options.intervalMs);
    this.#heedDemand();
  }

  stop(): void {
    this.#loop.stop();
    this.#look.leave(this);
    if (this.#backend.observer === this) this.#backend.observer = undefined;
  }

  /** On the request path, so it only counts. */
  settled(outcome: Outcome, status: number): void {
    const { observe } = this.#options;
    if (observe === undefined || !this.#credit.isUp) return;
    if (!this.#streak.add(trafficSign(observe.layer, outcome, status))) return;
    const why = `${observe.errorLimit} errors in a row in the traffic (${observe.layer})`;
    switch (observe.onError) {
      case "fastinter":
        break;
      case "fail-check":
        this.#credit.fail();
        break;
      case "sudden-death":
        this.#credit.failNearly();
        break;
      case "mark-down":
        this.#credit.markDown();
        break;
    }
    this.#loop.hasten(this.#byDemand(this.#options.fastIntervalMs));
    const { reports } = this.#backend;
    if (reports.health !== undefined) reports.health = { ...reports.health, text: this.#credit.text };
    this.#state(why);
    this.#heedDemand();
  }

  #settle(result: ProbeResult): void {
    const { row } = this.#backend;
    const nowMs = this.#parts.clock.nowMs();
    // HAProxy: a 404 asks for bound work alone, but it brings nobody up who is down.
    const isStopping = this.#options.disableOn404 && result.status === NOT_FOUND && this.#credit.isUp;
    const passed = result.passed || isStopping;
    row.add(passed ? COUNTER.checksPassed : COUNTER.checksFailed, WRITER, 1);
    if (passed) {
      this.#credit.pass();
      this.#streak.clear();
      this.#isStopping = isStopping;
    } else {
      this.#credit.fail();
    }
    this.#checkedMs = nowMs;
    this.#failuresSeen = this.#countFailures();
    const { code, detail, durationMs } = result;
    this.#backend.reports.health = { text: this.#credit.text, code, detail, durationMs, atMs: nowMs };
    this.#state(`${this.#kind} check ${code}, ${detail}`);
    if (passed && this.#credit.isUp) this.#pool.checkPassed(this.#backend, nowMs);
    this.#loop.next(this.#byDemand(intervalOf(this.#credit, this.#options)));
    this.#heedDemand();
  }

  /** Probes soon where what came since the pause began is worth one. */
  demanded(wanted: number): void {
    if (this.#demand.isWorthProbe(this.#options.demandPercent, wanted, this.#pool.size))
      this.#loop.hasten(LOOK_MS, LEAST_PAUSE_MS);
  }

  /** While it is down, the work that it is missing from may ask for a shorter pause. */
  #byDemand(pauseMs: number): number {
    const { demandPercent } = this.#options;
    if (demandPercent === 0) return pauseMs;
    const pool = this.#pool;
    const nowMs = this.#parts.clock.nowMs();
    const askedMs = this.#demand.pauseMs(demandPercent, wantedOf(pool), pool.size, nowMs);
    return this.#credit.isUp ? pauseMs : Math.min(pauseMs, askedMs);
  }

  /** Work that it is missing from may also begin during the pause. */
  #heedDemand(): void {
    if (this.#options.demandPercent === 0) return;
    if (this.#credit.isUp) this.#look.leave(this);
    else this.#look.join(this);
  }

  #state(why: string): void {
    const state: CheckFact = !this.#credit.isUp ? "down" : this.#isStopping ? "nolb" : "up";
    if (state === "down") this.#isStopping = false;
    const words = `${this.#credit.text}: ${why}`;
    const said = this.#backend.verdictOf("health");
    // Most checks find what the one before found.
    if (said.state !== state || said.why !== words)
      this.#pool.setCheck(this.#backend, state, words, this.#parts.clock.nowMs());
  }

  /** While answers are good and none is bad, traffic is the better check: probes may come less often. */
  #pauseWhileProven(): number | undefined {
    const { provenIntervalMs, intervalMs } = this.#options;
    if (provenIntervalMs <= intervalMs || !this.#credit.isFull || this.#isStopping) return undefined;
    const nowMs = this.#parts.clock.nowMs();
    const leftMs = this.#checkedMs + provenIntervalMs - nowMs;
    const { lastSuccessMs } = this.#backend;
    const isProven = lastSuccessMs !== undefined && lastSuccessMs > nowMs - intervalMs;
    if (leftMs <= 0 || !isProven || this.#countFailures() !== this.#failuresSeen) return undefined;
    return Math.min(leftMs, intervalMs);
  }

  #countFailures(): number {
    const { row } = this.#backend;
    return FAILURES.reduce((sum, counter) => sum + row.read(counter), 0);
  }
}
