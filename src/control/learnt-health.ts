import type { Backend } from "../core/backend.js";
import { EJECTION_CAUSES, type EjectionCause } from "../core/outlier.js";
import type { Pool } from "../core/pool.js";

/** What a process found out about a backend, for the one that takes its place. Times are durations: clocks differ. */
interface LearntBackend {
  readonly pool: string;
  /** `key@host:port`. */
  readonly backend: string;
  /** Why the active check says down; undefined where it does not. */
  readonly down?: string | undefined;
  readonly ejection?:
    | {
        readonly cause: EjectionCause;
        readonly why: string;
        readonly leftMs: number;
        /** Ejections that count towards the next duration. */
        readonly multiplier: number;
      }
    | undefined;
}

/** Everything that is not well in a pool. */
export function learntOf(pool: Pool, nowMs: number): readonly LearntBackend[] {
  return [...pool.backends()].flatMap((backend) => {
    const down = backend.facts.check.state === "down" ? backend.facts.check.why : undefined;
    const ejection = ejectionOf(backend, nowMs);
    if (backend.isGone || (down ?? ejection) === undefined) return [];
    return [{ pool: pool.name, backend: backend.id, down, ejection }];
  });
}

/**
 * Puts in force what another process learnt of a pool's backends. The checks go on from there; a pool without checks
 * takes no word of theirs, since nobody would ever take it back.
 */
export function recall(pool: Pool, learnt: unknown, hasChecks: boolean, nowMs: number): void {
  if (!Array.isArray(learnt)) return;
  for (const each of learnt.filter(isLearnt)) {
    const backend = each.pool === pool.name ? pool.backend(each.backend) : undefined;
    if (backend === undefined) continue;
    if (each.down !== undefined && hasChecks && backend.facts.check.state === "unchecked")
      pool.setCheck(backend, "down", each.down, nowMs);
    if (each.ejection === undefined) continue;
    const { cause, why, leftMs, multiplier } = each.ejection;
    pool.resumeEjection(backend, { cause, why, leftMs, multiplier }, nowMs);
  }
}

function ejectionOf(backend: Backend, nowMs: number): LearntBackend["ejection"] {
  const { cause, ejectedUntilMs, multiplier } = backend.monitor;
  if (cause === undefined || ejectedUntilMs === undefined || ejectedUntilMs <= nowMs) return undefined;
  return { cause, why: backend.facts.detection.why, leftMs: ejectedUntilMs - nowMs, multiplier };
}

function isLearnt(value: unknown): value is LearntBackend {
  if (typeof value !== "object" || value === null) return false;
  const { pool, backend, down, ejection } = value as Partial<Record<keyof LearntBackend, unknown>>;
  return (
    typeof pool === "string" &&
    typeof backend === "string" &&
    (down === undefined || typeof down === "string") &&
    (ejection === undefined || isEjection(ejection))
  );
}

function isEjection(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { cause, why, leftMs, multiplier } = value as Readonly<Record<string, unknown>>;
  return (
    EJECTION_CAUSES.some((known) => known === cause) &&
    typeof why === "string" &&
    typeof leftMs === "number" &&
    leftMs > 0 &&
    Number.isSafeInteger(multiplier) &&
    Number(multiplier) >= 0
  );
}
