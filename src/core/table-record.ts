import type { StickEntry, StickTable } from "./stick-table.js";

/** Form of the records. */
export const TABLES_VERSION = 1;

/** Which keys a table holds: where they are read from, and the name there. */
export interface TableSubject {
  readonly pool: string;
  readonly on: string;
  readonly name: string;
}

/** An entry: key, index of its backend, how long it has led there, how long it still holds, in milliseconds. */
type EntryRecord = readonly [key: string, backend: number, ageMs: number, leftMs: number];

/**
 * What a table holds, for another process: as durations, since clocks differ, and each backend named once. The entries
 * that were used last come last.
 */
export interface TableRecord extends TableSubject {
  readonly backends: readonly string[];
  readonly entries: readonly EntryRecord[];
}

/** Records of all tables, as they are told or kept. */
export interface TableRecords {
  readonly version: typeof TABLES_VERSION;
  readonly tables: readonly TableRecord[];
}

/** What to write down of a table. */
export interface RecordOptions {
  /** Most entries; of more, those that were used last. */
  readonly most: number;
  /** Only what was used since then; undefined for everything. */
  readonly sinceMs?: number | undefined;
}

/** Writes down what a table holds. */
export function recordTable(
  table: StickTable,
  subject: TableSubject,
  { most, sinceMs }: RecordOptions,
  nowMs: number,
): TableRecord {
  const { expireMs } = table.options;
  const chosen: StickEntry[] = [];
  for (const entry of table.entries(nowMs)) {
    if (sinceMs === undefined || entry.expiresMs - expireMs >= sinceMs) chosen.push(entry);
  }
  const indexes = new Map<string, number>();
  const entries = chosen.slice(-most).map(({ key, backend, sinceMs: boundMs, expiresMs }): EntryRecord => {
    const index = indexes.get(backend) ?? indexes.size;
    indexes.set(backend, index);
    return [key, index, Math.round(nowMs - boundMs), Math.ceil(expiresMs - nowMs)];
  });
  return { ...subject, backends: [...indexes.keys()], entries };
}

/**
 * The entries of a record, as of now.
 *
 * @param elapsedMs since it was written
 */
export function* entriesOf(
  record: TableRecord,
  elapsedMs: number,
  nowMs: number,
): Generator<StickEntry, void, void> {
  for (const [key, index, ageMs, leftMs] of record.entries) {
    const backend = record.backends[index];
    if (backend === undefined) continue;
    yield { key, backend, sinceMs: nowMs - ageMs - elapsedMs, expiresMs: nowMs + leftMs - elapsedMs };
  }
}

/** Records that another process wrote; undefined where they are none, damaged, or of another version. */
export function readTableRecords(value: unknown): TableRecords | undefined {
  if (!isMap(value) || value.version !== TABLES_VERSION) return undefined;
  return Array.isArray(value.tables) && value.tables.every(isTableRecord)
    ? (value as unknown as TableRecords)
    : undefined;
}

function isTableRecord(value: unknown): value is TableRecord {
  if (!isMap(value)) return false;
  const { pool, on, name, backends, entries } = value;
  return (
    typeof pool === "string" &&
    typeof on === "string" &&
    typeof name === "string" &&
    Array.isArray(backends) &&
    backends.every((each) => typeof each === "string") &&
    Array.isArray(entries) &&
    entries.every(isEntryRecord)
  );
}

function isEntryRecord(value: unknown): value is EntryRecord {
  if (!Array.isArray(value) || value.length !== 4) return false;
  const [key, index, ageMs, leftMs] = value;
  return typeof key === "string" && Number.isSafeInteger(index) && isDuration(ageMs) && isDuration(leftMs);
}

function isDuration(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
