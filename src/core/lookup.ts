import type { Backend } from "./backend.js";
import type { Pool } from "./pool.js";

/** What a name stands for in one pool. */
export type Found =
  /** All rows of one identity, or the one row that was named. Never empty. */
  | { readonly kind: "found"; readonly key: string; readonly backends: readonly Backend[] }
  /** Several identities answer to it. */
  | { readonly kind: "ambiguous"; readonly keys: readonly string[] }
  | { readonly kind: "unknown" };

/** Most names `nearestNames` proposes. */
const MOST_PROPOSALS = 3;

/**
 * Finds a backend by row id (`key@host:port`), full key, or service id or `host:port` where that is unique in
 * the pool. Two rows of one key (its address changed) are one identity, not an ambiguity.
 */
export function findBackends(pool: Pool, name: string): Found {
  const row = pool.backend(name);
  if (row !== undefined) return { kind: "found", key: row.endpoint.key, backends: [row] };
  const ofKey: Backend[] = [];
  const ofShortName: Backend[] = [];
  for (const backend of pool.backends()) {
    if (backend.endpoint.key === name) ofKey.push(backend);
    else if (backend.endpoint.id === name || backend.address === name) ofShortName.push(backend);
  }
  if (ofKey.length > 0) return { kind: "found", key: name, backends: ofKey };
  const [key, ...others] = new Set(ofShortName.map((backend) => backend.endpoint.key));
  if (key === undefined) return { kind: "unknown" };
  if (others.length > 0) return { kind: "ambiguous", keys: [key, ...others].sort() };
  return { kind: "found", key, backends: ofShortName };
}

/** Every name a backend of the pool answers to, for proposals. */
export function namesOf(pool: Pool): readonly string[] {
  const names = new Set<string>();
  for (const backend of pool.backends()) {
    names.add(backend.endpoint.id);
    names.add(backend.address);
    names.add(backend.endpoint.key);
    names.add(backend.id);
  }
  return [...names];
}

/**
 * The candidates nearest to what was written, best first, at most three: at most one slip for every three
 * letters, or one contains the other. Case does not matter.
 */
export function nearestNames(written: string, candidates: Iterable<string>): readonly string[] {
  const wanted = written.toLowerCase();
  if (wanted === "") return [];
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  const near: { readonly name: string; readonly slips: number }[] = [];
  for (const name of new Set(candidates)) {
    const candidate = name.toLowerCase();
    const slips = candidate.includes(wanted) ? limit : countSlips(wanted, candidate, limit);
    if (slips <= limit) near.push({ name, slips });
  }
  near.sort((a, b) => a.slips - b.slips || a.name.length - b.name.length || (a.name < b.name ? -1 : 1));
  return near.slice(0, MOST_PROPOSALS).map(({ name }) => name);
}

/** Letters added, lost, changed or swapped with a neighbour; more than `limit` when it is surely more. */
function countSlips(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = at(previous, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? at(beforePrevious, j - 2) + 1 : Number.POSITIVE_INFINITY;
      current.push(Math.min(changed, swapped, at(previous, j) + 1, at(current, j - 1) + 1));
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] as number;
}
