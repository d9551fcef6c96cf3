import type { StickTable } from "../core/stick-table.js";
import { boundEntries } from "./affinity-messages.js";
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

/** The stick tables, named as HAProxy's exporter names them. */
export function* renderTableMetrics(ports: AdminPorts): Generator<string, void, void> {
  const nowMs = ports.clock.nowMs();
  const tables: (readonly [StickTable, string])[] = [];
  const bound: (readonly [number, string])[] = [];
  for (const pool of ports.pools.values()) {
    const affinity = ports.affinity(pool.name);
    if (affinity?.table === undefined) continue;
    affinity.table.forgetExpired(nowMs);
    const inPool = label("pool", pool.name);
    tables.push([affinity.table, inPool]);
    for (const backend of pool.backends()) {
      const labels = `${inPool},${label("backend", backend.id)},${label("id", backend.endpoint.id)}`;
      bound.push([boundEntries(affinity, backend, nowMs) ?? 0, labels]);
    }
  }
  yield* renderFamilies(TABLE_FAMILIES, tables);
  yield* renderFamilies(BOUND_FAMILIES, bound);
}
