import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import type { Outcome } from "../outcome.js";
import { WeightedSampler } from "../weighted-sampler.js";

/** Draws that may be wasted before the list is looked through instead. */
const MOST_REDRAWS = 8;

/** Further draws for a second choice that differs from the first. */
const SECOND_DRAWS = 3;

/** Options, as linkerd has them. */
export interface EwmaOptions {
  /** Time in which an estimate forgets 63 percent. */
  readonly decayMs: number;
  /** What is taken for the latency of a backend that has answered nothing yet. */
  readonly defaultRttMs: number;
}

/** What is known of one backend's latency. */
interface Estimate {
  backend: Backend;
  rttMs: number;
  atMs: number;
}

/**
 * Request path. Peak EWMA of two choices (linkerd, tower's `PeakEwma`): of two draws by weight the one of least cost,
 * `latency * (in flight + 1)`. The latency is a moving average that jumps to every peak at once and forgets it over
 * `decayMs`; time alone lets it sink, so that who was slow is tried again. In flight counts relative to the weight: a
 * backend of twice the average may have twice as much open.
 *
 * A failure never lowers an estimate, or who fails fast would draw all the traffic. The time is that of the last answer
 * in the pool.
 */
export class Ewma implements Balancer {
  readonly algorithm = "ewma";
  readonly #decayMs: number;
  readonly #defaultRttMs: number;
  readonly #random: () => number;
  readonly #sampler = new WeightedSampler();
  readonly #estimates: (Estimate | undefined)[] = [];
  #nowMs = 0;
  #size = 0;
  #weight16 = 0;
  readonly #weighed: number[] = [];

  constructor(options: EwmaOptions, random: () => number) {
    this.#decayMs = options.decayMs;
    this.#defaultRttMs = options.defaultRttMs;
    this.#random = random;
  }

  get size(): number {
    return this.#size;
  }

  add(backend: Backend): void {
    const { index } = backend.row;
    if (this.#holds(backend)) return;
    while (this.#estimates.length <= index) this.#estimates.push(undefined);
    while (this.#weighed.length <= index) this.#weighed.push(0);
    this.#estimates[index] = { backend, rttMs: this.#defaultRttMs, atMs: this.#nowMs };
    this.#size++;
    this.#weigh(backend);
  }

  remove(backend: Backend): void {
    const { index } = backend.row;
    if (!this.#holds(backend)) return;
    this.#estimates[index] = undefined;
    this.#size--;
    this.#setWeight(index, 0);
    this.#sampler.set(index, 0);
  }

  reweigh(backend: Backend): void {
    this.#weigh(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    if (this.#sampler.total <= 0) return undefined;
    const first = this.#draw(avoid);
    if (first === undefined) return this.#draw([]);
    for (let draw = 0; draw < SECOND_DRAWS; draw++) {
      const second = this.#draw(avoid);
      if (second !== undefined && second !== first)
        return this.costOf(second) < this.costOf(first) ? second : first;
    }
    return first;
  }

  taken(backend: Backend): void {
    if (backend.row.limit > 0) this.#weigh(backend);
  }

  released(backend: Backend): void {
    if (backend.row.limit > 0) this.#weigh(backend);
  }

  observe(backend: Backend, latencyMs: number, outcome: Outcome, nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    const estimate = this.#estimates[backend.row.index];
    if (estimate?.backend !== backend || latencyMs < 0 || outcome === "ignored") return;
    const decayed = this.#decay(estimate);
    if (latencyMs >= estimate.rttMs) estimate.rttMs = latencyMs;
    else if (outcome === "success") estimate.rttMs = estimate.rttMs * decayed + latencyMs * (1 - decayed);
    estimate.atMs = this.#nowMs;
  }

  /** What picks compare: the latency in milliseconds as it stands now, times what is in flight for its weight. */
  costOf(backend: Backend): number {
    const { row } = backend;
    const estimate = this.#estimates[row.index];
    if (estimate?.backend !== backend) return Number.POSITIVE_INFINITY;
    const meanWeight16 = this.#weight16 / this.#size;
    // Never 0, or nothing in flight would count.
    const rttMs = Math.max(estimate.rttMs * this.#decay(estimate), 0.01);
    return rttMs * ((row.inFlight * meanWeight16) / row.weight16 + 1);
  }

  #decay(estimate: Estimate): number {
    return Math.exp(-(this.#nowMs - estimate.atMs) / this.#decayMs);
  }

  #holds(backend: Backend): boolean {
    return this.#estimates[backend.row.index]?.backend === backend;
  }

  #weigh(backend: Backend): void {
    const { row } = backend;
    this.#setWeight(row.index, row.weight16);
    this.#sampler.set(row.index, row.isFull ? 0 : row.weight16);
  }

  #setWeight(index: number, weight16: number): void {
    this.#weight16 += weight16 - (this.#weighed[index] as number);
    this.#weighed[index] = weight16;
  }

  #draw(avoid: readonly Backend[]): Backend | undefined {
    for (let redraw = 0; redraw < MOST_REDRAWS; redraw++) {
      const drawn = this.#estimates[this.#sampler.slotAt(this.#random() * this.#sampler.total)]?.backend;
      if (drawn !== undefined && !avoid.includes(drawn)) return drawn;
    }
    for (const estimate of this.#estimates) {
      const backend = estimate?.backend;
      if (backend !== undefined && !backend.row.isFull && !avoid.includes(backend)) return backend;
    }
    return undefined;
  }
}
