import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StickTable } from "../../../src/core/stick-table.js";
import { entriesOf, readTableRecords, recordTable, TABLES_VERSION } from "../../../src/core/table-record.js";

const SUBJECT = { pool: "web", on: "source", name: "" };

function tableOf(
  ...entries: readonly (readonly [key: string, backend: string, nowMs: number])[]
): StickTable {
  const table = new StickTable({ size: 1_000, expireMs: 10_000 });
  for (const [key, backend, nowMs] of entries) table.store(key, backend, nowMs);
  return table;
}

/** By way of JSON, as another process gets it. */
function told(record: object): ReturnType<typeof readTableRecords> {
  return readTableRecords(JSON.parse(JSON.stringify({ version: TABLES_VERSION, tables: [record] })));
}

describe("the record of a table", () => {
  it("names each backend once and tells times as durations", () => {
    const table = tableOf(["1", "a", 0], ["2", "b", 1_000], ["3", "a", 2_000]);
    expect(recordTable(table, SUBJECT, { most: 10 }, 3_000)).toEqual({
      ...SUBJECT,
      backends: ["a", "b"],
      entries: [
        ["1", 0, 3_000, 7_000],
        ["2", 1, 2_000, 8_000],
        ["3", 0, 1_000, 9_000],
      ],
    });
  });

  it("holds at most so many, those used last", () => {
    const table = tableOf(["1", "a", 0], ["2", "b", 1], ["3", "c", 2]);
    table.find("1", 3);
    const { entries, backends } = recordTable(table, SUBJECT, { most: 2 }, 4);
    expect([entries.map(([key]) => key), backends]).toEqual([
      ["3", "1"],
      ["c", "a"],
    ]);
  });

  it("holds only what was used since a time, where asked", () => {
    const table = tableOf(["1", "a", 0], ["2", "b", 100], ["3", "c", 101]);
    const { entries } = recordTable(table, SUBJECT, { most: 10, sinceMs: 101 }, 200);
    expect(entries.map(([key]) => key)).toEqual(["3"]);
  });

  it("gives another process, with another clock, the same table", () => {
    const entry = fc.tuple(
      fc.string({ maxLength: 200 }),
      fc.constantFrom("a", "b", "c"),
      fc.integer({ min: 0, max: 9_000 }),
    );
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 40 }),
        fc.integer({ min: 0, max: 5_000 }),
        (entries, elapsedMs) => {
          const sorted = [...entries].sort((a, b) => a[2] - b[2]);
          const table = tableOf(...sorted);
          const record = told(recordTable(table, SUBJECT, { most: 1_000 }, 9_000))?.tables[0];
          if (record === undefined) throw new Error("not read");
          const other = tableOf();
          other.restore(entriesOf(record, elapsedMs, 500), 500);
          const shift = 500 - 9_000 - elapsedMs;
          const expected = [...table.entries(9_000 + elapsedMs)].map((each) => ({
            ...each,
            sinceMs: each.sinceMs + shift,
            expiresMs: each.expiresMs + shift,
          }));
          expect([...other.entries(500)]).toEqual(expected);
        },
      ),
    );
  });

  it("passes over entries of backends it does not name", () => {
    const record = {
      ...SUBJECT,
      backends: ["a"],
      entries: [
        ["1", 0, 0, 10],
        ["2", 1, 0, 10],
        ["3", -1, 0, 10],
      ],
    };
    const read = told(record)?.tables[0];
    expect(read && [...entriesOf(read, 0, 0)].map(({ key }) => key)).toEqual(["1"]);
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["another version", { version: TABLES_VERSION + 1, tables: [] }],
    ["no list", { version: TABLES_VERSION, tables: {} }],
    [
      "a table without a pool",
      { version: TABLES_VERSION, tables: [{ on: "", name: "", backends: [], entries: [] }] },
    ],
    [
      "a key that is no text",
      { version: TABLES_VERSION, tables: [{ ...SUBJECT, backends: ["a"], entries: [[1, 0, 0, 0]] }] },
    ],
    [
      "a time below 0",
      { version: TABLES_VERSION, tables: [{ ...SUBJECT, backends: ["a"], entries: [["1", 0, 0, -1]] }] },
    ],
    [
      "a time that is none",
      { version: TABLES_VERSION, tables: [{ ...SUBJECT, backends: ["a"], entries: [["1", 0, null, 1]] }] },
    ],
    [
      "an entry with more",
      { version: TABLES_VERSION, tables: [{ ...SUBJECT, backends: ["a"], entries: [["1", 0, 0, 1, 1]] }] },
    ],
  ])("is not read from %s", (_what, value) => {
    expect(readTableRecords(value)).toBeUndefined();
  });
});
