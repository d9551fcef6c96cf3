import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type KeptTable, TableStore } from "../../../src/control/table-store.js";
import { StickTable } from "../../../src/core/stick-table.js";
import { TABLES_VERSION } from "../../../src/core/table-record.js";
import { StateFile } from "../../../src/platform/state-file.js";
import { ManualClock } from "../../support/manual-clock.js";

function kept(pool: string, name = "sid", size = 1_000_000): KeptTable {
  return { pool, table: new StickTable({ size, expireMs: 10_000 }), key: { on: "cookie", name } };
}

async function scene() {
  const folder = await mkdtemp(join(tmpdir(), "pilotfish-tables-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "tables.json");
  const said: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    error: () => {},
    warn: (_fields: object, message: string) => void said.push(message),
  };
  /** The next process, `laterMs` after the begin of time. */
  const process = async (tables: readonly KeptTable[], laterMs = 0) => {
    const clock = new ManualClock();
    await clock.advance(laterMs);
    const file = new StateFile({ path, kind: "tables", version: TABLES_VERSION, clock, log });
    const store = new TableStore(() => tables, file, clock, log);
    return { store, clock };
  };
  return { path, said, process };
}

it("keeps tables on disk over a stop, for their owner alone, and prolongs nothing", async () => {
  const { path, process } = await scene();
  const web = kept("web");
  const first = await process([web]);
  web.table.store("k", "a", first.clock.nowMs());
  await first.store.save();
  expect((await stat(path)).mode & 0o777).toBe(0o600);

  const next = kept("web");
  const second = await process([next, kept("other")], 4_000);
  await second.store.load();
  const nowMs = second.clock.nowMs();
  expect(next.table.peek("k", nowMs)).toEqual({
    key: "k",
    backend: "a",
    sinceMs: nowMs - 4_000,
    expiresMs: nowMs + 6_000,
  });
  const late = kept("web");
  await (await process([late], 10_000)).store.load();
  expect(late.table.size).toBe(0);
});

it("gives nothing to a table that goes by another key", async () => {
  const { process } = await scene();
  const web = kept("web");
  const { store, clock } = await process([web]);
  web.table.store("k", "a", clock.nowMs());
  await store.save();
  const other = kept("web", "user");
  await (await process([other])).store.load();
  expect(other.table.size).toBe(0);
});

it("writes nothing where there is no table, and leaves what is there", async () => {
  const { path, process } = await scene();
  await writeFile(path, "what was there", { mode: 0o600 });
  await (await process([])).store.save();
  expect(await readFile(path, "utf8")).toBe("what was there");
});

it("begins without what is damaged, and says so", async () => {
  const { path, process, said } = await scene();
  const data = { version: TABLES_VERSION, tables: "none" };
  await writeFile(path, JSON.stringify({ kind: "tables", version: TABLES_VERSION, savedWallMs: 0, data }), {
    mode: 0o600,
  });
  const web = kept("web");
  await (await process([web])).store.load();
  expect([web.table.size, said]).toEqual([
    0,
    ["kept stick tables are damaged or of another version, starting without"],
  ]);
});

it("tells at most so many entries of all tables together, those used last", async () => {
  const { process } = await scene();
  const [web, api] = [kept("web"), kept("api")];
  const { store, clock } = await process([web, api]);
  for (let key = 0; key < 60_000; key++) web.table.store(`k${key}`, "a", clock.nowMs());
  api.table.store("k", "b", clock.nowMs());
  const [ofWeb, ofApi] = store.records().tables;
  expect([ofWeb?.entries.length, ofWeb?.entries[0]?.[0], ofApi?.entries.length]).toEqual([
    50_000,
    "k10000",
    1,
  ]);
});

it("hears nothing from a process that tells nothing", async () => {
  const { process, said } = await scene();
  const { store } = await process([kept("web")]);
  store.adopt(undefined);
  expect(said).toEqual([]);
});
