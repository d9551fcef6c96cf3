import type { StickTable } from "../core/stick-table.js";
import {
  entriesOf,
  readTableRecords,
  recordTable,
  TABLES_VERSION,
  type TableRecords,
} from "../core/table-record.js";
import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { StateFile } from "../platform/state-file.js";

/**
 * Most entries of all tables together that outlive the process, those used last. Writing down and reading so many takes
 * some tens of milliseconds, in which nothing else is done.
 */
const MOST_ENTRIES = 100_000;

/** A pool's table and what it goes by. */
export interface KeptTable {
  readonly pool: string;
  readonly table: StickTable;
  /** Where its keys are read from, and the name there. */
  readonly key: { readonly on: string; readonly name: string };
}

/**
 * Has the entries of stick tables outlive the process: told to the one that takes its place, or kept on disk over an
 * orderly stop. Keys may be secrets, so the file is for its owner alone.
 */
export class TableStore {
  readonly #tables: () => readonly KeptTable[];
  readonly #file: StateFile | undefined;
  readonly #clock: Clock;
  readonly #log: Log;

  /** @param file undefined: nothing is kept on disk */
  constructor(tables: () => readonly KeptTable[], file: StateFile | undefined, clock: Clock, log: Log) {
    this.#tables = tables;
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * What the tables hold, as `adopt` takes it.
   *
   * @param sinceMs only what was used since then; undefined for everything
   */
  records(sinceMs?: number): TableRecords {
    const nowMs = this.#clock.nowMs();
    const kept = this.#tables();
    const most = Math.floor(MOST_ENTRIES / Math.max(1, kept.length));
    const tables = kept.map(({ pool, table, key: { on, name } }) =>
      recordTable(table, { pool, on, name }, { most, sinceMs }, nowMs),
    );
    return { version: TABLES_VERSION, tables };
  }

  /**
   * Takes in what another process remembered, into tables that go by the same key. What is known already stays.
   *
   * @param records undefined where the other one told nothing
   * @param elapsedMs since they were written
   */
  adopt(records: unknown, elapsedMs = 0): void {
    if (records === undefined) return;
    const read = readTableRecords(records);
    if (read === undefined) {
      this.#log.warn({}, "kept stick tables are damaged or of another version, starting without");
      return;
    }
    const nowMs = this.#clock.nowMs();
    for (const { pool, table, key } of this.#tables()) {
      const record = read.tables.find(
        (each) => each.pool === pool && each.on === key.on && each.name === key.name,
      );
      if (record === undefined || record.entries.length === 0) continue;
      table.restore(entriesOf(record, elapsedMs, nowMs), nowMs);
      this.#log.info({ pool, told: record.entries.length, entries: table.size }, "stick table restored");
    }
  }

  /** Reads what an earlier process kept on disk. */
  async load(): Promise<void> {
    const kept = await this.#file?.read();
    if (kept === undefined) return;
    // A wall clock that was set back must not prolong anything beyond its time.
    this.adopt(kept.data, Math.max(0, this.#clock.wallMs() - kept.savedWallMs));
  }

  /** Keeps what the tables hold now on disk, where there are any. Resolves when it is written, or could not be. */
  async save(): Promise<void> {
    const records = this.records();
    if (this.#file === undefined || records.tables.length === 0) return;
    this.#file.save(() => records);
    await this.#file.flush();
  }
}
