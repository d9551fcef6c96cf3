import type { AdminFact } from "./backend.js";
import type { WeightChange } from "./weight.js";

/** Who may say something of a backend, strongest first: what a stronger one says hides what a weaker one says. */
export const OVERRIDE_ORIGINS = ["operator", "fleet", "agent", "consul", "config"] as const;

/** Who said it. */
export type OverrideOrigin = (typeof OVERRIDE_ORIGINS)[number];

/** Something said of a backend that discovery does not know, kept by key: it outlives address changes. */
export interface Override<Value> {
  readonly value: Value;
  readonly origin: OverrideOrigin;
  readonly owner: string;
  readonly reason: string;
  readonly sinceMs: number;
  /** Undefined: until taken back. */
  readonly expiresMs: number | undefined;
}

/** Who overrides, why and for how long. */
export interface OverrideTerms {
  readonly origin: OverrideOrigin;
  readonly owner: string;
  readonly reason: string;
  readonly ttlMs: number | undefined;
}

/** An override of a backend that is away is kept for this long when it names no end itself. */
export const ABSENT_OVERRIDE_MS = 24 * 60 * 60 * 1000;

/** Most keys with overrides; beyond it a new key is refused. */
export const MOST_OVERRIDDEN_KEYS = 10_000;

/** What overrides one key: all that one origin says, or the strongest of each. */
export interface KeyOverrides {
  readonly weight: Override<WeightChange> | undefined;
  readonly admin: Override<AdminFact> | undefined;
  /** Most leases at once; 0 for no limit. */
  readonly limit: Override<number> | undefined;
}

/** Nothing is overridden. */
export const NO_OVERRIDES: KeyOverrides = { weight: undefined, admin: undefined, limit: undefined };

const FIELDS = ["weight", "admin", "limit"] as const;

/** What each origin says of one key, and what of it is in force. */
interface Entry {
  readonly layers: ReadonlyMap<OverrideOrigin, KeyOverrides>;
  readonly inForce: KeyOverrides;
}

/**
 * All overrides of a pool, in layers by origin. Each origin says and takes back its own alone; weight, admin state
 * and limit are layered each by itself.
 */
export class OverrideBook {
  readonly #byKey = new Map<string, Entry>();
  /** Keys no backend has, and since when. */
  readonly #absentSinceMs = new Map<string, number>();

  /** What is in force: of each the strongest. */
  of(key: string): KeyOverrides {
    return this.#byKey.get(key)?.inForce ?? NO_OVERRIDES;
  }

  /** What one origin says, hidden by a stronger one or not. */
  said(key: string, origin: OverrideOrigin): KeyOverrides {
    return this.#byKey.get(key)?.layers.get(origin) ?? NO_OVERRIDES;
  }

  /** What every origin that says something says, strongest first. */
  layers(key: string): readonly (readonly [origin: OverrideOrigin, held: KeyOverrides])[] {
    const layers = this.#byKey.get(key)?.layers;
    if (layers === undefined) return [];
    return OVERRIDE_ORIGINS.flatMap((origin) => {
      const held = layers.get(origin);
      return held === undefined ? [] : [[origin, held] as const];
    });
  }

  /** Keys that are overridden, present or not. */
  keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  /** Keys that are overridden. */
  get size(): number {
    return this.#byKey.size;
  }

  get isFull(): boolean {
    return this.#byKey.size >= MOST_OVERRIDDEN_KEYS;
  }

  /** Changes what one origin says; undefined takes it back. */
  set(key: string, origin: OverrideOrigin, change: Partial<KeyOverrides>): void {
    const layers = new Map(this.#byKey.get(key)?.layers);
    const next = { ...this.said(key, origin), ...change };
    if (FIELDS.every((field) => next[field] === undefined)) layers.delete(origin);
    else layers.set(origin, next);
    if (layers.size === 0) {
      this.#byKey.delete(key);
      this.#absentSinceMs.delete(key);
    } else {
      this.#byKey.set(key, { layers, inForce: strongest(layers) });
    }
  }

  /** A backend with this key is there, or is there no more. */
  seen(key: string, isPresent: boolean, nowMs: number): void {
    if (isPresent) this.#absentSinceMs.delete(key);
    else if (this.#byKey.has(key) && !this.#absentSinceMs.has(key)) this.#absentSinceMs.set(key, nowMs);
  }

  /** Drops what has expired; answers the keys that lost something. */
  expire(nowMs: number): readonly string[] {
    const changed: string[] = [];
    for (const [key, { layers }] of this.#byKey) {
      let isChanged = false;
      for (const [origin, held] of layers) {
        const over = FIELDS.filter((field) => this.#isOver(key, held[field], nowMs));
        if (over.length === 0) continue;
        this.set(key, origin, Object.fromEntries(over.map((field) => [field, undefined])));
        isChanged = true;
      }
      if (isChanged) changed.push(key);
    }
    return changed;
  }

  /** When `expire` next has something to do; infinite when nothing will expire. */
  nextExpiryMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, { layers }] of this.#byKey) {
      for (const held of layers.values()) {
        for (const field of FIELDS) {
          const override = held[field];
          if (override !== undefined) next = Math.min(next, this.#endOf(key, override));
        }
      }
    }
    return next;
  }

  #isOver(key: string, override: Override<unknown> | undefined, nowMs: number): boolean {
    return override !== undefined && this.#endOf(key, override) <= nowMs;
  }

  #endOf(key: string, override: Override<unknown>): number {
    if (override.expiresMs !== undefined) return override.expiresMs;
    const absentSinceMs = this.#absentSinceMs.get(key);
    return absentSinceMs === undefined ? Number.POSITIVE_INFINITY : absentSinceMs + ABSENT_OVERRIDE_MS;
  }
}

function strongest(layers: ReadonlyMap<OverrideOrigin, KeyOverrides>): KeyOverrides {
  let { weight, admin, limit } = NO_OVERRIDES;
  for (const origin of OVERRIDE_ORIGINS) {
    const held = layers.get(origin);
    weight ??= held?.weight;
    admin ??= held?.admin;
    limit ??= held?.limit;
  }
  return { weight, admin, limit };
}

/** What `terms` make of a value said now. */
export function overrideOf<Value>(value: Value, terms: OverrideTerms, nowMs: number): Override<Value> {
  const { origin, owner, reason, ttlMs } = terms;
  return {
    value,
    origin,
    owner,
    reason,
    sinceMs: nowMs,
    expiresMs: ttlMs === undefined ? undefined : nowMs + ttlMs,
  };
}
