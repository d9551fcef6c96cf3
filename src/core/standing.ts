import type { Announcer } from "./announcer.js";
import type { Backend, FactName, Facts } from "./backend.js";
import { Limits } from "./limits.js";
import type { Overrides } from "./overrides.js";
import type { PoolOptions } from "./pool-options.js";
import { SlowStart } from "./slow-start.js";
import { Tiers } from "./tiers.js";
import { reducedWeight, scaledWeight, weightInSixteenths } from "./weight.js";

/** What standing needs of its pool. */
export interface StandingHost {
  /** Read at each use, since a reload may change them. */
  options(): PoolOptions;
  backends(): Iterable<Backend>;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/**
 * What is in force of each backend of a pool: its facts, weight and limit, and from these whether it takes work. Puts
 * changes in force and notes them; the pool finishes each change.
 */
export class Standing {
  /** Who takes new work. */
  readonly tiers: Tiers;
  readonly limits: Limits;
  readonly slowStart: SlowStart;
  /** Factor from discovered weights to those in force; below 1 when one exceeds 256. */
  weightScale = 1;
  /** When the last usable backend was lost; long ago while there never was one. Of no meaning while there is one. */
  unusableSinceMs = Number.NEGATIVE_INFINITY;
  readonly #overrides: Overrides;
  readonly #announcer: Announcer;

  constructor(host: StandingHost, overrides: Overrides, announcer: Announcer) {
    this.#overrides = overrides;
    this.#announcer = announcer;
    this.tiers = new Tiers(host.options().balancer, () => host.options().tiers);
    this.limits = new Limits(
      {
        options: () => host.options(),
        backends: () => host.backends(),
        moved: (backend) => this.tiers.place(backend),
        tunnelLimitMoved: (backend) => this.tiers.tunnelLimitMoved(backend),
        dueMoved: () => host.dueMoved(),
      },
      overrides.book,
    );
    this.slowStart = new SlowStart({
      options: () => host.options().slowStart,
      ramped: (backend, why, nowMs) => {
        this.weigh(backend, why, nowMs, backend.rampUntilMs);
        this.limits.put(backend);
      },
      dueMoved: () => host.dueMoved(),
    });
  }

  /** States one fact. */
  state<Name extends FactName>(
    backend: Backend,
    fact: Name,
    state: Facts[Name]["state"],
    why: string,
    untilMs: number | undefined,
    nowMs: number,
  ): void {
    const from = backend.facts[fact].state;
    backend.state(fact, state, why, nowMs);
    if (from === state) return;
    this.#announcer.note({ type: "state-changed", backend, fact, from, to: state, why, untilMs }, nowMs);
    this.slowStart.changed(backend, fact, from, state, nowMs);
    this.tiers.place(backend);
  }

  /** Gives a backend that joins what is said of it, and its place. */
  enter(backend: Backend, isOneOfMany: boolean, nowMs: number): void {
    const { admin } = this.#overrides.of(backend.endpoint.key);
    if (admin !== undefined) backend.state("admin", admin.value, admin.reason, nowMs);
    backend.weigh(this.#weight16Of(backend));
    this.#announcer.note({ type: "backend-added", backend }, nowMs);
    this.slowStart.listed(backend, isOneOfMany);
    this.slowStart.entered(backend, nowMs);
    this.tiers.place(backend);
  }

  /** Puts what other options make of a backend in force. */
  reconfigured(backend: Backend, options: PoolOptions): void {
    this.limits.put(backend);
    backend.judgeBy(options.verdict ?? "both");
    this.tiers.place(backend);
  }

  /** Puts all that is said of a backend in force anew. */
  layersChanged(backend: Backend, why: string, nowMs: number): void {
    this.administer(backend, why, nowMs);
    this.weigh(backend, why, nowMs);
    this.limits.put(backend);
  }

  /** Puts the admin state in force anew. */
  administer(backend: Backend, why: string, nowMs: number): void {
    const override = this.#overrides.of(backend.endpoint.key).admin;
    if (override === undefined && !backend.isGone) backend.drainUntil(undefined);
    const reason = override?.reason ?? why;
    this.state(backend, "admin", override?.value ?? "ready", reason, override?.expiresMs, nowMs);
  }

  /** Puts the weight in force anew. Without `why` nobody is told. */
  weigh(backend: Backend, why: string | undefined, nowMs: number, untilMs?: number): void {
    const from = backend.weight;
    const weight16 = this.#weight16Of(backend);
    if (backend.row.weight16 === weight16) return;
    backend.weigh(weight16);
    if (why !== undefined) {
      const to = backend.weight;
      this.#announcer.note({ type: "weight-changed", backend, from, to, why, untilMs }, nowMs);
    }
    this.tiers.place(backend);
  }

  /** Ends a change: who takes new work may be others than before, and then says so. */
  settle(nowMs: number): void {
    if (!this.tiers.isStale) return;
    const before = this.tiers.settle();
    const now = this.tiers.state;
    if (now.isPanicking !== before.isPanicking) {
      const { healthyCount } = this.tiers;
      this.#announcer.note(
        { type: "panic-changed", isPanicking: now.isPanicking, healthy: healthyCount, usable: now.usable },
        nowMs,
      );
    }
    if (now.tier !== before.tier)
      this.#announcer.note({ type: "tier-changed", from: before.tier, to: now.tier }, nowMs);
    if (now.usable === 0 && before.usable > 0) this.unusableSinceMs = nowMs;
    if (now.usable > 0 !== before.usable > 0)
      this.#announcer.note({ type: "usable-changed", isUsable: now.usable > 0 }, nowMs);
  }

  /** Override, ramp and demotion laid over the discovered weight. */
  #weight16Of(backend: Backend): number {
    const { key, weight } = backend.endpoint;
    const asked = weightInSixteenths(
      scaledWeight(weight, this.weightScale),
      this.#overrides.of(key).weight?.value,
    );
    return reducedWeight(asked, backend.ramp * backend.demotion);
  }
}
