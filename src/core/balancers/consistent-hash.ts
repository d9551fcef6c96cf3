import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { HashRing } from "../hash-ring.js";
import { HashedMembers, type LoadBound } from "../hashed-members.js";

/** Points looked at behind a key's place before the least loaded backend is taken instead. */
const LONGEST_WALK = 1024;

/** Options of the ring. */
export interface ConsistentHashOptions extends LoadBound {
  /** Points on the ring of a backend that weighs as much as the heaviest. */
  readonly virtualNodes: number;
}

/**
 * Request path. Consistent hashing on a ring with points by weight (HAProxy's `hash-type consistent`, Envoy's ring hash)
 * and bounded load (HAProxy's `hash-balance-factor`): the first backend behind the key's place that has a slot left and
 * is within its bound. When one of K backends leaves, about a K-th of the keys move, and no others.
 *
 * A request without a key goes to a place at random, so it is shared by weight.
 */
export class ConsistentHash implements Balancer {
  readonly algorithm = "consistent-hash";
  readonly #virtualNodes: number;
  readonly #random: () => number;
  readonly #members: HashedMembers;
  readonly #ring = new HashRing();
  /** Points in force by row, so that a weight that changes nothing costs nothing. */
  readonly #points = new Map<Backend, number>();
  /** The weight in sixteenths that gets all virtual nodes: a power of two, moved only when weights leave its range. */
  #scale16 = 0;

  constructor(options: ConsistentHashOptions, random: () => number) {
    this.#virtualNodes = options.virtualNodes;
    this.#random = random;
    this.#members = new HashedMembers(options);
  }

  get size(): number {
    return this.#members.size;
  }

  add(backend: Backend): void {
    this.#members.add(backend);
    this.#place(backend);
  }

  remove(backend: Backend): void {
    if (!this.#members.has(backend)) return;
    this.#members.remove(backend);
    this.#points.delete(backend);
    this.#ring.set(backend.row.index, backend.id, 0);
  }

  reweigh(backend: Backend): void {
    this.#members.count(backend);
    this.#place(backend);
  }

  pick(avoid: readonly Backend[], hash?: number): Backend | undefined {
    if (this.#members.openCount === 0) return undefined;
    const from = hash ?? Math.floor(this.#random() * 2 ** 32);
    return this.#nearest(from, avoid, true) ?? this.#members.leastLoaded(avoid);
  }

  placeOf(hash: number): Backend | undefined {
    return this.#ring.length === 0 ? undefined : this.#members.at(this.#ring.rowAt(this.#ring.begin(hash)));
  }

  home(avoid: readonly Backend[], hash: number): Backend | undefined {
    return this.#members.isBounded ? undefined : this.#nearest(hash, avoid, false);
  }

  taken(backend: Backend): void {
    this.#members.count(backend);
  }

  released(backend: Backend): void {
    this.#members.count(backend);
  }

  /** The first on the ring from a hash on, outside `avoid`; with `needsRoom` the first that may be given more. */
  #nearest(hash: number, avoid: readonly Backend[], needsRoom: boolean): Backend | undefined {
    const { length } = this.#ring;
    let point = this.#ring.begin(hash);
    for (let step = Math.min(length, LONGEST_WALK); step > 0; step--) {
      const backend = this.#members.at(this.#ring.rowAt(point));
      const isFit = backend !== undefined && (!needsRoom || this.#members.hasRoom(backend));
      if (isFit && !avoid.includes(backend)) return backend;
      point = point + 1 === length ? 0 : point + 1;
    }
    return undefined;
  }

  #place(backend: Backend): void {
    const { weight16 } = backend.row;
    if (weight16 > this.#scale16 || weight16 * 4 < this.#scale16) this.#rescale();
    this.#mark(backend);
  }

  /** The scale follows the heaviest, so that light pools have points enough and heavy ones not too many. */
  #rescale(): void {
    let heaviest = 1;
    for (const { row } of this.#members.all()) heaviest = Math.max(heaviest, row.weight16);
    const fitting = 2 ** Math.ceil(Math.log2(heaviest));
    if (fitting <= this.#scale16 && fitting * 4 > this.#scale16) return;
    this.#scale16 = fitting;
    for (const backend of this.#members.all()) this.#mark(backend);
  }

  #mark(backend: Backend): void {
    const points = Math.max(1, Math.round((this.#virtualNodes * backend.row.weight16) / this.#scale16));
    if (this.#points.get(backend) === points) return;
    this.#points.set(backend, points);
    this.#ring.set(backend.row.index, backend.id, points);
  }
}
