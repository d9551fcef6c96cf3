import { describe, expect, it } from "vitest";
import { RoundRobin } from "../../../src/core/balancers/roundrobin.js";
import type { PoolEvent } from "../../../src/core/events.js";
import type { Lease } from "../../../src/core/lease.js";
import { ABSENT_OVERRIDE_MS } from "../../../src/core/override.js";
import type { Pool } from "../../../src/core/pool.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  OUTLIER,
  terms,
  waiter,
} from "../../support/pool-fixture.js";

function ids(pool: Pool): string[] {
  return [...pool.backends()].map((backend) => backend.endpoint.id);
}

function typesHeard(pool: Pool): string[] {
  const heard: string[] = [];
  pool.subscribe((event) =>
    heard.push("backend" in event ? `${event.type} ${event.backend.endpoint.id}` : event.type),
  );
  return heard;
}

function fail(pool: Pool, id: string, times: number, nowMs: number): void {
  const others = [...pool.backends()].filter((backend) => backend.endpoint.id !== id);
  for (let time = 0; time < times; time++)
    mustAcquire(pool, nowMs, others).release("server-error", 500, nowMs);
}

describe("a pool's membership", () => {
  it("keeps counts, check, ejection and overrides of a backend that stays", () => {
    const pool = newPool({ outlier: OUTLIER });
    apply(pool, [endpoint("a"), endpoint("b"), endpoint("c")]);
    const a = backendNamed(pool, "a");
    const lease = mustAcquire(pool, 1, [backendNamed(pool, "b"), backendNamed(pool, "c")]);
    pool.setCheck(a, "down", "refused", 2);
    pool.eject(a, 1_000, "by hand", 3);
    pool.setWeight(a, { kind: "weight", weight: 7 }, terms(), 4);
    apply(pool, [endpoint("a", { weight: 3, tags: ["new"] }), endpoint("d")], 5);
    expect(backendNamed(pool, "a")).toBe(a);
    expect(a.inFlight).toBe(1);
    expect([a.facts.check.state, a.facts.detection.state, a.weight]).toEqual(["down", "ejected", 7]);
    expect(a.endpoint.tags).toEqual(["new"]);
    lease.release("success", 200, 6);
    expect(ids(pool)).toEqual(["a", "d"]);
  });

  it("lets a backend that left finish its work, then forgets it", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    const heard = typesHeard(pool);
    apply(pool, [endpoint("b")], 1);
    expect(ids(pool)).toEqual(["a", "b"]);
    expect(mustAcquire(pool, 2).backend.endpoint.id).toBe("b");
    lease.release("success", 200, 3);
    expect(ids(pool)).toEqual(["b"]);
    expect(heard).toEqual(["backend-added b", "state-changed a", "backend-leaving a", "backend-removed a"]);
    expect(pool.total("success")).toBe(1);
    expect(pool.total("served")).toBe(2);
  });

  it("tells once, exactly at the deadline, that the open work of a leaving backend is to be cut", () => {
    const pool = newPool({ drainDeadlineMs: 100 });
    apply(pool, [endpoint("a")]);
    mustAcquire(pool);
    apply(pool, [], 50);
    const heard = typesHeard(pool);
    expect(pool.tick(149)).toBe(150);
    expect(heard).toEqual([]);
    expect(pool.tick(150)).toBe(Number.POSITIVE_INFINITY);
    pool.tick(151);
    expect(heard).toEqual(["drain-deadline a"]);
  });

  it("takes a leaving backend back with all it learnt, and without its deadline", () => {
    const pool = newPool();
    apply(pool, [endpoint("a"), endpoint("b")]);
    const lease = mustAcquire(pool);
    const { backend } = lease;
    pool.setCheck(backend, "down", "refused", 1);
    apply(pool, [], 2);
    apply(pool, [endpoint("a"), endpoint("b")], 3);
    expect(backendNamed(pool, backend.endpoint.id)).toBe(backend);
    expect([backend.isGone, backend.drainUntilMs, backend.facts.check.state]).toEqual([
      false,
      undefined,
      "down",
    ]);
    lease.release("success", 200, 4);
    expect(pool.size).toBe(2);
  });

  it("treats a new address as a new backend, and two keys at one address as two", () => {
    const pool = newPool();
    apply(pool, [endpoint("a", { port: 1 }), endpoint("b", { port: 1 })]);
    const lease = mustAcquire(pool, 0, [backendNamed(pool, "b")]);
    pool.setAdmin(lease.backend, "drain", terms(), 1);
    apply(pool, [endpoint("a", { port: 2 }), endpoint("b", { port: 1 })], 2);
    expect(
      [...pool.backends()].map((backend) => [backend.id, backend.facts.admin.state, backend.isGone]),
    ).toEqual([
      ["test/a@10.0.0.1:1", "drain", true],
      ["test/b@10.0.0.1:1", "ready", false],
      ["test/a@10.0.0.1:2", "drain", false],
    ]);
  });

  it("keeps one key at two addresses as two backends under the same override", () => {
    const pool = newPool();
    apply(pool, [endpoint("a", { port: 1 }), endpoint("a", { port: 2 })]);
    const [first, second] = [...pool.backends()];
    if (first === undefined || second === undefined) throw new Error("two were listed");
    pool.setWeight(first, { kind: "weight", weight: 5 }, terms(), 1);
    expect([first.weight, second.weight]).toEqual([5, 5]);
  });

  it("takes the first of duplicates in one list", () => {
    const pool = newPool();
    apply(pool, [endpoint("a", { weight: 3 }), endpoint("a", { weight: 9 })]);
    expect(pool.size).toBe(1);
    expect(backendNamed(pool, "a").weight).toBe(3);
    expect(pool.eligibleCount).toBe(1);
  });

  it("scales weights above 256 together and back", () => {
    const pool = newPool();
    apply(pool, [
      endpoint("a", { weight: 1_000 }),
      endpoint("b", { weight: 500 }),
      endpoint("c", { weight: 1 }),
    ]);
    expect([...pool.backends()].map((backend) => backend.weight)).toEqual([256, 128, 1]);
    apply(
      pool,
      [endpoint("a", { weight: 10 }), endpoint("b", { weight: 5 }), endpoint("c", { weight: 1 })],
      1,
    );
    expect([...pool.backends()].map((backend) => backend.weight)).toEqual([10, 5, 1]);
  });

  it("gives the row of a removed backend away without a trace", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const old = backendNamed(pool, "a");
    mustAcquire(pool).release("success", 200, 0);
    apply(pool, [], 1);
    apply(pool, [endpoint("b")], 2);
    const heir = backendNamed(pool, "b");
    expect(heir.row.index).toBe(old.row.index);
    pool.setCheck(old, "down", "late verdict", 3);
    pool.eject(old, undefined, "late", 3);
    pool.unEject(old, "late", 3);
    expect([heir.isEligible, heir.row.read(1), pool.eligibleCount, pool.size]).toEqual([true, 0, 1, 1]);
    expect(mustAcquire(pool, 4, [old]).backend).toBe(heir);
  });
});

describe("a backend's eligibility", () => {
  it.each(["discovery", "check", "admin", "detection", "weight"] as const)(
    "ends with %s alone, and returns with it",
    (fact) => {
      const pool = newPool();
      apply(pool, [endpoint("a")]);
      const a = backendNamed(pool, "a");
      const states = {
        discovery: (on: boolean) => apply(pool, [endpoint("a", { admitted: on })]),
        check: (on: boolean) => pool.setCheck(a, on ? "up" : "down", "", 0),
        admin: (on: boolean) => pool.setAdmin(a, on ? "ready" : "maint", terms(), 0),
        detection: (on: boolean) => (on ? pool.unEject(a, "", 0) : pool.eject(a, undefined, "", 0)),
        weight: (on: boolean) =>
          pool.setWeight(a, on ? undefined : { kind: "weight", weight: 0 }, terms(), 0),
      };
      const heard: boolean[] = [];
      pool.subscribe((event) => {
        if (event.type === "usable-changed") heard.push(event.isUsable);
      });
      states[fact](false);
      expect([a.isEligible, pool.acquire([], 0), pool.refusal()]).toEqual([
        false,
        undefined,
        "no-usable-backend",
      ]);
      states[fact](true);
      expect([a.isEligible, pool.acquire([], 0)?.backend]).toEqual([true, a]);
      expect(heard).toEqual([false, true]);
    },
  );

  it("is not restored by ready while the check says down", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const a = backendNamed(pool, "a");
    pool.setCheck(a, "down", "refused", 0);
    pool.setAdmin(a, "drain", terms(), 1);
    pool.setAdmin(a, "ready", terms(), 2);
    expect(a.isEligible).toBe(false);
    expect([a.facts.check.sinceMs, a.facts.admin.sinceMs]).toEqual([0, 2]);
  });
});

describe("a pool's overrides", () => {
  const said = { ...terms(), owner: "agent-check", origin: "agent" } as const;

  it("are undone by nobody but who said them", () => {
    const pool = newPool({ maxInFlightPerBackend: 9 });
    apply(pool, [endpoint("a", { weight: 4 })]);
    const a = backendNamed(pool, "a");
    pool.setAdmin(a, "drain", said, 0);
    pool.setWeight(a, { kind: "percent", percent: 50 }, said, 0);
    pool.setLimit(a, 2, said, 0);
    pool.setAdmin(a, "maint", terms(), 1);
    expect([a.facts.admin.state, a.weight, a.row.limit]).toEqual(["maint", 2, 2]);
    pool.setAdmin(a, "ready", terms(), 2);
    expect([a.facts.admin.state, a.isEligible]).toEqual(["drain", false]);
    pool.setAdmin(a, "ready", said, 3);
    expect(a.isEligible).toBe(true);
    pool.setWeight(a, { kind: "weight", weight: 7 }, terms(), 4);
    pool.setLimit(a, 0, terms(), 4);
    expect([a.weight, a.row.limit]).toEqual([7, 0]);
    pool.setWeight(a, undefined, terms(), 5);
    pool.setLimit(a, undefined, terms(), 5);
    expect([a.weight, a.row.limit]).toEqual([2, 2]);
    pool.setLimit(a, undefined, said, 6);
    expect(a.row.limit).toBe(9);
  });

  it("end on time, and tick says when", () => {
    const pool = newPool();
    apply(pool, [endpoint("a", { weight: 4 })]);
    const a = backendNamed(pool, "a");
    pool.setWeight(a, { kind: "percent", percent: 50 }, terms(100), 0);
    pool.setAdmin(a, "drain", terms(200), 0);
    pool.setDrainDeadline(a, 150);
    expect([a.weight, a.isEligible]).toEqual([2, false]);
    expect(pool.tick(99)).toBe(100);
    expect(a.weight).toBe(2);
    expect(pool.tick(100)).toBe(150);
    expect(a.weight).toBe(4);
    expect(pool.tick(150)).toBe(200);
    expect(pool.tick(199)).toBe(200);
    expect(a.isEligible).toBe(false);
    expect(pool.tick(200)).toBe(Number.POSITIVE_INFINITY);
    expect(a.isEligible).toBe(true);
  });

  it("wait a day for a backend that is away, also when it was overridden while leaving", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    apply(pool, [], 1);
    pool.setAdmin(lease.backend, "maint", terms(), 10);
    lease.release("success", 200, 11);
    expect(pool.tick(12)).toBe(10 + ABSENT_OVERRIDE_MS);
    apply(pool, [endpoint("a", { port: 9 })], 13);
    expect(backendNamed(pool, "a").facts.admin.state).toBe("maint");
    expect(pool.tick(14)).toBe(Number.POSITIVE_INFINITY);
    apply(pool, [], 20);
    pool.tick(20 + ABSENT_OVERRIDE_MS);
    apply(pool, [endpoint("a")], 30 + ABSENT_OVERRIDE_MS);
    expect(backendNamed(pool, "a").isEligible).toBe(true);
  });
});

describe("a pool's detection", () => {
  it("ejects at the threshold, returns exactly on time, and stays away longer the second time", () => {
    const pool = newPool({ outlier: OUTLIER });
    apply(pool, [endpoint("a"), endpoint("b")]);
    const a = backendNamed(pool, "a");
    fail(pool, "a", 2, 0);
    expect(a.isEligible).toBe(true);
    fail(pool, "a", 1, 0);
    expect([a.isEligible, a.facts.detection.why]).toEqual([false, "consecutive-5xx"]);
    expect(pool.tick(4_999)).toBe(5_000);
    expect(a.isEligible).toBe(false);
    pool.tick(5_000);
    expect(a.isEligible).toBe(true);
    fail(pool, "a", 3, 5_500);
    pool.tick(15_499);
    expect(a.monitor.ejectedUntilMs).toBe(15_500);
    pool.tick(15_500);
    expect(a.isEligible).toBe(true);
    expect([pool.total("ejectionsDetected"), pool.total("ejectionsEnforced")]).toEqual([2, 2]);
  });

  it("forgets an ejection after an interval of good conduct", () => {
    const pool = newPool({ outlier: OUTLIER });
    apply(pool, [endpoint("a"), endpoint("b")]);
    fail(pool, "a", 3, 0);
    pool.tick(5_000);
    expect(pool.tick(5_999)).toBe(6_000);
    expect(pool.tick(6_000)).toBe(Number.POSITIVE_INFINITY);
    fail(pool, "a", 3, 7_000);
    expect(backendNamed(pool, "a").monitor.ejectedUntilMs).toBe(12_000);
  });

  it("never takes the last usable backend, and counts what it held back", () => {
    const pool = newPool({ outlier: { ...OUTLIER, maxEjectionPercent: 100 } });
    apply(pool, [endpoint("a"), endpoint("b")]);
    const heard = typesHeard(pool);
    fail(pool, "a", 3, 0);
    fail(pool, "b", 9, 1);
    expect(backendNamed(pool, "b").isEligible).toBe(true);
    expect(pool.total("ejectionsOverflowed")).toBe(3);
    expect(heard).toEqual(["state-changed a", ...Array(3).fill("ejection-overflowed b")]);
  });

  it("is off without options, though the operator may eject, the last one too", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    fail(pool, "a", 50, 0);
    const a = backendNamed(pool, "a");
    expect([a.isEligible, pool.total("ejectionsDetected")]).toEqual([true, 0]);
    pool.eject(a, undefined, "by hand", 0);
    expect([a.isEligible, pool.tick(0)]).toEqual([false, 30_000]);
    pool.tick(30_000);
    expect(a.isEligible).toBe(true);
  });
});

describe("a pool's queue", () => {
  function waitIn(pool: Pool, name: string, granted: string[]) {
    return pool.enqueue(
      waiter((lease) => granted.push(`${name} ${lease.backend.endpoint.id}`)),
      0,
    );
  }

  it("hands a freed slot to who has waited longest, and none to newcomers", () => {
    const pool = newPool({ maxInFlightPerBackend: 1, maxQueue: 2 });
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    expect(pool.acquire([], 0)).toBeUndefined();
    expect(pool.refusal()).toBe("all-full");
    const granted: string[] = [];
    waitIn(pool, "first", granted)?.cancel();
    waitIn(pool, "second", granted);
    waitIn(pool, "third", granted);
    expect(waitIn(pool, "fourth", granted)).toBeUndefined();
    lease.release("success", 200, 1);
    expect(granted).toEqual(["second a"]);
    expect([pool.total("queued"), pool.total("refusedQueueFull"), pool.queue.length]).toEqual([3, 1, 1]);
  });

  it.each([
    ["joins", (pool: Pool) => apply(pool, [endpoint("a"), endpoint("b"), endpoint("c")])],
    ["passes its check", (pool: Pool) => pool.setCheck(backendNamed(pool, "b"), "up", "", 0)],
    ["is made ready", (pool: Pool) => pool.setAdmin(backendNamed(pool, "c0"), "ready", terms(), 0)],
    ["gets a weight", (pool: Pool) => pool.setWeight(backendNamed(pool, "d0"), undefined, terms(), 0)],
    ["is taken back from ejection", (pool: Pool) => pool.unEject(backendNamed(pool, "e0"), "", 0)],
    ["has served its ejection", (pool: Pool) => pool.tick(1_000)],
  ])("is served when a backend %s", (_what, act) => {
    const pool = newPool({ maxInFlightPerBackend: 1 });
    apply(
      pool,
      ["a", "b", "c0", "d0", "e0"].map((id) => endpoint(id)),
    );
    pool.setCheck(backendNamed(pool, "b"), "down", "", 0);
    pool.setAdmin(backendNamed(pool, "c0"), "drain", terms(), 0);
    pool.setWeight(backendNamed(pool, "d0"), { kind: "weight", weight: 0 }, terms(), 0);
    pool.eject(backendNamed(pool, "e0"), 1_000, "", 0);
    mustAcquire(pool);
    const granted: string[] = [];
    waitIn(pool, "waiter", granted);
    act(pool);
    expect(granted).toHaveLength(1);
  });

  it("survives a waiter that throws: its slot is free again and the next gets it", () => {
    const broken: string[] = [];
    const pool = newPool({ maxInFlightPerBackend: 1, onInvariantBroken: (what) => broken.push(what) });
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    pool.enqueue(
      waiter(() => {
        throw new Error("oh");
      }),
      0,
    );
    const granted: string[] = [];
    waitIn(pool, "next", granted);
    lease.release("success", 200, 0);
    expect(granted).toEqual(["next a"]);
    expect(broken).toEqual(["pool web: a waiter failed on its slot: Error: oh"]);
    expect(pool.inFlight).toBe(1);
  });

  it("keeps its order when a waiter gives its slot back in the same breath", () => {
    const pool = newPool({ maxInFlightPerBackend: 1 });
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    const granted: number[] = [];
    for (const turn of [1, 2, 3]) {
      pool.enqueue(
        waiter((slot) => {
          granted.push(turn);
          // A newcomer in the middle of it all must not overtake.
          slot.release("success", 200, 0);
          if (turn < 3) expect(pool.acquire([], 0)).toBeUndefined();
        }),
        0,
      );
    }
    lease.release("success", 200, 0);
    expect(granted).toEqual([1, 2, 3]);
    expect(pool.inFlight).toBe(0);
  });
});

describe("a pool's listeners", () => {
  it("find the pool whole: what is told as ineligible is not picked", () => {
    const pool = newPool();
    apply(pool, [endpoint("a"), endpoint("b")]);
    const picked: (string | undefined)[] = [];
    pool.subscribe((event) => {
      if (event.type !== "weight-changed" && event.type !== "state-changed") return;
      for (let each = 0; each < 4; each++) picked.push(pool.acquire([], 0)?.backend.endpoint.id);
    });
    pool.setWeight(backendNamed(pool, "a"), { kind: "weight", weight: 0 }, terms(), 0);
    pool.setAdmin(backendNamed(pool, "b"), "drain", terms(), 0);
    expect(picked).toEqual(["b", "b", "b", "b", undefined, undefined, undefined, undefined]);
  });

  it("may put another list in force, which wins", () => {
    const pool = newPool();
    let isFirst = true;
    pool.subscribe((event) => {
      if (event.type !== "backend-added" || !isFirst) return;
      isFirst = false;
      apply(pool, [endpoint("z")], 1);
    });
    apply(pool, [endpoint("a"), endpoint("b")], 0);
    expect(ids(pool)).toEqual(["z"]);
  });

  it("may cut leases at the drain deadline, and the backend is gone in the same tick", () => {
    const pool = newPool({ drainDeadlineMs: 10, balancer: () => new RoundRobin() });
    apply(pool, [endpoint("a"), endpoint("b")]);
    const leases: Lease[] = Array.from({ length: 6 }, () => mustAcquire(pool));
    pool.subscribe((event: PoolEvent, nowMs) => {
      if (event.type !== "drain-deadline") return;
      for (const lease of leases) if (lease.backend === event.backend) lease.release("ignored", 0, nowMs);
    });
    apply(pool, [], 0);
    expect(pool.tick(10)).toBe(Number.POSITIVE_INFINITY);
    expect([pool.size, pool.total("served"), pool.total("ignored")]).toEqual([0, 6, 6]);
  });

  it("wake whoever ticks when something may be due earlier", () => {
    const pool = newPool();
    let woken = 0;
    pool.onDueChanged(() => woken++);
    apply(pool, [endpoint("a")]);
    const counts = [woken];
    const a = backendNamed(pool, "a");
    for (const act of [
      () => pool.setWeight(a, { kind: "weight", weight: 2 }, terms(5), 0),
      () => pool.setAdmin(a, "drain", terms(5), 0),
      () => pool.setDrainDeadline(a, 7),
      () => pool.eject(a, 9, "", 0),
      () => pool.unEject(a, "", 0),
    ]) {
      act();
      counts.push(woken);
    }
    expect(counts).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe("a lease", () => {
  it("counts its outcome and status once, and reports a second release", () => {
    const broken: string[] = [];
    const pool = newPool({ onInvariantBroken: (what) => broken.push(what) });
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool, 3);
    expect([lease.isOpen, lease.takenMs, lease.backend.lastUsedMs]).toEqual([true, 3, 3]);
    lease.release("server-error", 503, 4);
    lease.release("success", 200, 5);
    expect(broken).toEqual(["pool web: a lease on test/a@10.0.0.1:80 was released twice"]);
    expect([pool.total("serverError"), pool.total("success"), pool.total("status5xx")]).toEqual([1, 0, 1]);
    expect([pool.inFlight, lease.isOpen]).toEqual([0, false]);
  });
});
