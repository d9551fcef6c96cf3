import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChronicleEntry } from "../../../../src/dev/demo/chronicle.js";
import { render, type StyledLine, widthOf } from "../../../../src/dev/demo/styled-text.js";
import { type BackendRow, type DemoPicture, drawScreen } from "../../../../src/dev/demo/view.js";

const web1: BackendRow = {
  id: "web1",
  address: "127.0.0.1:40001",
  state: "ready",
  tone: "good",
  weight: 1,
  inFlight: 3,
  perSecond: 65,
  errors: 0,
  latencyMs: 34.4,
};

const story: readonly ChronicleEntry[] = Array.from({ length: 12 }, (_, number) => ({
  state: "ok",
  atMs: number * 1_000,
  text: `step ${number} went as it should`,
}));

const picture: DemoPicture = {
  title: "pilotfish demo   0:12",
  status: "Ctrl-C ends it",
  isRunning: true,
  places: [{ name: "catalog", text: "http://127.0.0.1:8500", tone: "plain" }],
  backends: [web1, { ...web1, id: "web2", state: "ejected, 2.1 s", tone: "bad", latencyMs: undefined }],
  traffic: "200 req/s",
  failures: "6 x 500 from web2",
  story,
  commands: [["curl one"], ["grpcurl two \\", "  more of two"], ["curl three"]],
};

const wide = { columns: 120, rows: 40, isUnicode: true };
const textOf = (lines: readonly StyledLine[]): string[] => lines.map((line) => render(line, false));

describe("the screen of the demo", () => {
  it("never exceeds the terminal, however small", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(60), fc.nat(9), fc.nat(12), (columns, rows, backends, steps) => {
        const lines = drawScreen(
          { ...picture, backends: Array(backends).fill(web1), story: story.slice(0, steps) },
          { columns, rows, isUnicode: true },
        );
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      }),
    );
  });

  it("shows each backend under the headings", () => {
    const lines = textOf(drawScreen(picture, { ...wide, columns: 80 }));
    expect(lines.filter((line) => /^BACKEND|^web/.test(line))).toEqual([
      "BACKEND ADDRESS          STATE           WEIGHT IN FLIGHT REQ/S ERRORS  LATENCY",
      "web1    127.0.0.1:40001  ready                1         3    65      0    34 ms",
      "web2    127.0.0.1:40001  ejected, 2.1 s       1         3    65      0        -",
    ]);
  });

  it("draws a bar where there is room for it", () => {
    const bar = (columns: number, isUnicode: boolean): string | undefined =>
      textOf(drawScreen(picture, { columns, rows: 40, isUnicode }))
        .find((line) => line.startsWith("web1"))
        ?.slice(81);
    expect(bar(120, true)).toBe("█".repeat(13));
    expect(bar(120, false)).toBe("#".repeat(13));
    expect(bar(85, true)).toBe("█".repeat(4));
    expect(bar(80, true)).toBe("");
  });

  it("keeps the newest lines of the story when not all fit", () => {
    const lines = textOf(drawScreen(picture, { ...wide, rows: 16 }));
    expect(lines.at(-1)).toContain("step 11");
    expect(lines.join("\n")).not.toContain("step 0 ");
  });

  it("breaks a long line of the story at words and keeps all of it", () => {
    const text = "web2 ejected after 7 failures in 40 ms (consecutive-5xx); none since";
    const lines = textOf(
      drawScreen({ ...picture, story: [{ state: "failed", atMs: 6_040, text }] }, { ...wide, columns: 60 }),
    );
    const first = lines.findIndex((line) => line.startsWith("  6.0s ✗ web2 ejected"));
    expect(`${lines[first]} ${lines[first + 1]?.trim()}`).toBe(`  6.0s ✗ ${text}`);
  });

  it("offers only whole commands, as many as fit below the story", () => {
    const commandsAt = (columns: number, rows: number): string[] =>
      textOf(drawScreen({ ...picture, story: story.slice(0, 2) }, { columns, rows, isUnicode: true })).filter(
        (line) => line.startsWith("  c") || line.startsWith("  g") || line.startsWith("    more"),
      );
    expect(commandsAt(80, 40)).toEqual(["  curl one", "  grpcurl two \\", "    more of two", "  curl three"]);
    expect(commandsAt(12, 40)).toEqual(["  curl one", "  curl three"]);
    // Title, place, two blank lines, four of the table, the heading, seven for the story, and what is left.
    expect(commandsAt(80, 18)).toEqual([]);
    expect(commandsAt(80, 19)).toEqual(["  curl one"]);
    expect(commandsAt(80, 20)).toEqual(["  curl one", "  curl three"]);
    expect(commandsAt(80, 21)).toEqual(["  curl one", "  grpcurl two \\", "    more of two"]);
  });

  it("shows no empty table before anything runs", () => {
    const lines = textOf(
      drawScreen({ ...picture, isRunning: false, places: [], backends: [], commands: [] }, wide),
    );
    expect(lines.join("\n")).not.toMatch(/BACKEND|client/);
    expect(lines.join("\n")).toContain("step 11");
  });
});
