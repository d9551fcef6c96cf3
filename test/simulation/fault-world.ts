import type { Backend } from "../../src/core/backend.js";
import { Leastconn } from "../../src/core/balancers/leastconn.js";
import { RoundRobin } from "../../src/core/balancers/roundrobin.js";
import type { PoolEvent } from "../../src/core/events.js";
import type { Lease } from "../../src/core/lease.js";
import type { OutlierOptions } from "../../src/core/outlier.js";
import type { Pool } from "../../src/core/pool.js";
import { apply, endpoint, newPool, OUTLIER } from "../support/pool-fixture.js";
import { seededRandom } from "../support/seeded-random.js";

/** How a backend answers: how often with a failure, and after how long. */
interface Conduct {
  readonly failing: number;
  readonly latencyMs: number;
}

const WELL: Conduct = { failing: 0, latencyMs: 10 };
const STEP_MS = 10;
const CAP_PERCENT = 50;
const FLOOR = 0.1;

export const FAULT_OPTIONS: OutlierOptions = {
  ...OUTLIER,
  consecutive5xx: 5,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 20,
  failurePercentageThreshold: 85,
  failurePercentageRequestVolume: 20,
  intervalMs: 1_000,
  baseEjectionTimeMs: 3_000,
  maxEjectionTimeMs: 12_000,
  maxEjectionTimeJitterMs: 500,
  maxEjectionPercent: CAP_PERCENT,
  probation: 1,
  latency: {
    percentile: 90,
    factor: 3,
    deviations: 3,
    minDifferenceMs: 25,
    requestVolume: 10,
    minWeightPercent: 100 * FLOOR,
    intervalMs: 1_000,
  },
};

const SLOW_START_MS = 4_000;

/**
 * A pool under constant load whose backends go wrong and come right by chance that depends on the seed alone.
 * Every step is held against what must hold whatever happens; whatever does not throws.
 */
export class FaultWorld {
  readonly pool: Pool;
  readonly #random: () => number;
  readonly #conduct = new Map<Backend, Conduct>();
  readonly #open: { readonly lease: Lease; readonly endsMs: number; readonly conduct: Conduct }[] = [];
  readonly #returns: { readonly backend: Backend; readonly atMs: number; picks: number; all: number }[] = [];
  #nowMs = 0;
  #dueMs = Number.POSITIVE_INFINITY;
  #served = 0;
  #failed = 0;
  #ejections = 0;
  #demotions = 0;

  constructor(seed: number, size: number) {
    this.#random = seededRandom(seed);
    this.pool = newPool({
      balancer: () => (seed % 2 === 0 ? new RoundRobin() : new Leastconn({ idle: "weighted" })),
      outlier: FAULT_OPTIONS,
      slowStart: { windowMs: SLOW_START_MS, aggression: 1, minPercent: 0 },
      random: this.#random,
    });
    apply(
      this.pool,
      Array.from({ length: size }, (_, index) => endpoint(`e${index}`, { weight: 16 })),
    );
    this.pool.onDueChanged(() => {
      this.#dueMs = this.#nowMs;
    });
    this.pool.subscribe((event) => this.#onEvent(event));
    for (const backend of this.pool.backends()) this.#conduct.set(backend, WELL);
  }

  get story(): { served: number; failed: number; ejections: number; demotions: number; nowMs: number } {
    return {
      served: this.#served,
      failed: this.#failed,
      ejections: this.#ejections,
      demotions: this.#demotions,
      nowMs: this.#nowMs,
    };
  }

  /** A backend goes wrong, or comes right. */
  set(index: number, conduct: Partial<Conduct>): void {
    const backend = [...this.pool.backends()][index];
    if (backend !== undefined) this.#conduct.set(backend, { ...WELL, ...conduct });
  }

  /** By chance: one changes its conduct for a while. */
  meddle(): void {
    const index = Math.floor(this.#random() * this.pool.size);
    const dice = this.#random();
    if (dice < 0.4) this.set(index, WELL);
    else if (dice < 0.6) this.set(index, { failing: 1 });
    else if (dice < 0.8) this.set(index, { failing: this.#random() });
    else this.set(index, { latencyMs: 100 });
  }

  heal(): void {
    for (const backend of this.pool.backends()) this.#conduct.set(backend, WELL);
  }

  /** So much time passes under load: `perStep` requests every ten milliseconds. */
  pass(durationMs: number, perStep = 2): void {
    for (const untilMs = this.#nowMs + durationMs; this.#nowMs < untilMs; ) {
      this.#nowMs += STEP_MS;
      for (let request = 0; request < perStep; request++) this.#request();
      this.#answer();
      while (this.#dueMs <= this.#nowMs) this.#dueMs = this.pool.tick(this.#nowMs);
      this.#verify();
    }
  }

  #request(): void {
    const lease = this.pool.acquire([], this.#nowMs);
    if (lease === undefined) throw new Error(`nobody serves: ${this.pool.refusal()}`);
    const conduct = this.#conduct.get(lease.backend) ?? WELL;
    this.#open.push({ lease, endsMs: this.#nowMs + conduct.latencyMs, conduct });
    for (const each of this.#returns) {
      if (this.#nowMs > each.atMs + SLOW_START_MS / 16) continue;
      each.all++;
      if (each.backend === lease.backend) each.picks++;
    }
  }

  #answer(): void {
    for (let at = this.#open.length - 1; at >= 0; at--) {
      const each = this.#open[at];
      if (each === undefined || each.endsMs > this.#nowMs) continue;
      this.#open.splice(at, 1);
      const isFailure = this.#random() < each.conduct.failing;
      this.#served++;
      if (isFailure) this.#failed++;
      each.lease.latencyMs = each.conduct.latencyMs;
      each.lease.release(isFailure ? "server-error" : "success", isFailure ? 503 : 200, this.#nowMs);
    }
  }

  #onEvent(event: PoolEvent): void {
    if (event.type === "weight-changed" && event.why.startsWith("slow:")) this.#demotions++;
    if (event.type !== "state-changed" || event.fact !== "detection") return;
    const { present, ejected, eligible } = this.pool.census();
    if (event.to !== "ejected") {
      this.#returns.push({ backend: event.backend, atMs: this.#nowMs, picks: 0, all: 0 });
      return;
    }
    this.#ejections++;
    if (ejected > 1 && (100 * ejected) / present > CAP_PERCENT)
      throw new Error(`${ejected} of ${present} are ejected, over the cap`);
    if (eligible < 1) throw new Error("the last usable backend was ejected");
    const { maxEjectionTimeMs, maxEjectionTimeJitterMs } = FAULT_OPTIONS;
    if ((event.untilMs ?? 0) > this.#nowMs + maxEjectionTimeMs + maxEjectionTimeJitterMs)
      throw new Error(`${event.backend.id} is ejected until ${event.untilMs} at ${this.#nowMs}`);
  }

  #verify(): void {
    for (const { id, monitor, demotion, ramp, isEligible, row, latency } of this.pool.backends()) {
      if (monitor.ejectedUntilMs !== undefined && monitor.ejectedUntilMs <= this.#nowMs)
        throw new Error(`${id} should have returned at ${monitor.ejectedUntilMs}, it is ${this.#nowMs}`);
      if (demotion < FLOOR || demotion > 1) throw new Error(`${id} is demoted to ${demotion}`);
      if (demotion < 1 !== (latency.demotedSinceMs !== undefined)) throw new Error(`${id}: since when?`);
      const expected = Math.max(1, Math.round(256 * ramp * demotion));
      if (row.weight16 !== expected) throw new Error(`${id} weighs ${row.weight16}, not ${expected}`);
      if (isEligible && row.weight16 < 1) throw new Error(`${id} gets nothing`);
    }
    if (this.pool.eligibleCount < 1) throw new Error("nobody is left");
  }

  /**
   * The greatest part of all requests that went to a backend in the first step after its return, of those
   * returns that saw at least `atLeast` requests and had another backend beside them with its full share.
   */
  greatestFirstShare(atLeast: number): number {
    const shares = this.#returns.filter(({ all }) => all >= atLeast).map(({ picks, all }) => picks / all);
    return Math.max(0, ...shares);
  }

  /** Milliseconds at which backends returned. */
  get returnTimes(): readonly number[] {
    return this.#returns.map(({ atMs }) => atMs);
  }
}
