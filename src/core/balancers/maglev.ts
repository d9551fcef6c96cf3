import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { HashedMembers, type LoadBound } from "../hashed-members.js";
import { MaglevBuild } from "../maglev-table.js";

/** Steps of a rebuild that one pick does at most: some tens of microseconds. */
const STEPS_PER_PICK = 2048;

/** Slots looked at behind a key's own before the least loaded backend is taken instead. */
const LONGEST_WALK = 1024;

/** Options of the table. */
export interface MaglevOptions extends LoadBound {
  /** Slots of the table: a prime, at best a hundred times the number of backends. */
  readonly tableSize: number;
}

/**
 * Request path. Maglev hashing (Envoy's `maglev`): a table of slots, filled by weight, in which a key's slot names its
 * backend: O(1), shares even within a percent, and few keys move that need not when backends come and go.
 *
 * After a change the old table serves on, without those that left, while picks build the new one in parts; changes
 * meanwhile are for the next one. So no pick pays more than its part, and a storm of changes holds up none.
 */
export class Maglev implements Balancer {
  readonly algorithm = "maglev";
  readonly #tableSize: number;
  readonly #random: () => number;
  readonly #members: HashedMembers;
  #whole: MaglevBuild | undefined;
  #build: MaglevBuild | undefined;
  #isStale = false;

  constructor(options: MaglevOptions, random: () => number) {
    this.#tableSize = options.tableSize;
    this.#random = random;
    this.#members = new HashedMembers(options);
  }

  get size(): number {
    return this.#members.size;
  }

  /** Whether the table in force knows of all changes. */
  get isSettled(): boolean {
    return !this.#isStale && this.#build === undefined;
  }

  add(backend: Backend): void {
    this.#members.add(backend);
    this.#isStale = true;
  }

  remove(backend: Backend): void {
    this.#members.remove(backend);
    this.#isStale = true;
  }

  reweigh(backend: Backend): void {
    this.#members.count(backend);
    this.#isStale = true;
  }

  pick(avoid: readonly Backend[], hash?: number): Backend | undefined {
    if (this.#members.openCount === 0) return undefined;
    const from = hash ?? Math.floor(this.#random() * 2 ** 32);
    return this.#nearest(from, avoid, true) ?? this.#members.leastLoaded(avoid);
  }

  placeOf(hash: number): Backend | undefined {
    if (this.#whole === undefined) return undefined;
    const { table, backends } = this.#whole;
    return backends[table[hash % table.length] as number];
  }

  home(avoid: readonly Backend[], hash: number): Backend | undefined {
    if (this.#members.isBounded || this.size === 0) return undefined;
    return this.#nearest(hash, avoid, false);
  }

  taken(backend: Backend): void {
    this.#members.count(backend);
  }

  released(backend: Backend): void {
    this.#members.count(backend);
  }

  /** The first in the table from a hash on, outside `avoid`; with `needsRoom` the first that may be given more. */
  #nearest(hash: number, avoid: readonly Backend[], needsRoom: boolean): Backend | undefined {
    if (!this.isSettled) this.#goOn();
    const { table, backends } = this.#whole as MaglevBuild;
    if (backends.length === 0) return undefined;
    let slot = hash % table.length;
    for (let step = 0; step < LONGEST_WALK; step++) {
      const backend = backends[table[slot] as number] as Backend;
      const isFit = this.#members.has(backend) && (!needsRoom || this.#members.hasRoom(backend));
      if (isFit && !avoid.includes(backend)) return backend;
      slot = slot + 1 === table.length ? 0 : slot + 1;
    }
    return undefined;
  }

  #goOn(): void {
    if (this.#build === undefined) {
      this.#isStale = false;
      this.#build = new MaglevBuild(this.#members.all(), this.#tableSize);
    }
    // Without a table nothing can be served, so the first is made at once.
    const isFirst = this.#whole === undefined || this.#whole.backends.length === 0;
    if (!this.#build.work(isFirst ? Number.POSITIVE_INFINITY : STEPS_PER_PICK)) return;
    this.#whole = this.#build;
    this.#build = undefined;
  }
}
