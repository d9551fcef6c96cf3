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
    table.reconfigure({ size: 5, expireMs: 1_000 });
    expect([table.size, table.find("k49", 1), table.find("k44", 1)]).toEqual([5, "a", undefined]);
  });

  it("tells long keys apart without keeping them", () => {
    const table = new StickTable({ size: 10, expireMs: 1_000 });
    const long = "x".repeat(10_000);
    table.store(`${long}1`, "a", 0);
    table.store(`${long}2`, "b", 0);
    expect([table.find(`${long}1`, 1), table.find(`${long}2`, 1)]).toEqual(["a", "b"]);
  });
});
