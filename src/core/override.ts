import type { AdminFact } from "./backend.js";
import type { WeightChange } from "./weight.js";

/** Who said it, strongest first. */
export type OverrideOrigin = "operator" | "fleet" | "agent" | "consul" | "config";

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

/** The overrides of one key. */
export interface KeyOverrides {
  readonly weight: Override<WeightChange> | undefined;
  readonly admin: Override<AdminFact> | undefined;
}

const NONE: KeyOverrides = { weight: undefined, admin: undefined };

/** All overrides of a pool. */
export class OverrideBook {
  readonly #byKey = new Map<string, KeyOverrides>();
  /** Keys no backend has, and since when. */
  readonly #absentSinceMs = new Map<string, number>();

  of(key: string): KeyOverrides {
    return this.#byKey.get(key) ?? NONE;
  }

  /** Keys that are overridden, present or not. */
  keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  get isFull(): boolean {
    return this.#byKey.size >= MOST_OVERRIDDEN_KEYS;
  }

  set(key: string, change: Partial<KeyOverrides>): void {
    const next = { ...this.of(key), ...change };
    if (next.weight === undefined && next.admin === undefined) {
      this.#byKey.delete(key);
      this.#absentSinceMs.delete(key);
    } else {
      this.#byKey.set(key, next);
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
    for (const [key, held] of this.#byKey) {
      const weight = this.#isOver(key, held.weight, nowMs) ? undefined : held.weight;
      const admin = this.#isOver(key, held.admin, nowMs) ? undefined : held.admin;
      if (weight === held.weight && admin === held.admin) continue;
      this.set(key, { weight, admin });
      changed.push(key);
    }
    return changed;
  }

  /** When `expire` next has something to do; infinite when nothing will expire. */
  nextExpiryMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [key, held] of this.#byKey) {
      for (const override of [held.weight, held.admin]) {
        if (override !== undefined) next = Math.min(next, this.#endOf(key, override));
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
