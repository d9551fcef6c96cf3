import type { Backend } from "../core/backend.js";
import { findBackends, namesOf, nearestNames } from "../core/lookup.js";
import type { Pool } from "../core/pool.js";
import { optional, required } from "./fields.js";
import { unknown, wrongState } from "./refusal.js";

/** Rows of one identity in one pool. Never empty. */
export interface Named {
  readonly pool: Pool;
  readonly key: string;
  readonly backends: readonly Backend[];
}

/** What requests name things by. */
export interface Names {
  readonly pool: string;
  readonly backend: string;
}

/** One pool by name. @throws AdminRefusal NOT_FOUND with the nearest names. */
export function poolNamed(pools: ReadonlyMap<string, Pool>, name: string): Pool {
  const pool = pools.get(name);
  if (pool !== undefined) return pool;
  const all = [...pools.keys()];
  const otherwise = all.length === 0 ? "there are no pools" : `ListPools shows all ${all.length}`;
  throw unknown(`pool "${name}"`, nearestNames(name, all), otherwise);
}

/** The named pool, or all of them when the name is empty. */
export function poolsNamed(pools: ReadonlyMap<string, Pool>, name: string): readonly Pool[] {
  const given = optional("pool", name);
  return given === undefined ? [...pools.values()] : [poolNamed(pools, given)];
}

/**
 * The backend in the named pool, or in every pool that holds it.
 *
 * @throws AdminRefusal INVALID_ARGUMENT when it is not named, NOT_FOUND with the nearest names, or
 *   FAILED_PRECONDITION with the keys to choose from when several backends answer to the name.
 */
export function backendNamed(pools: ReadonlyMap<string, Pool>, names: Names): readonly Named[] {
  const name = required("backend", names.backend);
  const among = poolsNamed(pools, names.pool);
  const found: Named[] = [];
  for (const pool of among) {
    const result = findBackends(pool, name);
    if (result.kind === "ambiguous") throw ambiguous(name, `pool ${pool.name}`, result.keys);
    if (result.kind === "unknown") continue;
    found.push({ pool, key: result.key, backends: result.backends });
  }
  if (found.length === 0) {
    const where = among.length === 1 ? ` in pool ${among[0]?.name}` : "";
    const nearest = nearestNames(name, among.flatMap(namesOf));
    throw unknown(`backend "${name}"${where}`, nearest, "ListBackends shows all");
  }
  refuseMixedIdentities(name, found);
  return found;
}

/** A service id may mean one instance in this pool and another in that one; an address is the same everywhere. */
function refuseMixedIdentities(name: string, found: readonly Named[]): void {
  const keys = new Set(found.map(({ key }) => key));
  if (keys.size < 2 || found.every(({ backends }) => backends.every(({ address }) => address === name)))
    return;
  throw ambiguous(name, "different pools", [...keys].sort());
}

function ambiguous(name: string, where: string, keys: readonly string[]): Error {
  const shown = keys.slice(0, 20).join(", ");
  const more = keys.length > 20 ? ` and ${keys.length - 20} more` : "";
  return wrongState(`"${name}" names ${keys.length} backends in ${where}; use the full key: ${shown}${more}`);
}
