import type { Backend } from "../core/backend.js";
import { type AffinityClaim, affinityText, reasonsAgainstBound } from "../core/explain-affinity.js";
import type { Pool } from "../core/pool.js";
import type { StickTable as CoreTable } from "../core/stick-table.js";
import type {
  Affinity,
  BoundSessions,
  PickAffinity,
  StickTable,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { AffinityPort } from "./ports.js";
import { type Timestamps, toDuration } from "./timestamps.js";

/** What keeps the clients of a pool. */
export function affinityMessage(affinity: AffinityPort, time: Timestamps): Affinity {
  const { kind, words, table } = affinity;
  return { kind, text: words, table: table && tableMessage(table, time) };
}

/** Whom a backend is to keep. */
export function boundMessage(
  pool: Pool,
  backend: Backend,
  affinity: AffinityPort | undefined,
  time: Timestamps,
): BoundSessions | undefined {
  if (affinity === undefined || affinity.kind === "hash") return undefined;
  return {
    entries: boundEntries(affinity, backend, time.nowMs()),
    lastKept: time.at(backend.lastKeptMs),
    reasons: reasonsAgainstBound(pool, backend).map(({ text }) => text),
  };
}

/** How many entries of the pool's table lead to a backend; undefined where it has no table. */
export function boundEntries(
  affinity: AffinityPort | undefined,
  backend: Backend,
  nowMs: number,
): number | undefined {
  const table = affinity?.table;
  table?.forgetExpired(nowMs);
  return table?.boundTo(backend.id);
}

/** What a request says of its backend. */
export function pickAffinityMessage(
  pool: Pool,
  claim: AffinityClaim,
  picked: Backend | undefined,
  avoid: readonly Backend[],
): PickAffinity {
  return {
    text: affinityText(pool, claim, picked, avoid),
    key: claim.key,
    bound: claim.named?.id ?? "",
    place: (claim.hash === undefined ? undefined : pool.tiers.placeOf(claim.hash)?.id) ?? "",
  };
}

function tableMessage(table: CoreTable, time: Timestamps): StickTable {
  table.forgetExpired(time.nowMs());
  const { size, expireMs } = table.options;
  return { entries: table.size, limit: size, expire: toDuration(expireMs), ...table.counts };
}
