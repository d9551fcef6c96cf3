import type { Backend } from "./backend.js";
import { putAt } from "./load-index.js";

/** How much load a hash may put on one backend. */
export interface LoadBound {
  /** Most load relative to the backend's fair share, above 1 (bounded-load hashing); 0 for no bound. */
  readonly loadFactor: number;
}

/**
 * Request path. The backends of a balancer that goes by a hash: who is filed, how many have a slot left, and what load
 * each may take. The bound of bounded-load consistent hashing: with the request at hand nobody is above `loadFactor`
 * times its share by weight of all that is in flight, rounded up, so that somebody always has room.
 */
export class HashedMembers {
  readonly #loadFactor: number;
  readonly #byRow: (Backend | undefined)[] = [];
  readonly #all = new Set<Backend>();
  /** As last counted, by row: in flight, weight in sixteenths, and whether it was below its limit. */
  readonly #counted: number[] = [];
  readonly #weighed: number[] = [];
  readonly #isOpen: boolean[] = [];
  #inFlight = 0;
  #weight16 = 0;
  #openCount = 0;

  constructor({ loadFactor }: LoadBound) {
    this.#loadFactor = loadFactor;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether a backend's load may send a key elsewhere. */
  get isBounded(): boolean {
    return this.#loadFactor > 0;
  }

  /** Those below their limit. */
  get openCount(): number {
    return this.#openCount;
  }

  all(): ReadonlySet<Backend> {
    return this.#all;
  }

  has(backend: Backend): boolean {
    return this.#byRow[backend.row.index] === backend;
  }

  /** The member of a row; undefined when its row has none. */
  at(row: number): Backend | undefined {
    return this.#byRow[row];
  }

  add(backend: Backend): void {
    if (this.has(backend)) return;
    const { index } = backend.row;
    putAt(this.#byRow, index, backend);
    while (this.#counted.length <= index) {
      this.#counted.push(0);
      this.#weighed.push(0);
      this.#isOpen.push(false);
    }
    this.#all.add(backend);
    this.count(backend);
  }

  remove(backend: Backend): void {
    if (!this.has(backend)) return;
    const { index } = backend.row;
    this.#set(index, 0, 0, false);
    this.#byRow[index] = undefined;
    this.#all.delete(backend);
  }

  /** Takes note of what its row says now. */
  count(backend: Backend): void {
    if (!this.has(backend)) return;
    const { row } = backend;
    this.#set(row.index, row.inFlight, row.weight16, !row.isFull);
  }

  /** Whether it has a slot left, and one more request keeps it within its bound. */
  hasRoom(backend: Backend): boolean {
    const { row } = backend;
    if (row.isFull) return false;
    if (this.#loadFactor === 0) return true;
    const share = (this.#loadFactor * (this.#inFlight + 1) * row.weight16) / this.#weight16;
    return row.inFlight + 1 <= Math.ceil(share);
  }

  /**
   * For when the walk from a key's place found nobody: of those with a slot left the one with the least load for its
   * weight, outside `avoid` where there is one.
   */
  leastLoaded(avoid: readonly Backend[]): Backend | undefined {
    let best: Backend | undefined;
    for (const backend of this.#all) {
      if (backend.row.isFull || avoid.includes(backend)) continue;
      if (best === undefined || isLessLoaded(backend, best)) best = backend;
    }
    return best === undefined && avoid.length > 0 ? this.leastLoaded([]) : best;
  }

  #set(index: number, inFlight: number, weight16: number, isOpen: boolean): void {
    this.#inFlight += inFlight - (this.#counted[index] as number);
    this.#weight16 += weight16 - (this.#weighed[index] as number);
    this.#openCount += Number(isOpen) - Number(this.#isOpen[index]);
    this.#counted[index] = inFlight;
    this.#weighed[index] = weight16;
    this.#isOpen[index] = isOpen;
  }
}

function isLessLoaded(a: Backend, b: Backend): boolean {
  return (a.row.inFlight + 1) * b.row.weight16 < (b.row.inFlight + 1) * a.row.weight16;
}
