import { describe, expect, it } from "vitest";
import { EventJournal } from "../../../src/admin/event-journal.js";
import { backendOf, endpointOf, poolOf } from "./scene.js";

function flap(pool: ReturnType<typeof poolOf>, times: number): void {
  for (let flip = 0; flip < times; flip++) {
    pool.setCheck(backendOf(pool, "a"), flip % 2 === 0 ? "down" : "up", "flip", flip);
  }
}

describe("EventJournal", () => {
  it("numbers events from 1 and keeps what the endpoint was like", () => {
    const journal = new EventJournal();
    const pool = poolOf("web");
    journal.follow(pool);
    expect(journal.read(1, 10)).toEqual({ gap: undefined, entries: [] });
    pool.apply({ endpoints: [endpointOf("a", 1, { weight: 5 })] }, 100);
    pool.apply({ endpoints: [endpointOf("a", 1, { weight: 7 })] }, 200);
    const { entries } = journal.read(1, 10);
    expect(entries.map(({ sequence, atMs, event }) => [sequence, atMs, event.type])).toEqual([
      [1, 100, "backend-added"],
      [2, 100, "usable-changed"],
      [3, 200, "endpoint-changed"],
      [4, 200, "weight-changed"],
    ]);
    expect(entries[0]?.endpoint?.weight).toBe(5);
    expect(entries[2]?.endpoint?.weight).toBe(7);
    expect(entries[1]?.endpoint).toBeUndefined();
    expect(journal.nextSequence).toBe(5);
  });

  it("keeps as many as its capacity and names what is gone", () => {
    const journal = new EventJournal({ capacity: 4 });
    const pool = poolOf("web");
    pool.apply({ endpoints: [endpointOf("a", 1), endpointOf("b", 2)] }, 0);
    journal.follow(pool);
    flap(pool, 4);
    expect(journal.read(1, 10).gap).toBeUndefined();
    expect(journal.oldestSequence).toBe(1);
    flap(pool, 3);
    const page = journal.read(2, 10);
    expect(page.gap).toEqual({ first: 2, last: 3 });
    expect(page.entries.map(({ sequence }) => sequence)).toEqual([4, 5, 6, 7]);
    expect(journal.read(4, 10).gap).toBeUndefined();
  });

  it("reads a page at a time", () => {
    const journal = new EventJournal();
    const pool = poolOf("web");
    pool.apply({ endpoints: [endpointOf("a", 1), endpointOf("b", 2)] }, 0);
    journal.follow(pool);
    flap(pool, 5);
    expect(journal.read(2, 2).entries.map(({ sequence }) => sequence)).toEqual([2, 3]);
    expect(journal.read(6, 2).entries).toEqual([]);
  });

  it("calls after each event until told to stop, and follows several pools", () => {
    const journal = new EventJournal();
    const pools = [poolOf("one"), poolOf("two")];
    const stopFollowing = pools.map((pool) => journal.follow(pool));
    let calls = 0;
    const stop = journal.onAppend(() => calls++);
    for (const pool of pools) pool.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    expect(calls).toBe(4);
    expect(journal.read(1, 10).entries.map(({ pool }) => pool)).toEqual(["one", "one", "two", "two"]);
    stop();
    stopFollowing[0]?.();
    for (const pool of pools) flap(pool, 1);
    expect(calls).toBe(4);
    expect(journal.read(5, 10).entries.map(({ pool }) => pool)).toEqual(["two", "two"]);
  });
});
