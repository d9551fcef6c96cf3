import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { ExactLoadIndex, type LoadIndex } from "../load-index.js";
import { VirtualClock } from "../virtual-clock.js";

/** 256 times 16: the greatest weight in sixteenths. */
const GREATEST_WEIGHT16 = 4096;

/**
 * Request path. HAProxy's leastconn: the backend with the least load after the pick comes first, where load is
 * `floor((in flight + 1) * 4096 / weight in sixteenths)` and 0 for an idle backend whatever its weight. Equal
 * loads are served in the order in which they came about, which gives round robin.
 *
 * HAProxy's key for idle backends makes weights mean nothing while requests come one at a time. With
 * `idle: "weighted"` backends at key 0 are served by weighted round robin instead; `idle: "haproxy"` keeps the
 * original rule.
 */
export class Leastconn implements Balancer {
  readonly algorithm = "leastconn";
  readonly #index: LoadIndex;
  /** Orders idle backends by weight; undefined for HAProxy's rule. */
  readonly #idleTurns: VirtualClock | undefined;
  /** Counts filings; the order of equal keys. */
  #filings = 0;

  constructor(options: { readonly idle: "weighted" | "haproxy" }, index: LoadIndex = new ExactLoadIndex()) {
    this.#index = index;
    this.#idleTurns = options.idle === "weighted" ? new VirtualClock() : undefined;
  }

  get size(): number {
    return this.#index.size;
  }

  add(backend: Backend): void {
    this.#idleTurns?.join(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  remove(backend: Backend): void {
    this.#index.remove(backend);
  }

  reweigh(backend: Backend): void {
    this.#idleTurns?.reweigh(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    return this.#index.first(avoid);
  }

  taken(backend: Backend): void {
    // The row counts this lease already, so an idle backend stands at one now.
    if (this.#idleTurns !== undefined && backend.row.inFlight === 1) this.#idleTurns.serve(backend.row.index);
    this.#file(backend);
  }

  released(backend: Backend): void {
    this.#file(backend);
  }

  #file(backend: Backend): void {
    const key = loadKey(backend);
    const order =
      key === 0 && this.#idleTurns !== undefined
        ? this.#idleTurns.turnOf(backend.row.index)
        : ++this.#filings;
    this.#index.file(backend, key, order);
  }
}

/** HAProxy's `fwlc` key; infinite when the backend is at its limit. */
export function loadKey(backend: Backend): number {
  const { row } = backend;
  const { inFlight, limit } = row;
  if (limit > 0 && inFlight >= limit) return Number.POSITIVE_INFINITY;
  if (inFlight === 0) return 0;
  return Math.floor(((inFlight + 1) * GREATEST_WEIGHT16) / row.weight16);
}
