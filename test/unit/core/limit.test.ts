import { describe, expect, it } from "vitest";
import { type GrowingLimit, limitAt } from "../../../src/core/limit.js";
import type { Pool } from "../../../src/core/pool.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  terms,
  waiter,
} from "../../support/pool-fixture.js";

describe("a limit that grows with load", () => {
  const growing: GrowingLimit = { least: 2, fullLoad: 100 };

  it.each([
    // HAProxy: max(minconn, load x maxconn / fullconn), the whole from fullconn on.
    [10, 0, 2],
    [10, 29, 2],
    [10, 30, 3],
    [10, 99, 9],
    [10, 100, 10],
    [10, 500, 10],
    [0, 50, 0],
    [1, 50, 1],
  ])("of at most %i is at load %i: %i", (most, load, expected) => {
    expect(limitAt(most, growing, load)).toBe(expected);
  });

  it("is the same at every load where it does not grow", () => {
    expect(limitAt(10, undefined, 0)).toBe(10);
  });
});

describe("the limits of a pool", () => {
  const limits = (pool: Pool) => [...pool.backends()].map(({ row }) => row.limit);

  it("grow with what is open and waits, and fall with it", () => {
    const pool = newPool({ maxInFlightPerBackend: 4, growingLimit: { least: 1, fullLoad: 8 } });
    apply(pool, [endpoint("a"), endpoint("b")]);
    const leases = [mustAcquire(pool), mustAcquire(pool)];
    expect(limits(pool)).toEqual([1, 1]);
    const come = () => {
      const lease = pool.acquire([], 1);
      if (lease !== undefined) leases.push(lease);
      else
        pool.enqueue(
          waiter((granted) => leases.push(granted)),
          1,
        );
      return [leases.length, pool.queue.length, ...limits(pool)];
    };
    // Three times 4 / 8 is still 1; the fourth lifts it to 2, and the third comes before it.
    expect(come()).toEqual([2, 1, 1, 1]);
    expect(come()).toEqual([4, 0, 2, 2]);
    expect(come()).toEqual([4, 1, 2, 2]);
    expect(come()).toEqual([6, 0, 3, 3]);
    expect(come()).toEqual([6, 1, 3, 3]);
    expect(come()).toEqual([8, 0, 4, 4]);
    expect(limits(pool)).toEqual([4, 4]);
    expect(pool.acquire([], 3)).toBeUndefined();
    for (const lease of leases.splice(0)) lease.release("success", 200, 4);
    expect([...limits(pool), pool.inFlight]).toEqual([1, 1, 0]);
    expect(backendNamed(pool, "a").row.maxInFlight).toBe(4);
  });

  it("grow to what the operator says of one backend", () => {
    const pool = newPool({ maxInFlightPerBackend: 2, growingLimit: { least: 1, fullLoad: 4 } });
    apply(pool, [endpoint("a"), endpoint("b")]);
    pool.setLimit(backendNamed(pool, "a"), 8, terms(), 1);
    const leases = Array.from({ length: 4 }, () => mustAcquire(pool, 2));
    expect(limits(pool)).toEqual([8, 2]);
    for (const lease of leases) lease.release("success", 200, 3);
    expect(limits(pool)).toEqual([1, 1]);
  });

  it("ramp with slow start, from one lease up", () => {
    const pool = newPool({
      maxInFlightPerBackend: 32,
      slowStart: { windowMs: 1_600, aggression: 1, minPercent: 0 },
    });
    apply(pool, [endpoint("a"), endpoint("b")]);
    const a = backendNamed(pool, "a");
    pool.setCheck(a, "up", "", 0);
    pool.setCheck(a, "down", "refused", 0);
    pool.setCheck(a, "up", "", 1_000);
    const seen = [a.row.limit];
    for (const nowMs of [1_099, 1_100, 1_750, 2_600]) {
      pool.tick(nowMs);
      seen.push(a.row.limit);
    }
    expect(seen).toEqual([2, 2, 4, 16, 32]);
    expect(backendNamed(pool, "b").row.limit).toBe(32);
  });
});
