import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { WeightedSampler } from "../weighted-sampler.js";

/** Draws that may be wasted on backends to avoid before the list is looked through instead. */
const MOST_REDRAWS = 8;

/**
 * Request path. The less loaded of a few weighted draws (HAProxy's `random(<draws>)`, two choices by default):
 * the lower in flight per weight wins, the first drawn among equals. Backends at their limit are not drawn.
 */
export class RandomDraws implements Balancer {
  readonly algorithm = "random";
  readonly #draws: number;
  readonly #random: () => number;
  readonly #sampler = new WeightedSampler();
  readonly #backends: (Backend | undefined)[] = [];
  #size = 0;

  constructor(options: { readonly draws: number }, random: () => number) {
    this.#draws = options.draws;
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  add(backend: Backend): void {
    if (this.#backends[backend.row.index] === undefined) this.#size++;
    this.#backends[backend.row.index] = backend;
    this.#weigh(backend);
  }

  remove(backend: Backend): void {
    if (this.#backends[backend.row.index] !== backend) return;
    this.#backends[backend.row.index] = undefined;
    this.#size--;
    this.#sampler.set(backend.row.index, 0);
  }

  reweigh(backend: Backend): void {
    this.#weigh(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    if (this.#sampler.total <= 0) return undefined;
    let best: Backend | undefined;
    for (let draw = 0; draw < this.#draws; draw++) {
      const drawn = this.#draw(avoid);
      if (drawn !== undefined && (best === undefined || isLessLoaded(drawn, best))) best = drawn;
    }
    return best ?? this.#draw([]);
  }

  taken(backend: Backend): void {
    if (backend.row.limit > 0) this.#weigh(backend);
  }

  released(backend: Backend): void {
    if (backend.row.limit > 0) this.#weigh(backend);
  }

  #weigh(backend: Backend): void {
    this.#sampler.set(backend.row.index, backend.row.isFull ? 0 : backend.row.weight16);
  }

  #draw(avoid: readonly Backend[]): Backend | undefined {
    for (let redraw = 0; redraw < MOST_REDRAWS; redraw++) {
      const drawn = this.#backends[this.#sampler.slotAt(this.#random() * this.#sampler.total)];
      if (drawn !== undefined && !avoid.includes(drawn)) return drawn;
    }
    return this.#backends.find(
      (backend) => backend !== undefined && !backend.row.isFull && !avoid.includes(backend),
    );
  }
}

function isLessLoaded(a: Backend, b: Backend): boolean {
  return a.row.inFlight * b.row.weight16 < b.row.inFlight * a.row.weight16;
}
