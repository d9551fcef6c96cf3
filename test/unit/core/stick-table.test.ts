import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StickTable } from "../../../src/core/stick-table.js";

describe("a stick table", () => {
  it("remembers who served a key until it was unused for its time", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    table.store("k", "a", 0);
    expect([table.find("k", 999), table.find("k", 1_998), table.find("k", 2_998), table.size]).toEqual([
      "a",
      "a",
      undefined,
      0,
    ]);
  });

  it("lets who served last take over a key", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    table.store("k", "a", 0);
    table.store("k", "b", 1);
    expect([table.find("k", 2), table.size]).toEqual(["b", 1]);
  });

  it("evicts the one unused for longest beyond its size", () => {
    const table = new StickTable({ size: 2, expireMs: 1_000 });
    table.store("old", "a", 0);
    table.store("new", "b", 1);
    table.find("old", 2);
    table.store("third", "c", 3);
    expect(["old", "new", "third"].map((key) => table.find(key, 4))).toEqual(["a", undefined, "c"]);
  });

  it("drops what expired when something is stored", () => {
    const table = new StickTable({ size: 100, expireMs: 10 });
    for (let key = 0; key < 50; key++) table.store(`k${key}`, "a", 0);
    table.store("late", "b", 10);
    expect(table.size).toBe(1);
  });

  it("shrinks to a smaller size at once and keeps the newest", () => {
    const table = new StickTable({ size: 100, expireMs: 1_000 });
    for (let key = 0; key < 50; key++) table.store(`k${key}`, "a", 0);
    table.reconfigure({ size: 5, expireMs: 1_000 }, 0);
    expect([table.size, table.find("k49", 1), table.find("k44", 1)]).toEqual([5, "a", undefined]);
  });

  it("tells long keys apart without keeping them", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    const long = "x".repeat(10_000);
    table.store(`${long}1`, "a", 0);
    table.store(`${long}2`, "b", 0);
    expect([table.find(`${long}1`, 1), table.find(`${long}2`, 1)]).toEqual(["a", "b"]);
  });

  it("lets nothing stay unused for longer than a shorter time that is put in force", () => {
    const table = new StickTable({ size: 10, expireMs: 10_000 });
    table.store("early", "a", 0);
    table.store("late", "b", 5_000);
    table.reconfigure({ size: 10, expireMs: 1_000 }, 9_500);
    const left = (nowMs: number) => [...table.entries(nowMs)].map(({ key, expiresMs }) => [key, expiresMs]);
    expect(left(9_999)).toEqual([
      ["early", 10_000],
      ["late", 10_500],
    ]);
    table.forgetExpired(10_499);
    expect([table.size, table.counts.expired]).toEqual([1, 1]);
  });

  it("says who is bound where since when, without counting as a use", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    table.store("k", "a", 0);
    table.store("k", "a", 300);
    const entry = { key: "k", backend: "a", sinceMs: 0, expiresMs: 1_300 };
    expect([table.peek("k", 1_299), table.peek("k", 1_300), [...table.entries(1_299)]]).toEqual([
      entry,
      undefined,
      [entry],
    ]);
    table.store("k", "b", 1_000);
    expect(table.peek("k", 1_000)).toMatchObject({ backend: "b", sinceMs: 1_000 });
  });

  it("clears one key, one backend or everything", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    for (const [key, backend] of ["1a", "2a", "3b", "4b", "5c"].map(
      (each) => [each, each[1] as string] as const,
    ))
      table.store(key, backend, 0);
    const bound = () => ["a", "b", "c"].map((backend) => table.boundTo(backend));
    expect([table.clearKey("1a"), table.clearKey("1a"), bound()]).toEqual([1, 0, [1, 2, 1]]);
    expect([table.clearBackend("b"), table.clearBackend("b"), bound()]).toEqual([2, 0, [1, 0, 1]]);
    expect([table.clearAll(), table.size, bound(), table.counts.cleared]).toEqual([2, 0, [0, 0, 0], 5]);
  });

  it("takes in what was remembered elsewhere behind what it knows itself, in the order of expiry", () => {
    const table = new StickTable({ size: 3, expireMs: 1_000 });
    table.store("own", "a", 0);
    const far = { sinceMs: -500, backend: "b" };
    table.restore(
      [
        { key: "own", expiresMs: 900, ...far },
        { key: "over", expiresMs: 100, ...far },
        { key: "soon", expiresMs: 200, ...far },
        { key: "later", expiresMs: 800, ...far },
        { key: "latest", expiresMs: 9_999, ...far },
      ],
      100,
    );
    // One too many: the one that would expire first goes.
    expect([...table.entries(100)]).toEqual([
      { key: "later", expiresMs: 800, ...far },
      { key: "own", backend: "a", sinceMs: 0, expiresMs: 1_000 },
      { key: "latest", expiresMs: 1_100, ...far },
    ]);
    expect([table.boundTo("a"), table.boundTo("b")]).toEqual([1, 2]);
  });

  it("counts what leads where exactly, whatever happens", () => {
    const step = fc.record({
      kind: fc.constantFrom("store", "find", "clearKey", "clearBackend", "forget", "shrink"),
      key: fc.integer({ min: 0, max: 9 }).map((key) => `k${key}`),
      backend: fc.constantFrom("a", "b", "c"),
      pauseMs: fc.integer({ min: 0, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const table = new StickTable({ size: 6, expireMs: 100 });
        let nowMs = 0;
        for (const { kind, key, backend, pauseMs } of steps) {
          nowMs += pauseMs;
          if (kind === "store") table.store(key, backend, nowMs);
          else if (kind === "find") table.find(key, nowMs);
          else if (kind === "clearKey") table.clearKey(key);
          else if (kind === "clearBackend") table.clearBackend(backend);
          else if (kind === "shrink") table.reconfigure({ size: 4, expireMs: 60 }, nowMs);
          table.forgetExpired(nowMs);
          const entries = [...table.entries(nowMs)];
          expect(entries.length).toBe(table.size);
          expect(entries.map(({ expiresMs }) => expiresMs)).toEqual(
            entries.map(({ expiresMs }) => expiresMs).sort((a, b) => a - b),
          );
          for (const each of ["a", "b", "c"])
            expect(table.boundTo(each)).toBe(entries.filter((entry) => entry.backend === each).length);
        }
      }),
    );
  });
});
