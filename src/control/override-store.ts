import type { AdminFact } from "../core/backend.js";
import type { Override, OverrideOrigin } from "../core/override.js";
import type { Pool } from "../core/pool.js";
import type { WeightChange } from "../core/weight.js";
import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { StateFile } from "../platform/state-file.js";

/** Form of the file's content. */
export const OVERRIDES_VERSION = 1;

/** An override as it is kept: by the wall clock, since the monotonic one ends with the process. */
interface Kept<Value> {
  readonly value: Value;
  readonly origin: OverrideOrigin;
  readonly owner: string;
  readonly reason: string;
  readonly sinceWallMs: number;
  readonly expiresWallMs?: number | undefined;
}

interface KeptEntry {
  readonly pool: string;
  readonly key: string;
  readonly weight?: Kept<WeightChange> | undefined;
  readonly admin?: Kept<AdminFact> | undefined;
  readonly limit?: Kept<number> | undefined;
}

/** Who says things that are to outlive the process; everybody else says them again. */
const KEPT_ORIGINS: readonly OverrideOrigin[] = ["operator", "fleet"];

/**
 * Keeps what operators said of backends beyond the process: read once before the first lists, written after each
 * change. Expiry is by the wall clock, so that a restart prolongs nothing.
 */
export class OverrideStore {
  readonly #file: StateFile | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pools = new Map<string, Pool>();
  /** Of pools that are not there (yet): kept as they are. */
  readonly #others = new Map<string, readonly KeptEntry[]>();

  /** Without a file they live as long as the process, and the one that takes its place. */
  constructor(file: StateFile | undefined, clock: Clock, log: Log) {
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  /** Reads what was kept. Call before `follow`; a file that cannot be believed counts as empty. */
  async load(): Promise<void> {
    const kept = await this.#file?.read();
    if (kept !== undefined) this.adopt(kept.data);
  }

  /** Takes over what another process wrote or handed over, in place of what is there. */
  adopt(entries: unknown): void {
    if (!Array.isArray(entries) || !entries.every(isKeptEntry)) {
      this.#log.warn({}, "kept overrides are damaged, starting without them");
      return;
    }
    this.#others.clear();
    for (const entry of entries) {
      this.#others.set(entry.pool, [...(this.#others.get(entry.pool) ?? []), entry]);
    }
    for (const pool of this.#pools.values()) this.#restore(pool);
  }

  /** Everything that is kept, as `adopt` takes it. */
  entries(): readonly object[] {
    return this.#entries();
  }

  /** Puts a pool's kept overrides in force and writes down what changes from now on. */
  follow(pool: Pool): void {
    this.#pools.set(pool.name, pool);
    this.#restore(pool);
    pool.overrides.onChanged(() => this.#file?.save(() => this.#entries()));
  }

  #restore(pool: Pool): void {
    const entries = this.#others.get(pool.name) ?? [];
    this.#others.delete(pool.name);
    const nowMs = this.#clock.nowMs();
    const restored = entries.flatMap(({ key, weight, admin, limit }) => {
      const held = {
        weight: this.#restored(weight, nowMs),
        admin: this.#restored(admin, nowMs),
        limit: this.#restored(limit, nowMs),
      };
      const origin = (held.weight ?? held.admin ?? held.limit)?.origin;
      return origin === undefined ? [] : [[key, origin, held] as const];
    });
    // What was taken back meanwhile does not stay.
    pool.restoreOverrides(KEPT_ORIGINS, restored, nowMs);
    if (restored.length > 0) {
      this.#log.info({ pool: pool.name, keys: restored.map(([key]) => key) }, "overrides restored");
    }
  }

  /** A pool that is no more keeps its overrides in the file, for the day it comes back. */
  unfollow(pool: Pool): void {
    if (this.#pools.get(pool.name) !== pool) return;
    this.#others.set(pool.name, this.#entriesOf(pool));
    this.#pools.delete(pool.name);
  }

  /** Resolves when everything is written. */
  flush(): Promise<void> {
    return this.#file?.flush() ?? Promise.resolve();
  }

  #entries(): readonly KeptEntry[] {
    const followed = [...this.#pools.values()].flatMap((pool) => this.#entriesOf(pool));
    return [...followed, ...[...this.#others.values()].flat()];
  }

  #entriesOf(pool: Pool): readonly KeptEntry[] {
    return pool.overrides
      .list()
      .map(([key, { weight, admin, limit }]) => ({
        pool: pool.name,
        key,
        weight: this.#kept(weight),
        admin: this.#kept(admin),
        limit: this.#kept(limit),
      }))
      .filter(({ weight, admin, limit }) => (weight ?? admin ?? limit) !== undefined);
  }

  #kept<Value>(override: Override<Value> | undefined): Kept<Value> | undefined {
    if (override === undefined || !KEPT_ORIGINS.includes(override.origin)) return undefined;
    const { sinceMs, expiresMs, ...said } = override;
    const toWallMs = this.#clock.wallMs() - this.#clock.nowMs();
    return {
      ...said,
      sinceWallMs: sinceMs + toWallMs,
      ...(expiresMs !== undefined && { expiresWallMs: expiresMs + toWallMs }),
    };
  }

  #restored<Value>(kept: Kept<Value> | undefined, nowMs: number): Override<Value> | undefined {
    if (kept === undefined) return undefined;
    const { sinceWallMs, expiresWallMs, ...said } = kept;
    const wallMs = this.#clock.wallMs();
    if (expiresWallMs !== undefined && expiresWallMs <= wallMs) return undefined;
    return {
      ...said,
      sinceMs: nowMs + Math.min(sinceWallMs - wallMs, 0),
      expiresMs: expiresWallMs === undefined ? undefined : nowMs + expiresWallMs - wallMs,
    };
  }
}

function isKeptEntry(value: unknown): value is KeptEntry {
  if (typeof value !== "object" || value === null) return false;
  const { pool, key, weight, admin, limit } = value as Partial<Record<keyof KeptEntry, unknown>>;
  return (
    typeof pool === "string" &&
    typeof key === "string" &&
    (weight === undefined || isKept(weight, isWeightChange)) &&
    (admin === undefined || isKept(admin, (state) => state === "drain" || state === "maint")) &&
    (limit === undefined || isKept(limit, (most) => isAmount(most, Number.MAX_SAFE_INTEGER)))
  );
}

function isKept(value: unknown, isValue: (value: unknown) => boolean): boolean {
  if (typeof value !== "object" || value === null) return false;
  const kept = value as Partial<Record<keyof Kept<unknown>, unknown>>;
  return (
    isValue(kept.value) &&
    KEPT_ORIGINS.some((origin) => origin === kept.origin) &&
    typeof kept.owner === "string" &&
    typeof kept.reason === "string" &&
    Number.isFinite(kept.sinceWallMs) &&
    (kept.expiresWallMs === undefined || Number.isFinite(kept.expiresWallMs))
  );
}

function isWeightChange(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { kind, weight, percent } = value as { kind?: unknown; weight?: unknown; percent?: unknown };
  return kind === "weight" ? isAmount(weight, 256) : kind === "percent" && isAmount(percent, 25_600);
}

function isAmount(value: unknown, most: number): boolean {
  return typeof value === "number" && value >= 0 && value <= most;
}
