import { describe, expect, it } from "vitest";
import type { PoolEvent } from "../../../src/core/events.js";
import type { Pool } from "../../../src/core/pool.js";
import type { TierOptions } from "../../../src/core/tiers.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  terms,
  waiter,
} from "../../support/pool-fixture.js";

/** A pool of backends named by tier and number, such as `1b` for the second of tier 1. */
function poolOf(names: readonly string[], tiers: Partial<TierOptions> = {}, limit = 0): Pool {
  const pool = newPool({
    tiers: { allBackups: false, panicThreshold: 0, ...tiers },
    maxInFlightPerBackend: limit,
  });
  list(pool, names);
  return pool;
}

function list(pool: Pool, names: readonly string[]): void {
  apply(
    pool,
    names.map((name) => endpoint(name, { priority: Number(name[0]) })),
  );
}

function down(pool: Pool, ...names: readonly string[]): void {
  for (const name of names) pool.setCheck(backendNamed(pool, name), "down", "refused", 1);
}

function up(pool: Pool, ...names: readonly string[]): void {
  for (const name of names) pool.setCheck(backendNamed(pool, name), "up", "", 2);
}

/** Who takes work, from twenty picks that stay open. */
function working(pool: Pool): string {
  const leases = Array.from({ length: 20 }, () => pool.acquire([], 3));
  const names = new Set(leases.map((lease) => lease?.backend.endpoint.id ?? "nobody"));
  for (const lease of leases) lease?.release("success", 200, 4);
  return [...names].sort().join(" ");
}

function heard(pool: Pool): string[] {
  const words: string[] = [];
  pool.subscribe((event: PoolEvent) => {
    if (event.type === "tier-changed") words.push(`tier ${event.from} to ${event.to}`);
    if (event.type === "panic-changed") words.push(`panic ${event.isPanicking} of ${event.usable}`);
    if (event.type === "usable-changed") words.push(`usable ${event.isUsable}`);
  });
  return words;
}

describe("tiers", () => {
  it("give all work to actives, then to the first tier of backups that has a usable one", () => {
    const pool = poolOf(["0a", "0b", "1a", "2a"]);
    const words = heard(pool);
    expect(working(pool)).toBe("0a 0b");
    down(pool, "0a");
    expect(working(pool)).toBe("0b");
    down(pool, "0b");
    expect(working(pool)).toBe("1a");
    down(pool, "1a");
    expect(working(pool)).toBe("2a");
    up(pool, "0b");
    expect(working(pool)).toBe("0b");
    down(pool, "0b", "2a");
    expect(pool.refusal()).toBe("no-usable-backend");
    expect(words).toEqual([...["tier 0 to 1", "tier 1 to 2", "tier 2 to 0", "tier 0 to 2"], "usable false"]);
  });

  it("let all backups share the work where that is configured", () => {
    const pool = poolOf(["0a", "1a", "2a", "3a"], { allBackups: true });
    down(pool, "0a");
    expect(working(pool)).toBe("1a 2a 3a");
    expect(pool.tiers.state).toEqual({ tier: 1, isPanicking: false, usable: 3 });
  });

  it.each([
    [
      "weight 0",
      (pool: Pool) => pool.setWeight(backendNamed(pool, "0a"), { kind: "weight", weight: 0 }, terms(), 1),
    ],
    ["drain", (pool: Pool) => pool.setAdmin(backendNamed(pool, "0a"), "drain", terms(), 1)],
    ["an ejection", (pool: Pool) => pool.eject(backendNamed(pool, "0a"), 10, "", 1)],
    ["its leaving", (pool: Pool) => list(pool, ["1a"])],
  ])("go on to backups after %s of the last active", (_what, act) => {
    const pool = poolOf(["0a", "1a"]);
    const lease = mustAcquire(pool);
    act(pool);
    expect(working(pool)).toBe("1a");
    lease.release("success", 200, 5);
  });

  it("leave the open work of a backup alone when actives return", () => {
    const pool = poolOf(["0a", "1a"]);
    down(pool, "0a");
    const lease = mustAcquire(pool);
    up(pool, "0a");
    expect(lease.backend.inFlight).toBe(1);
    expect(working(pool)).toBe("0a");
    lease.release("success", 200, 5);
    expect(lease.backend.inFlight).toBe(0);
  });

  it("send a second try to a backup before it goes to the same active again", () => {
    const pool = poolOf(["0a", "1a", "2a"]);
    const avoid = ["0a", "1a"].map((name) => backendNamed(pool, name));
    expect(pool.peek(avoid.slice(0, 1))?.endpoint.id).toBe("1a");
    expect(pool.peek(avoid)?.endpoint.id).toBe("2a");
    expect(pool.peek([...avoid, backendNamed(pool, "2a")])?.endpoint.id).toBe("0a");
    list(pool, ["0a", "0b", "1a"]);
    expect(pool.peek(avoid.slice(0, 1))?.endpoint.id).toBe("0b");
  });

  it("send a second try to a backup also while the failed active is full, and queue otherwise", () => {
    const pool = poolOf(["0a", "0b", "1a"], {}, 1);
    const a = backendNamed(pool, "0a");
    const b = backendNamed(pool, "0b");
    mustAcquire(pool);
    mustAcquire(pool);
    expect(pool.peek([a, b])?.endpoint.id).toBe("1a");
    expect(pool.peek([a])).toBeUndefined();
    expect(pool.peek()).toBeUndefined();
    expect(pool.refusal()).toBe("all-full");
  });

  it("follow a backend whose tier changes", () => {
    const pool = poolOf(["0a", "1a"]);
    apply(pool, [endpoint("0a", { priority: 2 }), endpoint("1a", { priority: 1 })], 1);
    expect(working(pool)).toBe("1a");
    expect(pool.tiers.list()).toEqual([
      { tier: 1, backends: 1, healthy: 1 },
      { tier: 2, backends: 1, healthy: 1 },
    ]);
  });

  it("hand a slot of a backup to those who wait once the actives are gone", () => {
    const pool = poolOf(["0a", "1a"], {}, 1);
    mustAcquire(pool);
    const got: string[] = [];
    pool.enqueue(
      waiter((lease) => got.push(lease.backend.endpoint.id)),
      0,
    );
    down(pool, "0a");
    expect(got).toEqual(["1a"]);
  });
});

describe("a panic", () => {
  it("begins below the threshold, not at it, and ends the same way", () => {
    const pool = poolOf(["0a", "0b", "0c", "0d"], { panicThreshold: 50 });
    const words = heard(pool);
    down(pool, "0a", "0b");
    expect(working(pool)).toBe("0c 0d");
    down(pool, "0c");
    expect(working(pool)).toBe("0a 0b 0c 0d");
    expect(pool.tiers.state).toEqual({ tier: 0, isPanicking: true, usable: 4 });
    up(pool, "0c");
    expect(working(pool)).toBe("0c 0d");
    expect(words).toEqual(["panic true of 4", "panic false of 2"]);
    expect(pool.total("panicPicks")).toBe(20);
  });

  it("never begins in a pool of two while one is healthy", () => {
    const pool = poolOf(["0a", "0b"], { panicThreshold: 50 });
    down(pool, "0a");
    expect(working(pool)).toBe("0b");
  });

  it("routes even where all are known to be down", () => {
    const pool = poolOf(["0a", "0b"], { panicThreshold: 50 });
    down(pool, "0a", "0b");
    expect(working(pool)).toBe("0a 0b");
    expect(pool.eligibleCount).toBe(0);
  });

  it("does not exist at a threshold of 0", () => {
    const pool = poolOf(["0a", "0b", "0c"]);
    down(pool, "0a", "0b", "0c");
    expect(working(pool)).toBe("nobody");
    expect(pool.refusal()).toBe("no-usable-backend");
  });

  it.each([
    ["drain", (pool: Pool) => pool.setAdmin(backendNamed(pool, "0a"), "drain", terms(), 3)],
    ["maint", (pool: Pool) => pool.setAdmin(backendNamed(pool, "0a"), "maint", terms(), 3)],
    [
      "weight 0",
      (pool: Pool) => pool.setWeight(backendNamed(pool, "0a"), { kind: "weight", weight: 0 }, terms(), 3),
    ],
    ["leaving", (pool: Pool) => list(pool, ["0b", "0c"])],
    [
      "a status that is refused",
      (pool: Pool) =>
        apply(pool, [endpoint("0a", { admitted: false }), ...["0b", "0c"].map((name) => endpoint(name))], 3),
    ],
  ])("never brings back %s, before nor during it", (_what, act) => {
    const before = poolOf(["0a", "0b", "0c"], { panicThreshold: 50 });
    act(before);
    down(before, "0b", "0c");
    expect(working(before)).toBe("0b 0c");
    const during = poolOf(["0a", "0b", "0c"], { panicThreshold: 50 });
    down(during, "0a", "0b", "0c");
    expect(working(during)).toBe("0a 0b 0c");
    act(during);
    expect(working(during)).toBe("0b 0c");
  });

  it.each([
    // Envoy's sum: 1.4 x 1/3 + 1.4 x 2/3 = 139 percent, so health enough in all.
    ["0a 0b 0c 1a 1b 1c", "0a 0b 1a", "0c", false],
    // 1.4 x 1/3 + 0 = 46 percent: both tiers are below the threshold, so all of them work.
    ["0a 0b 0c 1a 1b 1c", "0a 0b 1a 1b 1c", "0a 0b 0c 1a 1b 1c", true],
    // 0 + 1.4 x 1/2 = 70 percent, but the tier that works is at the threshold.
    ["0a 0b 1a 1b", "0a 0b 1a", "1b", false],
    // 1.4 x 1/4 + 1.4 x 1/2 = 105 percent.
    ["0a 0b 0c 0d 1a 1b", "0a 0b 0c 1a", "0d", false],
    // 1.4 x 1/5 + 1.4 x 1/2 = 98 percent: the first tier alone is in panic.
    ["0a 0b 0c 0d 0e 1a 1b", "0a 0b 0c 0d 1a", "0a 0b 0c 0d 0e", true],
  ])("of tiers %s without %s leaves the work to %s", (all, out, expected, isPanicking) => {
    const pool = poolOf(all.split(" "), { panicThreshold: 50 });
    down(pool, ...out.split(" "));
    expect(working(pool)).toBe(expected);
    expect(pool.tiers.state.isPanicking).toBe(isPanicking);
  });

  it("ignores an ejection as it ignores a failed check, and joins newcomers", () => {
    const pool = poolOf(["0a", "0b"], { panicThreshold: 100 });
    pool.eject(backendNamed(pool, "0a"), 100, "by hand", 1);
    expect(working(pool)).toBe("0a 0b");
    list(pool, ["0a", "0b", "0c"]);
    expect(working(pool)).toBe("0a 0b 0c");
    pool.tick(200);
    expect(pool.tiers.state).toEqual({ tier: 0, isPanicking: false, usable: 3 });
  });

  it("keeps to limits and weights", () => {
    const pool = poolOf(["0a", "0b"], { panicThreshold: 50 }, 2);
    down(pool, "0a", "0b");
    const leases = Array.from({ length: 4 }, () => mustAcquire(pool));
    expect(pool.acquire([], 5)).toBeUndefined();
    expect(pool.refusal()).toBe("all-full");
    for (const lease of leases) lease.release("success", 200, 6);
    expect(pool.inFlight).toBe(0);
  });
});
