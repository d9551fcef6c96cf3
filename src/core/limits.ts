import { AdaptiveLimit } from "./adaptive-limit.js";
import type { Backend } from "./backend.js";
import type { Lease } from "./lease.js";
import { leastLimit, limitAt } from "./limit.js";
import type { Outcome } from "./outcome.js";
import type { OverrideBook } from "./override.js";
import type { PoolOptions } from "./pool-options.js";
import { rampedLimit } from "./slow-start.js";

/** What limits need of their pool. */
export interface LimitsHost {
  /** Read at each use, since a reload may change them. */
  options(): PoolOptions;
  backends(): Iterable<Backend>;
  /** A backend became full, or has room again. */
  moved(backend: Backend): void;
  /** The same may be so for tunnels. */
  tunnelLimitMoved(backend: Backend): void;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/** Whether there is a limit that concerns requests alone, and no tunnel of a TCP listener. */
export function isRequestsLimited({ maxRequestsPerBackend, adaptiveLimit }: PoolOptions): boolean {
  return (maxRequestsPerBackend ?? 0) > 0 || adaptiveLimit !== undefined;
}

/**
 * Request path, where limits grow with the load or follow latency. The limit in force of each backend: what was
 * configured, unless it is overridden, as far as load, latency, slow start and probation grant it.
 */
export class Limits {
  readonly #host: LimitsHost;
  readonly #overrides: OverrideBook;
  /** The load that limits were last made for. */
  #load = 0;
  /** Those whose latency at little load is being measured. */
  readonly #measuring = new Set<Backend>();

  constructor(host: LimitsHost, overrides: OverrideBook) {
    this.#host = host;
    this.#overrides = overrides;
  }

  /** Puts the limit of a backend in force anew. */
  put(backend: Backend): void {
    const { maxInFlightPerBackend, maxRequestsPerBackend, growingLimit } = this.#host.options();
    const { row, ramp, probation, tunnels } = backend;
    const override = this.#overrides.of(backend.endpoint.key).limit?.value;
    const all = rampedLimit(limitAt(override ?? maxInFlightPerBackend, growingLimit, this.#load), ramp);
    const asked = override === undefined ? (maxRequestsPerBackend ?? 0) : 0;
    const loaded = limitAt(asked, growingLimit, this.#load);
    const requests = rampedLimit(leastLimit(loaded, this.#adaptiveOf(backend)), ramp);
    const tunnelLimit = probation.limit(all);
    if (backend.tunnelLimit !== tunnelLimit) {
      backend.tunnelLimit = tunnelLimit;
      this.#host.tunnelLimitMoved(backend);
    }
    // What is open counts tunnels too, so that room for requests is what lies above them.
    const limit = probation.limit(leastLimit(all, requests === 0 ? 0 : requests + tunnels));
    if (row.limit === limit) return;
    const wasFull = row.isFull;
    row.limit = limit;
    // Those who order backends only ask whether one is full, and whoever is filed anew loses its turn.
    if (row.isFull !== wasFull) this.#host.moved(backend);
  }

  /** Where limits grow, they follow this load: open and waiting work of the pool. */
  follow(work: number): void {
    const { growingLimit, maxInFlightPerBackend, maxRequestsPerBackend } = this.#host.options();
    const load = Math.min(work, growingLimit?.fullLoad ?? 0);
    if (load === this.#load) return;
    const isSameFor = (most: number) =>
      limitAt(most, growingLimit, load) === limitAt(most, growingLimit, this.#load);
    const isSame = isSameFor(maxInFlightPerBackend) && isSameFor(maxRequestsPerBackend ?? 0);
    this.#load = load;
    if (isSame && this.#overrides.size === 0) return;
    for (const backend of this.#host.backends()) this.put(backend);
  }

  /** A lease of a backend whose limit follows its latency was given back. */
  settled({ backend, latencyMs, takenMs, isTunnel }: Lease, outcome: Outcome, nowMs: number): void {
    const { adaptive, row } = backend;
    const { adaptiveLimit } = this.#host.options();
    if (adaptive === undefined || adaptiveLimit === undefined || isTunnel) return;
    const inFlight = row.inFlight - backend.tunnels + 1;
    const before = adaptive.limit(adaptiveLimit);
    // A failure comes fast or slow for reasons of its own.
    if (outcome === "timeout") adaptive.answered(adaptiveLimit, nowMs - takenMs, takenMs, inFlight, nowMs);
    else if (latencyMs >= 0 && (outcome === "success" || outcome === "ignored"))
      adaptive.answered(adaptiveLimit, latencyMs, takenMs, inFlight, nowMs);
    else if (outcome === "ignored")
      adaptive.abandoned(adaptiveLimit, nowMs - takenMs, takenMs, inFlight, nowMs);
    if (adaptive.isMeasuring !== this.#measuring.has(backend)) this.#watch(backend, adaptive);
    if (adaptive.limit(adaptiveLimit) !== before) this.put(backend);
  }

  /** Ends measurements whose time is over. */
  tick(nowMs: number): void {
    const { adaptiveLimit } = this.#host.options();
    for (const backend of this.#measuring) {
      const { adaptive } = backend;
      if (adaptiveLimit !== undefined) adaptive?.giveUp(adaptiveLimit, nowMs);
      if (backend.isGone || adaptive?.isMeasuring !== true) this.#measuring.delete(backend);
      this.put(backend);
    }
  }

  /** When `tick` next has something to do; infinite when nothing is due. */
  nextDueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    const { adaptiveLimit } = this.#host.options();
    if (adaptiveLimit === undefined) return due;
    for (const { adaptive } of this.#measuring)
      due = Math.min(due, adaptive?.givesUpMs(adaptiveLimit) ?? due);
    return due;
  }

  #watch(backend: Backend, adaptive: AdaptiveLimit): void {
    if (adaptive.isMeasuring) this.#measuring.add(backend);
    else this.#measuring.delete(backend);
    this.#host.dueMoved();
  }

  /** What latency grants; 0 for no limit. It is forgotten where it is switched off. */
  #adaptiveOf(backend: Backend): number {
    const { adaptiveLimit, random } = this.#host.options();
    if (adaptiveLimit === undefined) {
      backend.adaptive = undefined;
      return 0;
    }
    backend.adaptive ??= new AdaptiveLimit(random);
    return backend.adaptive.limit(adaptiveLimit);
  }
}
