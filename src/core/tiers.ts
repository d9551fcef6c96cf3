import type { Backend } from "./backend.js";
import type { Balancer } from "./balancer.js";
import type { Outcome } from "./outcome.js";
import { Roster } from "./roster.js";
import { ZonedBalancer, type ZoneOptions } from "./zoned-balancer.js";

/** What tiers go by. Read at every change, so that a new configuration needs no new tiers. */
export interface TierOptions {
  /** All usable backups share the work (HAProxy's `allbackups`), rather than the first tier of them alone. */
  readonly allBackups: boolean;
  /** Percent of healthy backends below which health is ignored, Envoy's panic threshold; 0 switches it off. */
  readonly panicThreshold: number;
  /** Undefined: zones make no difference. `rebalance` has to follow a change of the own zone alone. */
  readonly zone?: ZoneOptions | undefined;
}

/** Who takes new work, in one word each for events, admin and metrics. */
export interface TierState {
  /** The tier in use, 0 for actives; the last one while nothing is usable, or all tiers work together in a panic. */
  readonly tier: number;
  /** Health is ignored, since too few are healthy to carry the work. */
  readonly isPanicking: boolean;
  /** Backends that take new work. */
  readonly usable: number;
}

/** Envoy's overprovisioning factor, in percent: a tier counts as whole while its healthy share times this is 100. */
const OVERPROVISIONING_PERCENT = 140;

/** The backends of one tier that discovery and operator let work, and a balancer over the healthy ones. */
class Tier {
  readonly number: number;
  /** The healthy ones. */
  readonly roster: Roster;
  readonly candidates = new Set<Backend>();
  /** Filed in the roster: everything speaks for them. */
  healthy = 0;

  constructor(number: number, balancer: Balancer) {
    this.number = number;
    this.roster = new Roster(balancer);
  }

  /** The same backends in another balancer. */
  rebalance(balancer: Balancer): void {
    this.roster.balancer = balancer;
    for (const backend of this.filed()) balancer.add(backend);
  }

  /** Those in the roster. */
  *filed(): Generator<Backend, void, void> {
    for (const backend of this.candidates) if (backend.isFiled) yield backend;
  }

  get healthyPercent(): number {
    return (100 * this.healthy) / this.candidates.size;
  }

  file(backend: Backend): void {
    if (backend.isFiled === backend.isEligible) {
      if (backend.isFiled) this.roster.reweigh(backend);
    } else if (backend.isFiled) {
      this.unfile(backend);
    } else {
      backend.isFiled = true;
      this.healthy++;
      this.roster.add(backend);
    }
  }

  unfile(backend: Backend): void {
    if (!backend.isFiled) return;
    backend.isFiled = false;
    this.healthy--;
    this.roster.remove(backend);
  }
}

/** Those who take work in a panic, healthy or not. */
class Panic {
  readonly roster: Roster;
  readonly members = new Set<Backend>();

  constructor(balancer: Balancer) {
    this.roster = new Roster(balancer);
  }

  add(backend: Backend): void {
    if (this.members.has(backend)) return;
    this.members.add(backend);
    this.roster.add(backend);
  }

  remove(backend: Backend): void {
    if (this.members.delete(backend)) this.roster.remove(backend);
  }
}

/**
 * Request path. Which of a pool's backends take new work: those of the lowest tier that has a healthy one, as
 * HAProxy does with actives and backups. Each tier has a balancer of its own over its healthy backends, so a
 * change of tier moves nothing and a pick filters nothing.
 *
 * Too few healthy ones in the tier in use: Envoy's panic. A tier is in panic below the threshold, unless all
 * tiers together still have health enough (the sum of healthy shares times 1.4 reaches 100 percent). In it
 * the unhealthy take work too; where every tier is in panic, all tiers work together. What the operator or
 * discovery took out stays out.
 */
export class Tiers {
  /** Leases that were taken since the start. */
  leases = 0;
  #makeBalancer: () => Balancer;
  readonly #options: () => TierOptions;
  /** Lowest number first; none without candidates. */
  readonly #tiers: Tier[] = [];
  readonly #tierOf = new Map<Backend, Tier>();
  /** The tier in use; undefined when nothing is usable. */
  #inUse: Tier | undefined;
  #panic: Panic | undefined;
  #state: TierState = { tier: 0, isPanicking: false, usable: 0 };
  #healthy = 0;
  #isStale = false;
  #algorithm: string;

  constructor(makeBalancer: () => Balancer, options: () => TierOptions) {
    this.#makeBalancer = makeBalancer;
    this.#options = options;
    this.#algorithm = makeBalancer().algorithm;
  }

  /** Of all balancers. */
  get algorithm(): string {
    return this.#algorithm;
  }

  /** Has every tier balanced in another way. `settle` has to follow. */
  rebalance(makeBalancer: () => Balancer): void {
    this.#makeBalancer = makeBalancer;
    this.#algorithm = makeBalancer().algorithm;
    for (const tier of this.#tiers) tier.rebalance(this.#makeTierBalancer());
    this.#panic = undefined;
    this.#isStale = true;
  }

  /** As of the last `settle`. */
  get state(): TierState {
    return this.#state;
  }

  /** What zones mean for the tier in use, in words; empty where they make no difference. */
  get zoneWords(): string {
    const balancer = this.#inUse?.roster.balancer;
    if (!(balancer instanceof ZonedBalancer)) return "";
    return this.#panic === undefined ? balancer.words : "zones make no difference in a panic";
  }

  /** Healthy backends of all tiers. */
  get healthyCount(): number {
    return this.#healthy;
  }

  /** Whether `settle` has something to do. */
  get isStale(): boolean {
    return this.#isStale;
  }

  /** Tiers that hold a backend, lowest number first, with how many of them are healthy. */
  list(): readonly { readonly tier: number; readonly backends: number; readonly healthy: number }[] {
    return this.#tiers.map((tier) => ({
      tier: tier.number,
      backends: tier.candidates.size,
      healthy: tier.healthy,
    }));
  }

  /** The tier a backend belongs to under the options in force; 0 for actives. */
  numberOf(backend: Backend): number {
    const { priority } = backend.endpoint;
    return this.#options().allBackups ? Math.min(priority, 1) : priority;
  }

  /** Whether a backend takes new work as things stand. */
  takesWork(backend: Backend): boolean {
    if (this.#panic !== undefined) return this.#panic.members.has(backend);
    return backend.isFiled && this.#tierOf.get(backend) === this.#inUse;
  }

  /** Brings the place of a backend in line with its facts, weight, limit and tier. `settle` has to follow. */
  place(backend: Backend): void {
    const number = this.numberOf(backend);
    let tier = this.#tierOf.get(backend);
    if (tier !== undefined && (!backend.isCandidate || tier.number !== number)) {
      this.#leave(backend, tier);
      tier = undefined;
    }
    if (!backend.isCandidate) return;
    if (tier === undefined) {
      tier = this.#tierNumbered(number);
      tier.candidates.add(backend);
      this.#tierOf.set(backend, tier);
      this.#isStale = true;
    }
    const before = tier.healthy;
    tier.file(backend);
    if (tier.healthy !== before) {
      this.#healthy += tier.healthy - before;
      this.#isStale = true;
    }
    if (this.#panic?.members.has(backend)) this.#panic.roster.reweigh(backend);
  }

  /** The limit of a backend for tunnels changed; of the one for requests `place` is told, when it makes a difference. */
  tunnelLimitMoved(backend: Backend): void {
    if (backend.isFiled) this.#rosterOf(backend)?.tunnelLimitMoved(backend);
    if (this.#panic?.members.has(backend)) this.#panic.roster.tunnelLimitMoved(backend);
  }

  /** Decides who takes new work. Answers the state before; the same object when nothing changed. */
  settle(): TierState {
    const before = this.#state;
    this.#isStale = false;
    const threshold = this.#options().panicThreshold;
    const isShort = threshold > 0 && this.#availablePercent() < 100;
    const isInPanic = (tier: Tier) => isShort && tier.healthyPercent < threshold;
    this.#inUse = this.#tiers.find((tier) => tier.healthy > 0);
    const isTotal = this.#tiers.length > 0 && this.#tiers.every(isInPanic);
    if (isTotal) this.#enterPanic(this.#tiers);
    else if (this.#inUse !== undefined && isInPanic(this.#inUse)) this.#enterPanic([this.#inUse]);
    else this.#panic = undefined;
    const isPanicking = this.#panic !== undefined;
    const working = isTotal && this.#tiers.length === 1 ? this.#tiers[0] : isTotal ? undefined : this.#inUse;
    const usable = this.#panic?.members.size ?? this.#inUse?.healthy ?? 0;
    const now = { tier: working?.number ?? before.tier, isPanicking, usable };
    if (now.tier !== before.tier || now.isPanicking !== before.isPanicking || now.usable !== before.usable)
      this.#state = now;
    return before;
  }

  /**
   * The backend for the next lease. Where all of the tier in use is to be avoided, the next tier that has
   * another one: a connection that failed goes to a backup before it goes to the same backend again.
   */
  pick(avoid: readonly Backend[], hash?: number): Backend | undefined {
    if (this.#panic !== undefined) return this.#panic.roster.balancer.pick(avoid, hash);
    const tier = this.#inUse;
    if (tier === undefined) return undefined;
    const picked = tier.roster.balancer.pick(avoid, hash);
    if (avoid.length === 0 || this.#tiers.length === 1) return picked;
    if (picked === undefined ? !isAvoidedWhole(tier, avoid) : !avoid.includes(picked)) return picked;
    return this.#pickBehind(tier, avoid, hash) ?? picked;
  }

  /** Of those that take new work, the least loaded with room for a tunnel, even at its limit of requests alone. */
  pickForTunnel(avoid: readonly Backend[]): Backend | undefined {
    if (this.#panic !== undefined) return this.#panic.roster.firstForTunnel(avoid, this.#panic.members);
    return this.#inUse?.roster.firstForTunnel(avoid, this.#inUse.filed());
  }

  /** Where a hash belongs as things stand, whatever the load; undefined where the balancer goes by none. */
  placeOf(hash: number): Backend | undefined {
    return (this.#panic ?? this.#inUse)?.roster.balancer.placeOf?.(hash);
  }

  /** The backend of the tier in use where a key belongs, at its limit or not; undefined where no key insists on one. */
  home(avoid: readonly Backend[], hash: number): Backend | undefined {
    return (this.#panic ?? this.#inUse)?.roster.balancer.home?.(avoid, hash);
  }

  /** A lease was taken; the row counts it already. */
  taken(backend: Backend): void {
    this.leases++;
    if (backend.isFiled) this.#rosterOf(backend)?.taken(backend);
    if (this.#panic?.members.has(backend)) this.#panic.roster.taken(backend);
  }

  /** A lease was given back; the row counts it already. */
  released(backend: Backend): void {
    if (backend.isFiled) this.#rosterOf(backend)?.released(backend);
    if (this.#panic?.members.has(backend)) this.#panic.roster.released(backend);
  }

  /** How a lease went, told before its release. */
  observe(backend: Backend, latencyMs: number, outcome: Outcome, nowMs: number): void {
    if (backend.isFiled) this.#rosterOf(backend)?.balancer.observe?.(backend, latencyMs, outcome, nowMs);
    if (this.#panic?.members.has(backend))
      this.#panic.roster.balancer.observe?.(backend, latencyMs, outcome, nowMs);
  }

  #rosterOf(backend: Backend): Roster | undefined {
    // Nearly every pool has one tier, and then nothing has to be looked up.
    const tier = this.#tiers.length === 1 ? this.#tiers[0] : this.#tierOf.get(backend);
    return tier?.roster;
  }

  #pickBehind(tier: Tier, avoid: readonly Backend[], hash: number | undefined): Backend | undefined {
    for (let at = this.#tiers.indexOf(tier) + 1; at < this.#tiers.length; at++) {
      const backup = this.#tiers[at]?.roster.balancer.pick(avoid, hash);
      if (backup !== undefined && !avoid.includes(backup)) return backup;
    }
    return undefined;
  }

  /** In a panic zones make no difference, as in Envoy; that balancer is made without. */
  #makeTierBalancer(): Balancer {
    const { zone } = this.#options();
    if (zone === undefined) return this.#makeBalancer();
    return new ZonedBalancer(this.#makeBalancer, () => this.#options().zone ?? zone);
  }

  #tierNumbered(number: number): Tier {
    const at = this.#tiers.findIndex((tier) => tier.number >= number);
    const found = this.#tiers[at];
    if (found?.number === number) return found;
    const tier = new Tier(number, this.#makeTierBalancer());
    this.#tiers.splice(at < 0 ? this.#tiers.length : at, 0, tier);
    return tier;
  }

  #leave(backend: Backend, tier: Tier): void {
    if (backend.isFiled) this.#healthy--;
    tier.unfile(backend);
    tier.candidates.delete(backend);
    this.#tierOf.delete(backend);
    this.#panic?.remove(backend);
    if (tier.candidates.size === 0) this.#tiers.splice(this.#tiers.indexOf(tier), 1);
    if (this.#inUse === tier && tier.candidates.size === 0) this.#inUse = undefined;
    this.#isStale = true;
  }

  #enterPanic(tiers: readonly Tier[]): void {
    this.#panic ??= new Panic(this.#makeBalancer());
    const { members } = this.#panic;
    const wanted = new Set<Backend>();
    for (const tier of tiers) for (const backend of tier.candidates) wanted.add(backend);
    for (const backend of members) if (!wanted.has(backend)) this.#panic.remove(backend);
    for (const backend of wanted) this.#panic.add(backend);
  }

  /** Envoy's sum over its priorities, each in whole percent. */
  #availablePercent(): number {
    let sum = 0;
    for (const { healthy, candidates } of this.#tiers)
      sum += Math.min(100, Math.floor((OVERPROVISIONING_PERCENT * healthy) / candidates.size));
    return sum;
  }
}

function isAvoidedWhole(tier: Tier, avoid: readonly Backend[]): boolean {
  let avoided = 0;
  for (const backend of avoid) if (backend.isFiled && tier.candidates.has(backend)) avoided++;
  return avoided >= tier.healthy;
}
