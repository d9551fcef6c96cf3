import type { Backend } from "./backend.js";
import { type Reason, reasonsAgainst } from "./explain.js";
import type { Pool } from "./pool.js";
import { takesBoundWork } from "./wish.js";

/** What a request says of its backend. */
export interface AffinityClaim {
  /** What was read of it, in words. */
  readonly text: string;
  /** Undefined where the request has none. */
  readonly key: string | undefined;
  /** The backend its client is bound to, whether or not that one takes bound work. */
  readonly named: Backend | undefined;
  /** Of its key, where a hash decides. */
  readonly hash: number | undefined;
}

/** What keeps a backend from serving clients that are bound to it; empty when it serves them. */
export function reasonsAgainstBound(pool: Pool, backend: Backend): readonly Reason[] {
  if (takesBoundWork(backend, pool.options.persist === true)) return [];
  const { check, admin } = backend.facts;
  return reasonsAgainst(pool, backend).filter(({ layer }) => {
    if (layer === "check") return check.state !== "nolb";
    if (layer === "admin") return admin.state === "maint";
    return layer === "discovery" || layer === "detection";
  });
}

/** Why a request goes where it goes, as far as its client or its key has a part in it. */
export function affinityText(
  pool: Pool,
  claim: AffinityClaim,
  picked: Backend | undefined,
  avoid: readonly Backend[],
): string {
  const { text, named, hash } = claim;
  if (named !== undefined) return `${text}; ${boundText(pool, named, picked, avoid)}`;
  const place = hash === undefined ? undefined : pool.tiers.placeOf(hash);
  if (place === undefined) return hash === undefined ? `${text}; the balancer decides` : text;
  const where = `which belongs to ${nameOf(place)}`;
  if (place === picked) return `${text}, ${where}`;
  const why = avoid.includes(place)
    ? "that one is to be avoided"
    : `that one has ${place.row.isFull ? "no slot left" : "more than its share of the load"}`;
  const next = picked === undefined ? "it waits" : "the next one on the way has to do";
  return `${text}, ${where}; ${why}, so ${next}`;
}

function boundText(
  pool: Pool,
  named: Backend,
  picked: Backend | undefined,
  avoid: readonly Backend[],
): string {
  const against = textOf(reasonsAgainstBound(pool, named));
  if (against !== "")
    return `that one serves nobody: ${against}; whoever serves it instead is its backend then`;
  if (avoid.includes(named))
    return "that one is to be avoided; whoever serves it instead is its backend then";
  const anyway = textOf(reasonsAgainst(pool, named));
  if (picked !== named) return `it waits for that one: ${anyway}`;
  return anyway === "" ? "it goes there" : `it goes there, being bound, in spite of: ${anyway}`;
}

function textOf(reasons: readonly Reason[]): string {
  return reasons.map(({ text }) => text).join("; ");
}

function nameOf(backend: Backend): string {
  return `${backend.endpoint.id} at ${backend.address}`;
}
