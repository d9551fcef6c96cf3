import type { Backend } from "./backend.js";
import { limitAt } from "./limit.js";
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
}

/**
 * Request path, where limits grow with the load. The limit in force of each backend: what was configured, unless it is
 * overridden, as far as load, slow start and probation grant it.
 */
export class Limits {
  readonly #host: LimitsHost;
  readonly #overrides: OverrideBook;
  /** The load that limits were last made for. */
  #load = 0;

  constructor(host: LimitsHost, overrides: OverrideBook) {
    this.#host = host;
    this.#overrides = overrides;
  }

  /** Puts the limit of a backend in force anew. */
  put(backend: Backend): void {
    const { maxInFlightPerBackend, growingLimit } = this.#host.options();
    const most = this.#overrides.of(backend.endpoint.key).limit?.value ?? maxInFlightPerBackend;
    const granted = rampedLimit(limitAt(most, growingLimit, this.#load), backend.ramp);
    const limit = backend.probation.limit(granted);
    const { row } = backend;
    if (row.limit === limit) return;
    const wasFull = row.isFull;
    row.limit = limit;
    // Those who order backends only ask whether one is full, and whoever is filed anew loses its turn.
    if (row.isFull !== wasFull) this.#host.moved(backend);
  }

  /** Where limits grow, they follow this load: open and waiting work of the pool. */
  follow(work: number): void {
    const { growingLimit, maxInFlightPerBackend } = this.#host.options();
    const load = Math.min(work, growingLimit?.fullLoad ?? 0);
    if (load === this.#load) return;
    const before = limitAt(maxInFlightPerBackend, growingLimit, this.#load);
    this.#load = load;
    const isSame = limitAt(maxInFlightPerBackend, growingLimit, load) === before;
    if (isSame && this.#overrides.size === 0) return;
    for (const backend of this.#host.backends()) this.put(backend);
  }
}
