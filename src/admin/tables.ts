import { reasonsAgainstBound } from "../core/explain-affinity.js";
import { findBackends } from "../core/lookup.js";
import type { Pool } from "../core/pool.js";
import type { StickEntry, StickTable } from "../core/stick-table.js";
import type { Log } from "../platform/log.js";
import type { UnaryMethod } from "./calls.js";
import { optional, requester, required } from "./fields.js";
import type {
  ClearTableEntriesRequest,
  ClearTableEntriesResponse,
  ListTableEntriesRequest,
  ListTableEntriesResponse,
  SetTableEntryRequest,
  SetTableEntryResponse,
  TableEntry,
} from "./generated/pilotfish/admin/v1/admin.js";
import { backendNamed, type Names, poolNamed } from "./naming.js";
import { paginate } from "./paging.js";
import type { AdminPorts } from "./ports.js";
import { invalid, wrongState } from "./refusal.js";
import type { Timestamps } from "./timestamps.js";

/** ListTableEntries, SetTableEntry and ClearTableEntries: HAProxy's `show table`, `set table` and `clear table`. */
export interface TableMethods {
  readonly listTableEntries: UnaryMethod<ListTableEntriesRequest, ListTableEntriesResponse>;
  readonly setTableEntry: UnaryMethod<SetTableEntryRequest, SetTableEntryResponse>;
  readonly clearTableEntries: UnaryMethod<ClearTableEntriesRequest, ClearTableEntriesResponse>;
}

/** The table of a pool. */
interface Kept {
  readonly pool: Pool;
  readonly table: StickTable;
}

/** One entry of it. */
interface Place extends Kept {
  readonly entry: StickEntry;
}

/** Builds the methods that read and change stick tables. Everything is checked before anything is done. */
export function tableMethods(ports: AdminPorts, time: Timestamps, log: Log): TableMethods {
  return {
    listTableEntries: (request) => {
      const key = optional("key", request.key);
      const tables = tablesNamed(ports, request.pool);
      const rows = request.backend === "" ? undefined : rowsNamed(ports, tables, request);
      const question = JSON.stringify([request.pool, request.key, request.backend]);
      // No name of a pool holds a NUL, so pools never mix.
      const page = paginate(
        placesOf(tables, key, rows, time.nowMs()),
        ({ pool, entry }) => `${pool.name}\0${entry.key}`,
        request,
        question,
      );
      return {
        entries: page.items.map((place) => entryMessage(place, time)),
        nextPageToken: page.nextPageToken,
        totalSize: page.totalSize,
      };
    },

    setTableEntry: (request) => {
      const key = required("key", request.key);
      const asked = requester(request);
      const bonds = bondsOf(ports, tablesNamed(ports, request.pool), request);
      const nowMs = time.nowMs();
      for (const { table, backend } of bonds) table.store(key, backend, nowMs);
      log.info({ ...said(bonds, asked), backend: bonds[0]?.backend }, "operator bound a key to a backend");
      const places = placesOf(bonds, key, undefined, nowMs);
      return { entries: [...places].map((place) => entryMessage(place, time)) };
    },

    clearTableEntries: (request) => {
      const { which } = request;
      const asked = requester(request);
      const clear = clearing(ports, request);
      const tables = tablesNamed(ports, request.pool);
      const cleared = clear(tables);
      const of = which?.$case === "backend" ? { backend: which.value } : {};
      log.info(
        { ...said(tables, asked), which: which?.$case, ...of, cleared },
        "operator cleared stick table entries",
      );
      return { cleared, pools: tables.map(({ pool }) => pool.name) };
    },
  };
}

/** Answers how many entries it cleared. Does nothing yet. */
function clearing(ports: AdminPorts, request: ClearTableEntriesRequest): (tables: readonly Kept[]) => number {
  const { which, pool } = request;
  const sum = (tables: readonly Kept[], clear: (table: StickTable) => number) =>
    tables.reduce((total, { table }) => total + clear(table), 0);
  switch (which?.$case) {
    case "key": {
      const key = required("key", which.value);
      return (tables) => sum(tables, (table) => table.clearKey(key));
    }
    case "backend":
      return (tables) => {
        const rows = rowsNamed(ports, tables, { pool, backend: which.value });
        return sum(tables, (table) => [...rows].reduce((total, id) => total + table.clearBackend(id), 0));
      };
    case "all":
      if (!which.value) throw invalid("all", "must be true where it is set");
      return (tables) => sum(tables, (table) => table.clearAll());
    default:
      throw invalid("which", "one of key, backend and all must be set");
  }
}

/** The table of the named pool, or all tables. @throws AdminRefusal where there is none. */
function tablesNamed(ports: AdminPorts, name: string): readonly Kept[] {
  const given = optional("pool", name);
  const pools = given === undefined ? [...ports.pools.values()] : [poolNamed(ports.pools, given)];
  const tables = pools.flatMap((pool) => {
    const table = ports.affinity(pool.name)?.table;
    return table === undefined ? [] : [{ pool, table }];
  });
  if (tables.length > 0) return tables;
  const what = "affinity: { type: table, on: source } in the configuration would give it one";
  if (given === undefined) throw wrongState(`no pool has a stick table; ${what}`);
  const affinity = ports.affinity(given);
  const instead = affinity === undefined ? "nothing keeps its clients" : `it goes by ${affinity.words}`;
  throw wrongState(`pool ${given} has no stick table: ${instead}; ${what}`);
}

/** Row ids that the name of a backend stands for, also of one that has left its pool, but not the table. */
function rowsNamed(ports: AdminPorts, tables: readonly Kept[], names: Names): ReadonlySet<string> {
  const isKept = ({ table }: Kept) => table.boundTo(names.backend) > 0;
  if (tables.some(isKept)) return new Set([names.backend]);
  const named = backendNamed(ports.pools, names);
  return new Set(named.flatMap(({ backends }) => backends.map(({ id }) => id)));
}

/** In each table the row that a key is to be bound to: the one that discovery lists. */
function bondsOf(
  ports: AdminPorts,
  tables: readonly Kept[],
  names: Names,
): readonly (Kept & { readonly backend: string })[] {
  const named = backendNamed(ports.pools, names);
  const bonds = tables.flatMap(({ pool, table }) => {
    const found = findBackends(pool, names.backend);
    const rows = found.kind === "found" ? found.backends.filter(({ isGone }) => !isGone) : [];
    if (rows.length > 1) {
      const ids = rows.map(({ id }) => id).join(", ");
      throw wrongState(
        `"${names.backend}" has ${rows.length} addresses in pool ${pool.name}; use one of ${ids}`,
      );
    }
    return rows.map(({ id }) => ({ pool, table, backend: id }));
  });
  if (bonds.length > 0) return bonds;
  const pools = tables.map(({ pool }) => pool.name).join(", ");
  const isThere = named.some(({ pool }) => tables.some((each) => each.pool === pool));
  throw wrongState(
    isThere
      ? `"${names.backend}" left discovery and serves nobody new; name one that is listed`
      : `no pool that has a stick table (${pools}) holds "${names.backend}"`,
  );
}

function* placesOf(
  tables: readonly Kept[],
  key: string | undefined,
  rows: ReadonlySet<string> | undefined,
  nowMs: number,
): Generator<Place, void, void> {
  for (const { pool, table } of tables) {
    const one = key === undefined ? undefined : table.peek(key, nowMs);
    const entries = key === undefined ? table.entries(nowMs) : one === undefined ? [] : [one];
    for (const entry of entries) {
      if (rows === undefined || rows.has(entry.backend)) yield { pool, table, entry };
    }
  }
}

function entryMessage({ pool, entry }: Place, time: Timestamps): TableEntry {
  const backend = pool.backend(entry.backend);
  return {
    pool: pool.name,
    key: entry.key,
    backend: entry.backend,
    id: backend?.endpoint.id ?? "",
    since: time.at(entry.sinceMs),
    expires: time.at(entry.expiresMs),
    reasons:
      backend === undefined
        ? ["it is not there any more"]
        : reasonsAgainstBound(pool, backend).map(({ text }) => text),
  };
}

/** What the log says of a change. Keys may be secrets, so it names none. */
function said(
  tables: readonly Kept[],
  asked: { readonly owner: string; readonly reason: string },
): { readonly pools: readonly string[]; readonly owner: string; readonly reason: string } {
  return { pools: tables.map(({ pool }) => pool.name), owner: asked.owner, reason: asked.reason };
}
