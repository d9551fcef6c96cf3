import { describe, expect, it } from "vitest";
import {
  type Cell,
  countDisturbed,
  failuresOf,
  judge,
  type Pass,
  ratioOf,
  summaryOf,
} from "../../bench/result.js";
import { LIMITS, type Limit, type Metric, ROWS } from "../../bench/rows.js";
import { alignColumns, formatSummary, renderLimits, renderMarkdown, renderText } from "../../bench/table.js";

function cell(
  row: string,
  peer: string,
  values: readonly number[],
  errors = 0,
  metric: Metric = "cpuUs",
): Cell {
  return {
    row,
    peer,
    skipped: undefined,
    samples: values.map((value, round) => ({
      round,
      values: { [metric]: value },
      errors,
      firstError: errors > 0 ? "answered HTTP/1.1 502" : undefined,
      foreignCores: 0,
      note: undefined,
    })),
  };
}

const skipped: Cell = { row: "get-64", peer: "nginx", skipped: "not installed", samples: [] };
const rows = ROWS.filter((row) => row.id === "get-64");

function passOf(...cells: Cell[]): Pass {
  return { logs: false, cells };
}

const limit = (bound: Limit["bound"], value: number): Limit => ({
  row: "get-64",
  metric: "cpuUs",
  against: "haproxy",
  bound,
  value,
});

describe("benchmark results", () => {
  const ours = cell("get-64", "pilotfish", [20, 24, 44]);
  const theirs = cell("get-64", "haproxy", [20, 20, 40]);

  it("pairs ratios by round", () => {
    expect(ratioOf(ours, theirs, "cpuUs")).toEqual({ median: 1.1, low: 1, high: 1.2, samples: 3 });
    expect(summaryOf(ours, "cpuUs")).toEqual({ median: 24, low: 20, high: 44, samples: 3 });
    expect(summaryOf(ours, "p99Us")).toBeUndefined();
  });

  it("fails for wrong answers of any proxy and for a subject without samples", () => {
    const broken = cell("get-64", "haproxy", [20, 20], 2);
    expect(failuresOf(passOf(ours, broken), "pilotfish")).toEqual([
      "get-64, haproxy: 4 errors, the first: answered HTTP/1.1 502",
    ]);
    expect(failuresOf(passOf(ours, theirs, skipped), "pilotfish")).toEqual([]);
    expect(failuresOf(passOf(skipped), "nginx")).toEqual(["get-64, nginx: not installed"]);
  });

  it("does not compare a row that had errors", () => {
    expect(ratioOf(cell("get-64", "pilotfish", [20], 1), theirs, "cpuUs")).toBeUndefined();
    expect(ratioOf(ours, cell("get-64", "haproxy", [20], 1), "cpuUs")).toBeUndefined();
  });

  it.each([
    ["at most", 1.3, "kept"],
    ["at most", 1.0, "kept"],
    ["at most", 0.99, "missed"],
    ["at least", 1.2, "kept"],
    ["at least", 1.21, "missed"],
  ] as const)("judges a ratio of 1.1 [1.0-1.2] against %s %f as %s", (bound, value, verdict) => {
    expect(judge(passOf(ours, theirs), limit(bound, value), "pilotfish").verdict).toBe(verdict);
  });

  it.each([
    ["nothing measured", passOf(theirs)],
    ["no reference", passOf(ours)],
    ["errors", passOf(cell("get-64", "pilotfish", [20], 3), theirs)],
  ])("does not let a limit pass with %s", (_title, pass) => {
    expect(judge(pass, limit("at most", 9), "pilotfish").verdict).toBe("unmeasured");
  });

  it("counts samples taken on a busy machine", () => {
    const [sample] = ours.samples;
    const busy = sample === undefined ? [] : [{ ...sample, foreignCores: 0.5 }];
    expect(countDisturbed(passOf({ ...ours, samples: busy }, theirs))).toEqual({ disturbed: 1, samples: 4 });
  });

  it("names only rows that exist in its limits", () => {
    for (const { row } of LIMITS) expect(ROWS.map(({ id }) => id)).toContain(row);
  });
});

describe("benchmark tables", () => {
  const peers = ["pilotfish", "haproxy", "nginx"];
  const pass = passOf(
    cell("get-64", "pilotfish", [20, 24, 44]),
    cell("get-64", "haproxy", [20, 20, 40]),
    skipped,
  );

  it("formats a median with its interval, a single value alone", () => {
    expect(formatSummary({ median: 1234.56, low: 1, high: 2000, samples: 7 }, 1)).toBe(
      "1,234.6 [1.0-2,000.0]",
    );
    expect(formatSummary({ median: 5, low: 5, high: 5, samples: 1 }, 0)).toBe("5");
  });

  it("aligns text left and numbers right", () => {
    expect(
      alignColumns([
        ["a", "b", "c", "d"],
        ["long", "b", "100", ""],
      ]),
    ).toBe("a     b    c  d\nlong  b  100");
  });

  it("shows every proxy of a row, also one that is missing", () => {
    const text = renderText(pass, rows, peers, "haproxy");
    expect(text).toContain("24.0 [20.0-44.0]");
    expect(text).toContain("1.10 [1.00-1.20]");
    expect(text).toMatch(/nginx .*not installed/);
  });

  it("marks errors instead of comparing", () => {
    const broken = passOf(cell("get-64", "pilotfish", [20], 2), cell("get-64", "haproxy", [20]));
    expect(renderText(broken, rows, peers, "haproxy")).toContain(
      "ERRORS, not compared: answered HTTP/1.1 502",
    );
    expect(renderMarkdown(broken, rows, peers, "haproxy")).toContain("| errors |");
  });

  it("renders Markdown with one column per proxy", () => {
    expect(renderMarkdown(pass, rows, peers, "haproxy").split("\n")).toEqual([
      "| row | pilotfish | haproxy | nginx |",
      "| --- | ---: | ---: | ---: |",
      "| GET, 64 connections: processor µs | 24.0 [20.0-44.0]<br>**x 1.10 [1.00-1.20]** | 20.0 [20.0-40.0] | not installed |",
      "| GET, 64 connections: per second |  |  | not installed |",
    ]);
  });

  it("says of each limit whether it was kept", () => {
    const text = renderLimits(pass, [limit("at most", 1.3), limit("at most", 0.5)], rows, "pilotfish");
    expect(text).toMatch(/^KEPT +get-64 .*1\.3 of haproxy.*1\.10/);
    expect(text).toMatch(/\nMISSED +get-64 .*0\.5 of haproxy/);
  });
});
