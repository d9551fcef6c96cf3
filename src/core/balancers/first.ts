import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { ExactLoadIndex, type LoadIndex } from "../load-index.js";

const NOBODY: readonly Backend[] = [];

/**
 * Request path. HAProxy's `first`: the first backend, in the order of their keys, that has a slot left, so that the last
 * ones stand idle and may be stopped. Weights say nothing here, and without a limit the first takes all.
 */
export class First implements Balancer {
  readonly algorithm = "first";
  readonly #index: LoadIndex;
  readonly #ranks = new Map<Backend, number>();
  /** Somebody joined, whose rank is not known yet. */
  #isStale = false;

  constructor(index: LoadIndex = new ExactLoadIndex()) {
    this.#index = index;
  }

  get size(): number {
    return this.#ranks.size;
  }

  add(backend: Backend): void {
    this.#ranks.set(backend, Number.POSITIVE_INFINITY);
    this.#isStale = true;
  }

  remove(backend: Backend): void {
    this.#ranks.delete(backend);
    this.#index.remove(backend);
  }

  reweigh(backend: Backend): void {
    this.#file(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    if (this.#isStale) this.#rank();
    const other = this.#index.first(avoid);
    return other !== undefined || avoid.length === 0 ? other : this.#index.first(NOBODY);
  }

  taken(backend: Backend): void {
    if (backend.row.isFull) this.#file(backend);
  }

  released(backend: Backend): void {
    const { row } = backend;
    if (row.limit > 0 && row.inFlight === row.limit - 1) this.#file(backend);
  }

  /** All at once: many join together. */
  #rank(): void {
    this.#isStale = false;
    const inOrder = [...this.#ranks.keys()].sort((a, b) => (a.id < b.id ? -1 : 1));
    inOrder.forEach((backend, rank) => {
      this.#ranks.set(backend, rank);
      this.#file(backend);
    });
  }

  #file(backend: Backend): void {
    const rank = this.#ranks.get(backend) ?? Number.POSITIVE_INFINITY;
    this.#index.file(backend, backend.row.isFull ? Number.POSITIVE_INFINITY : rank);
  }
}
