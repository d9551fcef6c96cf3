import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { ExactLoadIndex, type LoadIndex } from "../load-index.js";
import { VirtualClock } from "../virtual-clock.js";

const NOBODY: readonly Backend[] = [];

/**
 * Request path. Weighted round robin, smooth: a backend of weight 5 beside two of weight 1 gets five turns of
 * seven, spread evenly rather than in a row. A backend at its limit is passed over and gets no credit for it.
 */
export class RoundRobin implements Balancer {
  readonly algorithm = "roundrobin";
  readonly #index: LoadIndex;
  readonly #turns = new VirtualClock();

  constructor(index: LoadIndex = new ExactLoadIndex()) {
    this.#index = index;
  }

  get size(): number {
    return this.#index.size;
  }

  add(backend: Backend): void {
    this.#turns.join(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  remove(backend: Backend): void {
    this.#index.remove(backend);
  }

  reweigh(backend: Backend): void {
    this.#turns.reweigh(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    const other = this.#index.first(avoid);
    return other !== undefined || avoid.length === 0 ? other : this.#index.first(NOBODY);
  }

  taken(backend: Backend): void {
    this.#turns.serve(backend.row.index);
    this.#file(backend);
  }

  released(backend: Backend): void {
    // Only a backend that has just come off its limit is filed elsewhere.
    const { row } = backend;
    if (row.limit > 0 && row.inFlight === row.limit - 1) this.#file(backend);
  }

  #file(backend: Backend): void {
    const key = backend.row.isFull ? Number.POSITIVE_INFINITY : this.#turns.turnOf(backend.row.index);
    this.#index.file(backend, key);
  }
}
