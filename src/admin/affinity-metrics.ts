import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import { COUNTER, type CounterName } from "../core/scoreboard.js";
import type { StickTable } from "../core/stick-table.js";
import { boundEntries } from "./affinity-messages.js";
import { backendSubjects } from "./backend-subjects.js";
import { counter, type Family, gauge, label, renderFamilies } from "./exposition.js";
import type { AdminPorts } from "./ports.js";

const TABLE_FAMILIES: readonly Family<StickTable>[] = [
  gauge(
    "pilotfish_sticktable_size",
    "Most entries of the pool's stick table.",
    ({ options }) => options.size,
  ),
  gauge("pilotfish_sticktable_used", "Entries of the pool's stick table.", ({ size }) => size),
  counter(
    "pilotfish_sticktable_stored_total",
    "Entries made or moved to another backend.",
    ({ counts }) => counts.stored,
  ),
  {
    name: "pilotfish_sticktable_dropped_total",
    type: "counter",
    help: "Entries unused for their time, pushed out by newer ones, and cleared by operators.",
    parts: (["expired", "evicted", "cleared"] as const).map((why) => ({
      labels: label("why", why),
      value: ({ counts }) => counts[why],
    })),
  },
];

/** Of the entries that lead to a backend. */
const BOUND_FAMILIES: readonly Family<number>[] = [
  gauge(
    "pilotfish_backend_bound_entries",
    "Entries of the pool's stick table that lead to it.",
    (entries) => entries,
  ),
];

const SESSION_FATES = [
  ["kept", "sessionsKept"],
  ["moved", "sessionsMoved"],
  ["new", "sessionsNew"],
] as const;

function sessionFamily<Subject>(
  prefix: string,
  read: (subject: Subject, counter: CounterName) => number,
): Family<Subject> {
  return {
    name: `${prefix}_bound_sessions_total`,
    type: "counter",
    help: "Answers to clients that a cookie or a table binds: from their own backend, another one, the first ones.",
    parts: SESSION_FATES.map(([fate, each]) => ({
      labels: label("fate", fate),
      value: (subject) => read(subject, each),
    })),
  };
}

const POOL_SESSIONS = [sessionFamily<Pool>("pilotfish_pool", (pool, name) => pool.total(name))];
const BACKEND_SESSIONS = [
  sessionFamily<Backend>("pilotfish_backend", (backend, name) => backend.row.read(COUNTER[name])),
];

/** Of the pools whose clients are bound, and of no others: what clients met, and the stick tables. */
export function* renderAffinityMetrics(ports: AdminPorts): Generator<string, void, void> {
  const binding = [...ports.pools.values()].filter(({ name }) => {
    const kind = ports.affinity(name)?.kind;
    return kind === "cookie" || kind === "table";
  });
  yield* renderFamilies(
    POOL_SESSIONS,
    binding.map((pool) => [pool, label("pool", pool.name)]),
  );
  yield* renderFamilies(BACKEND_SESSIONS, binding.flatMap(backendSubjects));
  yield* renderTableMetrics(ports);
}

/** The stick tables, named as HAProxy's exporter names them. */
function* renderTableMetrics(ports: AdminPorts): Generator<string, void, void> {
  const nowMs = ports.clock.nowMs();
  const tables: (readonly [StickTable, string])[] = [];
  const bound: (readonly [number, string])[] = [];
  for (const pool of ports.pools.values()) {
    const affinity = ports.affinity(pool.name);
    if (affinity?.table === undefined) continue;
    affinity.table.forgetExpired(nowMs);
    const inPool = label("pool", pool.name);
    tables.push([affinity.table, inPool]);
    for (const [backend, labels] of backendSubjects(pool))
      bound.push([boundEntries(affinity, backend, nowMs) ?? 0, labels]);
  }
  yield* renderFamilies(TABLE_FAMILIES, tables);
  yield* renderFamilies(BOUND_FAMILIES, bound);
}
