import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import { COUNTER, COUNTER_NAMES, type CounterName } from "../core/scoreboard.js";

/** The value of every counter by name. */
export type CounterValues = Readonly<Record<CounterName, number>>;

interface Baseline {
  readonly sinceMs: number;
  readonly pool: Readonly<Partial<CounterValues>>;
  /** Backends that were there at the reset; later ones began at 0. */
  readonly backends: WeakMap<Backend, CounterValues>;
}

/**
 * What was counted since the last reset. The counters themselves never go back; a reset only remembers where
 * they stood.
 */
export class StatsBaseline {
  readonly #startedMs: number;
  readonly #baselines = new Map<string, Baseline>();

  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  reset(pool: Pool, nowMs: number): void {
    const backends = new WeakMap<Backend, CounterValues>();
    for (const backend of pool.backends()) backends.set(backend, rawOf(backend));
    this.#baselines.set(pool.name, { sinceMs: nowMs, pool: rawOfPool(pool), backends });
  }

  /** Monotonic time from which the counters of a pool count. */
  sinceMs(pool: Pool): number {
    return this.#baselines.get(pool.name)?.sinceMs ?? this.#startedMs;
  }

  /** Of the pool and all its backends, those that left included. */
  ofPool(pool: Pool): CounterValues {
    return difference(rawOfPool(pool), this.#baselines.get(pool.name)?.pool);
  }

  ofBackend(pool: Pool, backend: Backend): CounterValues {
    return difference(rawOf(backend), this.#baselines.get(pool.name)?.backends.get(backend));
  }
}

function rawOf(backend: Backend): CounterValues {
  return valuesOf((name) => backend.row.read(COUNTER[name]));
}

function rawOfPool(pool: Pool): CounterValues {
  return valuesOf((name) => pool.total(name));
}

function difference(now: CounterValues, before: Readonly<Partial<CounterValues>> | undefined): CounterValues {
  return before === undefined ? now : valuesOf((name) => now[name] - (before[name] ?? 0));
}

function valuesOf(read: (name: CounterName) => number): CounterValues {
  return Object.fromEntries(COUNTER_NAMES.map((name) => [name, read(name)])) as CounterValues;
}
