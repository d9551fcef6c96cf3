import type { Backend } from "../core/backend.js";
import type { PoolEvent } from "../core/events.js";
import { HealthCredit, type HealthThresholds } from "../core/health.js";
import type { Pool } from "../core/pool.js";
import { COUNTER } from "../core/scoreboard.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Probe, ProbeResult, RunningProbe } from "./probe.js";

/** Rhythm and thresholds of the checks. */
export interface ProberOptions extends HealthThresholds {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** Checks are counted by the control plane's thread. */
const WRITER = 0;

/**
 * Runs one active check per backend of a pool, never two at once on one backend, and states the verdict in the
 * pool. First checks are spread over an interval. A backend in maint or leaving is not checked.
 */
export class Prober {
  readonly #pool: Pool;
  readonly #probe: Probe;
  readonly #options: ProberOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #checks = new Map<Backend, BackendCheck>();
  #unsubscribe: (() => void) | undefined;

  constructor(pool: Pool, probe: Probe, options: ProberOptions, clock: Clock, random: () => number) {
    this.#pool = pool;
    this.#probe = probe;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
  }

  start(): void {
    this.#unsubscribe = this.#pool.subscribe((event) => this.#onEvent(event));
    for (const backend of this.#pool.backends()) this.#watch(backend);
  }

  stop(): void {
    this.#unsubscribe?.();
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
  }

  #onEvent(event: PoolEvent): void {
    switch (event.type) {
      case "backend-added":
      case "backend-returned":
        this.#watch(event.backend);
        return;
      case "backend-leaving":
      case "backend-removed":
        this.#forget(event.backend);
        return;
      case "state-changed":
        if (event.fact !== "admin") return;
        if (event.to === "maint") this.#pause(event.backend, event.why);
        else this.#watch(event.backend);
        return;
      default:
        return;
    }
  }

  #watch(backend: Backend): void {
    const { admin, discovery } = backend.facts;
    if (admin.state === "maint" || discovery.state === "gone" || this.#checks.has(backend)) return;
    const check = new BackendCheck(this.#pool, backend, this.#probe, this.#options, this.#clock);
    this.#checks.set(backend, check);
    check.start(this.#random() * this.#options.intervalMs);
  }

  #forget(backend: Backend): void {
    this.#checks.get(backend)?.stop();
    this.#checks.delete(backend);
  }

  /** HAProxy: checks are stopped in maint, and what they said is void. */
  #pause(backend: Backend, why: string): void {
    this.#forget(backend);
    this.#pool.setCheck(backend, "unchecked", why, this.#clock.nowMs());
  }
}

/** The check of one backend. */
class BackendCheck {
  readonly #pool: Pool;
  readonly #backend: Backend;
  readonly #probe: Probe;
  readonly #options: ProberOptions;
  readonly #clock: Clock;
  readonly #credit: HealthCredit;
  #timer: Timer | undefined;
  #running: RunningProbe | undefined;

  constructor(pool: Pool, backend: Backend, probe: Probe, options: ProberOptions, clock: Clock) {
    this.#pool = pool;
    this.#backend = backend;
    this.#probe = probe;
    this.#options = options;
    this.#clock = clock;
    this.#credit = new HealthCredit(options);
  }

  start(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => this.#check());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#running?.cancel();
  }

  #check(): void {
    const { host, port } = this.#backend.endpoint;
    this.#running = this.#probe.run({ host, port }, this.#options.timeoutMs, (result) =>
      this.#settle(result),
    );
  }

  #settle(result: ProbeResult): void {
    this.#running = undefined;
    const { row } = this.#backend;
    row.add(result.passed ? COUNTER.checksPassed : COUNTER.checksFailed, WRITER, 1);
    if (result.passed) this.#credit.pass();
    else this.#credit.fail();
    const why = `${this.#credit.text}: ${this.#probe.kind} check ${result.code}, ${result.detail}`;
    const nowMs = this.#clock.nowMs();
    this.#pool.setCheck(this.#backend, this.#credit.isUp ? "up" : "down", why, nowMs);
    if (result.passed && this.#credit.isUp) this.#pool.checkPassed(this.#backend, nowMs);
    // From start to start, as HAProxy counts `inter`, but never without a pause.
    const pauseMs = Math.max(this.#options.intervalMs - result.durationMs, this.#options.intervalMs / 10);
    this.start(pauseMs);
  }
}
