import { describe, expect, it } from "vitest";
import { explainPick } from "../../../src/core/explain.js";
import type { Lease } from "../../../src/core/lease.js";
import type { Outcome } from "../../../src/core/outcome.js";
import type { OutlierOptions } from "../../../src/core/outlier.js";
import type { Pool } from "../../../src/core/pool.js";
import type { PoolOptions } from "../../../src/core/pool-options.js";
import { apply, backendNamed, endpoint, newPool, OUTLIER, waiter } from "../../support/pool-fixture.js";

/** `e0` was ejected at 0 after three failures, until 5000. */
function poolWithEjected(
  outlier: Partial<OutlierOptions> = {},
  changes: Partial<PoolOptions> = {},
  size = 3,
): Pool {
  const pool = newPool({ outlier: { ...OUTLIER, probation: 1, ...outlier }, ...changes });
  apply(
    pool,
    Array.from({ length: size }, (_, index) => endpoint(`e${index}`)),
  );
  for (let failure = 0; failure < 3; failure++) take(pool, 0)?.release("server-error", 500, 0);
  expect(state(pool)).toBe("ejected");
  return pool;
}

/** A lease on `e0`, undefined when it is not to be had. */
function take(pool: Pool, nowMs: number): Lease | undefined {
  const others = [...pool.backends()].filter((backend) => backend.endpoint.id !== "e0");
  const lease = pool.acquire(others, nowMs);
  if (lease === undefined || lease.backend.endpoint.id === "e0") return lease;
  lease.release("ignored", 0, nowMs);
  return undefined;
}

function attempt(pool: Pool, outcome: Outcome, nowMs: number): void {
  const lease = take(pool, nowMs);
  if (lease === undefined) throw new Error("e0 was not to be had");
  lease.release(outcome, outcome === "success" ? 200 : 0, nowMs);
}

const state = (pool: Pool): string => backendNamed(pool, "e0").facts.detection.state;
const owed = (pool: Pool): number => backendNamed(pool, "e0").probation.owed;

describe("a backend on probation", () => {
  it("says so from its return on", () => {
    const pool = poolWithEjected();
    pool.tick(4_999);
    expect([state(pool), owed(pool)]).toEqual(["ejected", 0]);
    pool.tick(5_000);
    expect([state(pool), owed(pool)]).toEqual(["active", 1]);
    expect(backendNamed(pool, "e0").facts.detection.why).toBe(
      "ejection time served; on probation, owes one success",
    );
  });

  it.each(["server-error", "connect-failure", "timeout", "reset"] as const)(
    "is ejected again for longer by its first %s",
    (outcome) => {
      const pool = poolWithEjected();
      pool.tick(5_000);
      attempt(pool, outcome, 5_010);
      const { facts, monitor } = backendNamed(pool, "e0");
      expect([monitor.cause, monitor.ejectedUntilMs, facts.detection.why]).toEqual([
        "consecutive-5xx",
        5_010 + 2 * 5_000,
        "failed on probation after consecutive-5xx",
      ]);
      expect(pool.ejectionCounts.of("consecutive-5xx")).toEqual({ detected: 2, enforced: 2, overflowed: 0 });
    },
  );

  it("is judged by the thresholds again once it succeeded as often as it owed", () => {
    const pool = poolWithEjected({ probation: 2 });
    pool.tick(5_000);
    attempt(pool, "success", 5_010);
    expect(owed(pool)).toBe(1);
    attempt(pool, "success", 5_020);
    expect(owed(pool)).toBe(0);
    attempt(pool, "server-error", 5_030);
    attempt(pool, "server-error", 5_040);
    expect(state(pool)).toBe("active");
    attempt(pool, "server-error", 5_050);
    expect(state(pool)).toBe("ejected");
  });

  it("fails before it succeeded as often as it owed", () => {
    const pool = poolWithEjected({ probation: 2 });
    pool.tick(5_000);
    attempt(pool, "success", 5_010);
    attempt(pool, "reset", 5_020);
    expect(state(pool)).toBe("ejected");
  });

  it("gets one request at a time, whatever its limit, until it passed", () => {
    for (const [maxInFlightPerBackend, after] of [
      [0, 0],
      [5, 5],
    ] as const) {
      const pool = poolWithEjected({}, { maxInFlightPerBackend });
      pool.tick(5_000);
      const probe = take(pool, 5_010);
      expect(probe).toBeDefined();
      expect(take(pool, 5_020)).toBeUndefined();
      expect(explainPick(pool).candidates.find(({ backend }) => backend.endpoint.id === "e0")?.text).toBe(
        "out: at its limit: 1 of 1 in flight, on probation after consecutive-5xx, 1 more success to go",
      );
      probe?.release("success", 200, 5_030);
      expect(backendNamed(pool, "e0").row.limit).toBe(after);
      expect([take(pool, 5_040), take(pool, 5_040)]).not.toContain(undefined);
    }
  });

  it("hands the slots that a passed probe frees to those who wait", () => {
    const pool = poolWithEjected({}, { maxInFlightPerBackend: 2 }, 2);
    pool.tick(5_000);
    const leases = [pool.acquire([], 5_000), pool.acquire([], 5_000), pool.acquire([], 5_000)];
    expect(pool.acquire([], 5_000)).toBeUndefined();
    const granted: Lease[] = [];
    for (let wait = 0; wait < 2; wait++)
      pool.enqueue(
        waiter((lease) => void granted.push(lease)),
        5_000,
      );
    leases.find((lease) => lease?.backend.endpoint.id === "e0")?.release("success", 200, 5_010);
    expect(granted.map(({ backend }) => backend.endpoint.id)).toEqual(["e0", "e0"]);
  });

  it("is neither helped nor harmed by what began before its return, and that takes no place of the probe", () => {
    const pool = newPool({ outlier: { ...OUTLIER, probation: 1 } });
    apply(pool, [endpoint("e0"), endpoint("e1"), endpoint("e2")]);
    const [early, late] = [take(pool, 0), take(pool, 0)];
    for (let failure = 0; failure < 3; failure++) attempt(pool, "server-error", 0);
    pool.tick(5_000);
    const probe = take(pool, 5_001);
    expect(probe).toBeDefined();
    early?.release("timeout", 0, 5_002);
    late?.release("success", 200, 5_003);
    expect([state(pool), owed(pool)]).toEqual(["active", 1]);
    probe?.release("ignored", 0, 5_004);
    expect(owed(pool)).toBe(1);
    attempt(pool, "timeout", 5_005);
    expect(state(pool)).toBe("ejected");
  });

  it("passes when its probe comes to no end for an interval, but not before anyone came", () => {
    const pool = poolWithEjected();
    expect(pool.tick(5_000)).toBe(6_000);
    expect(pool.tick(6_000)).toBe(7_000);
    expect(owed(pool)).toBe(1);
    const tunnel = take(pool, 6_500);
    pool.tick(6_999);
    expect(owed(pool)).toBe(1);
    pool.tick(7_000);
    expect([owed(pool), backendNamed(pool, "e0").row.limit]).toEqual([0, 0]);
    tunnel?.release("reset", 0, 8_000);
    expect(state(pool)).toBe("active");
  });

  it("has had its one failure where the cap keeps it in", () => {
    const pool = poolWithEjected({ consecutive5xx: 2 }, {}, 2);
    pool.tick(5_000);
    pool.setCheck(backendNamed(pool, "e1"), "down", "refused", 5_000);
    attempt(pool, "server-error", 5_010);
    expect([state(pool), owed(pool)]).toEqual(["active", 0]);
    expect(pool.ejectionCounts.of("consecutive-5xx")).toMatchObject({ detected: 2, overflowed: 1 });
  });

  it("begins when a passed check or the operator ends what a detector began, not after the operator's ejection", () => {
    const checked = poolWithEjected();
    checked.checkPassed(backendNamed(checked, "e0"), 100);
    expect([state(checked), owed(checked)]).toEqual(["active", 1]);
    const freed = poolWithEjected();
    freed.unEject(backendNamed(freed, "e0"), "by alice", 100);
    expect(owed(freed)).toBe(1);
    const manual = newPool({ outlier: { ...OUTLIER, probation: 1 } });
    apply(manual, [endpoint("e0"), endpoint("e1")]);
    manual.eject(backendNamed(manual, "e0"), 100, "by alice", 0);
    manual.tick(100);
    expect([state(manual), owed(manual)]).toEqual(["active", 0]);
  });

  it("is for a second tried by work that may be sent twice, where other work has another backend", () => {
    const pool = poolWithEjected();
    pool.tick(5_000);
    const others = [...pool.backends()].filter((backend) => backend.endpoint.id !== "e0");
    const seen = (isRepeatable: boolean, nowMs: number, avoid = others): string | undefined => {
      const lease = pool.acquireFor({ avoid: avoid.slice(0, 1), isRepeatable }, nowMs);
      lease?.release("ignored", 0, nowMs);
      return lease?.backend.endpoint.id;
    };
    // Of e0 and e2 the one that was used longer ago comes first.
    expect([seen(false, 5_001), seen(false, 5_002), seen(true, 5_003)]).toEqual(["e2", "e2", "e0"]);
    expect([seen(false, 5_999), seen(false, 5_999)]).toEqual(["e2", "e2"]);
    expect(seen(false, 6_000)).toBe("e0");
    expect(owed(pool)).toBe(1);
  });

  it("is tried by work that may not be sent twice where there is no other that has room, or in a panic", () => {
    const lone = poolWithEjected({}, { maxInFlightPerBackend: 1 }, 2);
    lone.tick(5_000);
    const wish = { avoid: [], isRepeatable: false };
    const ids = [lone.acquireFor(wish, 5_001), lone.acquireFor(wish, 5_001)];
    expect(ids.map((lease) => lease?.backend.endpoint.id)).toEqual(["e1", "e0"]);

    const backed = newPool({ outlier: { ...OUTLIER, probation: 1 } });
    const last = endpoint("e2", { priority: 1 });
    apply(backed, [endpoint("e0"), endpoint("e1"), last]);
    for (let failure = 0; failure < 3; failure++) take(backed, 0)?.release("server-error", 500, 0);
    backed.tick(5_000);
    backed.setCheck(backendNamed(backed, "e1"), "down", "refused", 5_000);
    expect(backed.acquireFor(wish, 5_001)?.backend.endpoint.id).toBe("e0");

    const panicking = poolWithEjected({}, { tiers: { ...newPool({}).options.tiers, panicThreshold: 90 } }, 3);
    panicking.tick(5_000);
    panicking.setCheck(backendNamed(panicking, "e1"), "down", "refused", 5_000);
    const picked = [1, 2, 3].map(() => panicking.acquireFor(wish, 5_001)?.backend.endpoint.id);
    expect(panicking.tiers.state.isPanicking).toBe(true);
    expect(picked).toContain("e0");
  });

  it("tells whom it lets in, and where a POST would go instead", () => {
    const pool = poolWithEjected();
    pool.tick(5_000);
    const others = ["e1", "e2"].map((id) => backendNamed(pool, id));
    const busy = others.map((other) =>
      pool.acquire([backendNamed(pool, "e0"), ...others.filter((each) => each !== other)], 5_000),
    );
    expect(busy).not.toContain(undefined);
    const told = (nowMs: number) => {
      const { picked, summary, candidates } = explainPick(pool, [], {}, nowMs);
      return [picked?.endpoint.id, summary, candidates[0]?.text].join(" | ");
    };
    expect(told(5_999)).toMatch(
      /^e0 .*; a POST, or whatever else may not be sent twice, would go to e[12] at [\d.]+:\d+ \| picked: .*risked for now with requests alone that may be sent twice/,
    );
    const posted = pool.acquireFor({ avoid: [], isRepeatable: false }, 5_999);
    expect(told(5_999)).toContain("e0");
    expect(others).toContain(posted?.backend);
    expect(told(6_000)).toContain("1 more success to go");
    expect(told(6_000)).not.toMatch(/POST|risked/);

    for (const other of others) pool.setCheck(other, "down", "refused", 5_000);
    expect(told(5_500)).toContain("; so would a POST, as no other takes new work");
  });

  it("costs a pool that asks for none nothing", () => {
    const pool = poolWithEjected({ probation: 0 });
    pool.tick(5_000);
    expect([state(pool), owed(pool)]).toEqual(["active", 0]);
    expect([take(pool, 5_000), take(pool, 5_000)]).not.toContain(undefined);
  });
});
