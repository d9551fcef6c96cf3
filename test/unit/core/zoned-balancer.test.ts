import { describe, expect, it } from "vitest";
import { explainPick } from "../../../src/core/explain.js";
import type { Pool } from "../../../src/core/pool.js";
import type { ZoneOptions } from "../../../src/core/zoned-balancer.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  terms,
  waiter,
} from "../../support/pool-fixture.js";

const ZONE: ZoneOptions = { own: "a", minPercent: 100, minBackends: 2, spillFactor: 0 };

/** Backends named by zone and number, such as `a1`; those of `-` have none. */
function list(pool: Pool, names: string): void {
  apply(
    pool,
    names.split(" ").map((name) => {
      const zone = name[0] === "-" ? undefined : name[0];
      return endpoint(name, { zone, priority: name.endsWith("x") ? 1 : 0 });
    }),
  );
}

function poolOf(names: string, zone: Partial<ZoneOptions> = {}, limit = 0, panicThreshold = 0): Pool {
  const pool = newPool({
    tiers: { allBackups: false, panicThreshold, zone: { ...ZONE, ...zone } },
    maxInFlightPerBackend: limit,
  });
  list(pool, names);
  return pool;
}

/** How many of so many picks, which stay open, fall on each zone. */
function picksOf(pool: Pool, count: number): Record<string, number> {
  const picks: Record<string, number> = {};
  for (let pick = 0; pick < count; pick++) {
    const zone = pool.acquire([], 1)?.backend.endpoint.zone ?? "none";
    picks[zone] = (picks[zone] ?? 0) + 1;
  }
  return picks;
}

describe("zones", () => {
  it("prefer the own one while it has its share of the weight, and count who went where", () => {
    const pool = poolOf("a1 a2 b1 b2 c1 c2");
    expect(picksOf(pool, 30)).toEqual({ a: 30 });
    pool.setWeight(backendNamed(pool, "a1"), { kind: "percent", percent: 50 }, terms(), 1);
    expect(backendNamed(pool, "a1").inFlight).toBe(15);
    pool.setWeight(backendNamed(pool, "a1"), { kind: "weight", weight: 0 }, terms(), 1);
    const { b, c } = picksOf(pool, 20);
    expect([b, c]).toEqual([10, 10]);
    expect([pool.total("ownZonePicks"), pool.total("otherZonePicks")]).toEqual([30, 20]);
  });

  it.each([
    ["all of them make no difference when not configured", "a1 b1 b2", undefined, 3],
    ["too small a share", "a1 b1 b2 b3", {}, 4],
    ["a share that is enough by the configured measure", "a1 b1 b2", { minPercent: 60 }, 1],
    ["too few backends of all zones", "a1 b1", { minBackends: 3 }, 2],
    ["nobody in the own zone", "b1 c1", {}, 2],
    ["those without a zone, who count as one other", "a1 -1 -2", { minPercent: 60 }, 1],
    ["three zones by the fair third", "a1 b1 c1", {}, 1],
    ["the own zone alone", "a1 a2", {}, 2],
  ])("%s", (_what, names, zone, used) => {
    const pool = zone === undefined ? newPool() : poolOf(names, zone);
    if (zone === undefined) list(pool, names);
    picksOf(pool, 12);
    expect([...pool.backends()].filter(({ inFlight }) => inFlight > 0)).toHaveLength(used);
  });

  it("spill over when the own one is full, before anyone waits, and come back", () => {
    const pool = poolOf("a1 a2 b1 b2", {}, 2);
    expect(picksOf(pool, 4)).toEqual({ a: 4 });
    expect(pool.tiers.zoneWords).toContain("all at their limit, so work spills over");
    const spilled = mustAcquire(pool);
    expect(spilled.backend.endpoint.zone).toBe("b");
    expect(picksOf(pool, 3)).toEqual({ b: 3 });
    expect(pool.refusal()).toBe("all-full");
    const granted: string[] = [];
    pool.enqueue(
      waiter(({ backend }) => void granted.push(backend.endpoint.id)),
      0,
    );
    spilled.release("success", 200, 2);
    expect(granted).toEqual([spilled.backend.endpoint.id]);
  });

  it("spill over by load per weight, each of the others counted with one lease more", () => {
    const pool = poolOf("a1 a2 b1 b2", { spillFactor: 3 });
    expect(picksOf(pool, 7)).toEqual({ a: 7 });
    expect(pool.tiers.zoneWords).toContain("loaded so much more");
    expect(picksOf(pool, 1)).toEqual({ b: 1 });
    expect(picksOf(pool, 3)).toEqual({ a: 3 });
    expect(picksOf(pool, 1)).toEqual({ b: 1 });
  });

  it("give a second try another backend of the own zone, then one of the others, then the same again", () => {
    const pool = poolOf("a1 a2 b1");
    const [a1, a2, b1] = ["a1", "a2", "b1"].map((name) => backendNamed(pool, name));
    if (a1 === undefined || a2 === undefined || b1 === undefined) throw new Error("not listed");
    expect(pool.peek([a1])).toBe(a2);
    expect(pool.peek([a1, a2])).toBe(b1);
    expect(pool.peek([a1, a2, b1])?.endpoint.zone).toBe("a");
  });

  it("follow checks, ejections, and lists that say another zone, with the work that is open", () => {
    const pool = poolOf("a1 a2 b1 b2", { spillFactor: 2 });
    const leases = Array.from({ length: 5 }, () => mustAcquire(pool));
    expect(leases.map(({ backend }) => backend.endpoint.zone).join("")).toBe("aaaaa");
    apply(pool, [
      endpoint("a1", { zone: "b" }),
      endpoint("a2", { zone: "b" }),
      endpoint("b1", { zone: "a" }),
      endpoint("b2", { zone: "a" }),
    ]);
    expect(mustAcquire(pool).backend.endpoint.id).toMatch(/^b/);
    pool.setCheck(backendNamed(pool, "b1"), "down", "refused", 1);
    expect(pool.tiers.zoneWords).toBe(
      "the own zone a is not preferred: 1 of 3 healthy backends, 33% of the weight of 2 zones, not 100% of a fair share",
    );
    pool.setCheck(backendNamed(pool, "b1"), "up", "", 2);
    for (const lease of leases) lease.release("success", 200, 2);
    expect(picksOf(pool, 4)).toEqual({ a: 4 });
    expect(picksOf(pool, 1)).toEqual({ b: 1 });
  });

  it("are looked at in each tier for itself, and make no difference in a panic", () => {
    const pool = poolOf("a1 b1 ax bx", {}, 0, 50);
    pool.setCheck(backendNamed(pool, "a1"), "down", "refused", 1);
    pool.setCheck(backendNamed(pool, "b1"), "down", "refused", 1);
    expect(picksOf(pool, 4)).toEqual({ a: 4 });
    expect(pool.tiers.state.tier).toBe(1);
    pool.setCheck(backendNamed(pool, "ax"), "down", "refused", 1);
    pool.setCheck(backendNamed(pool, "bx"), "down", "refused", 1);
    expect(pool.tiers.state.isPanicking).toBe(true);
    expect(picksOf(pool, 12).b).toBeGreaterThan(4);
    expect(pool.tiers.zoneWords).toBe("");
  });

  it("say in words why they are preferred", () => {
    const pool = poolOf("a1 b1");
    const { summary } = explainPick(pool);
    expect(summary).toContain(
      "; the own zone a comes first: 1 of 2 healthy backends, 50% of the weight of 2 zones",
    );
    const few = poolOf("a1 b1", { minBackends: 6 });
    expect(few.tiers.zoneWords).toMatch(/is not preferred: .*, fewer than 6$/);
  });

  it("come into force, change and go by another configuration, with what is open", () => {
    const pool = newPool();
    list(pool, "a1 a2 b1 b2");
    const leases = Array.from({ length: 4 }, () => mustAcquire(pool));
    const reload = (zone: ZoneOptions | undefined) =>
      pool.reconfigure({ ...pool.options, tiers: { ...pool.options.tiers, zone } }, 1);
    reload({ ...ZONE, spillFactor: 1 });
    expect(picksOf(pool, 3)).toEqual({ a: 3 });
    expect(picksOf(pool, 1)).toEqual({ b: 1 });
    reload(ZONE);
    expect(picksOf(pool, 9)).toEqual({ a: 9 });
    reload({ ...ZONE, own: "b" });
    expect(picksOf(pool, 9)).toEqual({ b: 9 });
    for (const lease of leases) lease.release("success", 200, 2);
    reload(undefined);
    expect(pool.tiers.zoneWords).toBe("");
    expect(picksOf(pool, 6)).toEqual({ b: 4, a: 2 });
  });
});
