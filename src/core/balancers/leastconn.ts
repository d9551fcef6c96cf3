import type { Backend } from "../backend.js";
import type { Balancer } from "../balancer.js";
import { LoadBuckets } from "../load-buckets.js";
import { ExactLoadIndex, type LoadIndex } from "../load-index.js";
import { VirtualClock } from "../virtual-clock.js";

const NOBODY: readonly Backend[] = [];

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
  /** Backends by load. */
  readonly #loaded: LoadIndex;
  /** Idle backends by their turns; empty under HAProxy's rule, which files them by load too. */
  readonly #idle: LoadIndex = new ExactLoadIndex();
  readonly #idleTurns: VirtualClock | undefined;

  constructor(options: { readonly idle: "weighted" | "haproxy" }, index: LoadIndex = new LoadBuckets()) {
    this.#loaded = index;
    this.#idleTurns = options.idle === "weighted" ? new VirtualClock() : undefined;
  }

  get size(): number {
    return this.#idle.size + this.#loaded.size;
  }

  add(backend: Backend): void {
    this.#idleTurns?.join(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  remove(backend: Backend): void {
    this.#idle.remove(backend);
    this.#loaded.remove(backend);
  }

  reweigh(backend: Backend): void {
    this.#idleTurns?.reweigh(backend.row.index, backend.row.weight16);
    this.#file(backend);
  }

  pick(avoid: readonly Backend[]): Backend | undefined {
    const other = this.#idle.first(avoid) ?? this.#loaded.first(avoid);
    if (other !== undefined || avoid.length === 0) return other;
    return this.#idle.first(NOBODY) ?? this.#loaded.first(NOBODY);
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
    if (key === 0 && this.#idleTurns !== undefined) {
      this.#loaded.remove(backend);
      this.#idle.file(backend, this.#idleTurns.turnOf(backend.row.index));
    } else {
      if (this.#idle.size > 0) this.#idle.remove(backend);
      this.#loaded.file(backend, key);
    }
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
