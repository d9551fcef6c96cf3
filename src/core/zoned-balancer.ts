import type { Backend } from "./backend.js";
import type { Balancer } from "./balancer.js";
import type { Outcome } from "./outcome.js";

/** How much the own zone is preferred. All but `own` are read at every pick. */
export interface ZoneOptions {
  /** Name of the zone this process works in. */
  readonly own: string;
  /**
   * Percent of its fair share, one part of as many as there are zones, that the own zone's weight has to have at
   * least. 100: as Envoy, the own zone is preferred only while it can carry its part of all clients.
   */
  readonly minPercent: number;
  /** Fewest healthy backends, in all zones together, at which a zone is preferred (Envoy's `min_cluster_size`). */
  readonly minBackends: number;
  /**
   * How many times the load of the others the own zone is given before work spills over; 0 where only its limits
   * count.
   */
  readonly spillFactor: number;
}

/** The own zone, or all others together. */
class Side {
  readonly balancer: Balancer;
  weight16 = 0;
  /** Leases open on its members. */
  open = 0;

  constructor(balancer: Balancer) {
    this.balancer = balancer;
  }
}

/** What was last counted of a backend. */
interface Member {
  readonly side: Side;
  readonly zone: string;
  weight16: number;
}

/**
 * Request path. The healthy backends of one tier, those of the own zone first. One balancer over the own zone, one
 * over the others and one over all, each told of every change, so a pick filters nothing and is one or two picks of
 * theirs.
 *
 * - The own zone is not preferred while it is too small to carry it: then zones make no difference.
 * - Work spills over to the others while every backend of the own zone is at its limit, so nobody queues for it, and
 *   while its load per weight is above `spillFactor` times theirs, each of theirs counted with one lease more than
 *   it has, since any load is many times none.
 * - Those to be avoided are the last choice of either side.
 *
 * A backend without a zone is of another one; all such count as one zone.
 */
export class ZonedBalancer implements Balancer {
  readonly algorithm: string;
  readonly #options: () => ZoneOptions;
  readonly #ownName: string;
  readonly #all: Balancer;
  readonly #own: Side;
  readonly #others: Side;
  readonly #members = new Map<Backend, Member>();
  /** How many members each zone but the own one has; none of 0. */
  readonly #otherZones = new Map<string, number>();

  constructor(makeBalancer: () => Balancer, options: () => ZoneOptions) {
    this.#options = options;
    this.#ownName = options().own;
    this.#all = makeBalancer();
    this.#own = new Side(makeBalancer());
    this.#others = new Side(makeBalancer());
    this.algorithm = this.#all.algorithm;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether the own zone is large enough to come first. */
  get isPreferred(): boolean {
    const { minBackends, minPercent } = this.#options();
    const own = this.#own.weight16;
    const zones = 1 + this.#otherZones.size;
    return (
      own > 0 && this.size >= minBackends && own * zones * 100 >= minPercent * (own + this.#others.weight16)
    );
  }

  /** Whether the own zone has more than its measure of the load. */
  get isOverloaded(): boolean {
    const { spillFactor } = this.#options();
    if (spillFactor === 0 || this.#others.weight16 === 0) return false;
    const spared = this.#others.open + this.#others.balancer.size;
    return this.#own.open * this.#others.weight16 > spillFactor * spared * this.#own.weight16;
  }

  /** How things stand, in words. */
  get words(): string {
    const { size } = this.#own.balancer;
    const { minBackends, minPercent } = this.#options();
    const whole = this.#own.weight16 + this.#others.weight16;
    const share = whole === 0 ? 0 : Math.round((100 * this.#own.weight16) / whole);
    const zones = 1 + this.#otherZones.size;
    const part = `${size} of ${this.size} healthy backends, ${share}% of the weight of ${zones} zones`;
    if (!this.isPreferred) {
      const why =
        size > 0 && this.size < minBackends
          ? `fewer than ${minBackends}`
          : `not ${minPercent}% of a fair share`;
      return `the own zone ${this.#ownName} is not preferred: ${part}, ${why}`;
    }
    const spilling =
      this.#own.balancer.pick([]) === undefined
        ? "all at their limit, so work spills over"
        : this.isOverloaded
          ? "loaded so much more than the others that work spills over"
          : "";
    return `the own zone ${this.#ownName} comes first: ${part}${spilling === "" ? "" : `, ${spilling}`}`;
  }

  add(backend: Backend): void {
    const zone = backend.endpoint.zone ?? "";
    const side = zone === this.#ownName ? this.#own : this.#others;
    const { weight16 } = backend.row;
    this.#members.set(backend, { side, zone, weight16 });
    side.weight16 += weight16;
    side.open += backend.inFlight;
    if (side === this.#others) this.#otherZones.set(zone, (this.#otherZones.get(zone) ?? 0) + 1);
    side.balancer.add(backend);
    this.#all.add(backend);
  }

  remove(backend: Backend): void {
    const member = this.#members.get(backend);
    if (member === undefined) return;
    const { side, zone, weight16 } = member;
    this.#members.delete(backend);
    side.weight16 -= weight16;
    side.open -= backend.inFlight;
    if (side === this.#others) {
      const left = (this.#otherZones.get(zone) ?? 0) - 1;
      if (left > 0) this.#otherZones.set(zone, left);
      else this.#otherZones.delete(zone);
    }
    side.balancer.remove(backend);
    this.#all.remove(backend);
  }

  reweigh(backend: Backend): void {
    const member = this.#members.get(backend);
    if (member === undefined) return;
    if (member.zone !== (backend.endpoint.zone ?? "")) {
      this.remove(backend);
      this.add(backend);
      return;
    }
    const { weight16 } = backend.row;
    member.side.weight16 += weight16 - member.weight16;
    member.weight16 = weight16;
    member.side.balancer.reweigh(backend);
    this.#all.reweigh(backend);
  }

  pick(avoid: readonly Backend[], hash?: number): Backend | undefined {
    if (!this.isPreferred) return this.#all.pick(avoid, hash);
    const isSpilling = this.isOverloaded;
    const first = (isSpilling ? this.#others : this.#own).balancer.pick(avoid, hash);
    if (first !== undefined && !avoid.includes(first)) return first;
    const second = (isSpilling ? this.#own : this.#others).balancer.pick(avoid, hash);
    return second !== undefined && (first === undefined || !avoid.includes(second)) ? second : first;
  }

  placeOf(hash: number): Backend | undefined {
    const side = this.isOverloaded ? this.#others : this.#own;
    return (this.isPreferred ? side.balancer : this.#all).placeOf?.(hash);
  }

  taken(backend: Backend): void {
    const side = this.#members.get(backend)?.side;
    if (side === undefined) return;
    side.open++;
    side.balancer.taken(backend);
    this.#all.taken(backend);
  }

  released(backend: Backend): void {
    const side = this.#members.get(backend)?.side;
    if (side === undefined) return;
    side.open--;
    side.balancer.released(backend);
    this.#all.released(backend);
  }

  observe(backend: Backend, latencyMs: number, outcome: Outcome, nowMs: number): void {
    this.#members.get(backend)?.side.balancer.observe?.(backend, latencyMs, outcome, nowMs);
    this.#all.observe?.(backend, latencyMs, outcome, nowMs);
  }
}
