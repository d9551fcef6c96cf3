import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import type { Outcome } from "../outcome.js";

/**
 * Request path. Affinity by a key over any balancer: who has a key goes where its hash says, all others where the
 * balancer says. Both see all that is in flight.
 */
export class Keyed implements Balancer {
  readonly algorithm: string;
  readonly #byKey: Balancer;
  readonly #others: Balancer;

  constructor(byKey: Balancer, others: Balancer) {
    this.algorithm = others.algorithm;
    this.#byKey = byKey;
    this.#others = others;
  }

  get size(): number {
    return this.#others.size;
  }

  add(backend: Backend): void {
    this.#byKey.add(backend);
    this.#others.add(backend);
  }

  remove(backend: Backend): void {
    this.#byKey.remove(backend);
    this.#others.remove(backend);
  }

  reweigh(backend: Backend): void {
    this.#byKey.reweigh(backend);
    this.#others.reweigh(backend);
  }

  pick(avoid: readonly Backend[], hash?: number): Backend | undefined {
    return hash === undefined ? this.#others.pick(avoid) : this.#byKey.pick(avoid, hash);
  }

  placeOf(hash: number): Backend | undefined {
    return this.#byKey.placeOf?.(hash);
  }

  home(avoid: readonly Backend[], hash: number): Backend | undefined {
    return this.#byKey.home?.(avoid, hash);
  }

  taken(backend: Backend): void {
    this.#byKey.taken(backend);
    this.#others.taken(backend);
  }

  released(backend: Backend): void {
    this.#byKey.released(backend);
    this.#others.released(backend);
  }

  observe(backend: Backend, latencyMs: number, outcome: Outcome, nowMs: number): void {
    this.#others.observe?.(backend, latencyMs, outcome, nowMs);
  }
}
