import { describe, expect, it } from "vitest";
import { AdaptiveLimit, type AdaptiveLimitOptions } from "../../../src/core/adaptive-limit.js";
import { apply, backendNamed, endpoint, mustAcquire, newPool, waiter } from "../../support/pool-fixture.js";

const OPTIONS: AdaptiveLimitOptions = {
  minLimit: 4,
  maxLimit: 100,
  intervalMs: 100,
  minSamples: 10,
  percentile: 50,
  bufferPercent: 25,
  minDifferenceMs: 2,
  minRttIntervalMs: 10_000,
  minRttJitterPercent: 20,
  minRttSamples: 10,
};

/** One limit, and a clock that its answers move. */
class Scene {
  readonly limit = new AdaptiveLimit(() => 0.5);
  nowMs = 0;

  get now(): number {
    return this.limit.limit(OPTIONS);
  }

  /** So many answers, one every 10 ms, each taken as long as it lasted before. */
  answer(count: number, ms: number, inFlight?: number): this {
    for (let index = 0; index < count; index++) {
      this.nowMs += 10;
      this.limit.answered(OPTIONS, ms, this.nowMs - ms, inFlight ?? this.now, this.nowMs);
    }
    return this;
  }
}

describe("a limit that follows latency", () => {
  it("is the least until the latency at little load is known, then grows by the root of what it is", () => {
    const scene = new Scene();
    scene.answer(9, 10);
    expect([scene.now, scene.limit.isMeasuring, scene.limit.minRttMs]).toEqual([4, true, undefined]);
    scene.answer(1, 10);
    expect([scene.now, scene.limit.isMeasuring]).toEqual([4, false]);
    // Right within 5%.
    expect(Math.abs((scene.limit.minRttMs ?? 0) - 10)).toBeLessThan(0.5);
    scene.answer(11, 10);
    // 4 x 1.25 + root of 5.
    expect(scene.now).toBe(7);
    expect(scene.limit.sampleMs).toBe(scene.limit.minRttMs);
  });

  it("falls by half at most, and never below the least", () => {
    const scene = new Scene().answer(100, 10);
    const before = scene.now;
    expect(before).toBeGreaterThan(20);
    // Three times the latency of each interval at least, and 10 that began in it.
    while (scene.now >= before) scene.answer(1, 80);
    expect(scene.now).toBe(Math.floor(before / 2 + Math.sqrt(before / 2)));
    for (let ms = 160; ms < 3_000; ms *= 2) scene.answer(60, ms);
    expect(scene.now).toBeGreaterThanOrEqual(4);
  });

  it("stays while less than half of it is used, whatever the latency", () => {
    const scene = new Scene().answer(60, 10);
    const { now } = scene;
    scene.answer(100, 90, now / 2 - 1);
    expect(scene.now).toBe(now);
    scene.answer(100, 10, now / 2 - 1);
    expect(scene.now).toBe(now);
  });

  it("is halved while the latency at little load is measured, at its time and up to a jitter later", () => {
    const scene = new Scene().answer(10, 10);
    while (!scene.limit.isMeasuring) scene.answer(1, 10);
    // The first ended at 100; half of the jitter of a fifth.
    expect(scene.nowMs).toBeGreaterThanOrEqual(100 + 11_000);
    expect(scene.nowMs).toBeLessThan(100 + 11_200);
    expect(scene.now).toBe(50);
    scene.answer(12, 20);
    expect([scene.now, scene.limit.isMeasuring]).toEqual([100, false]);
    expect(Math.abs((scene.limit.minRttMs ?? 0) - 20)).toBeLessThan(1);
  });

  it("gives a measurement up after a tenth of the time between two, and keeps what it knew", () => {
    const scene = new Scene().answer(10, 10);
    while (!scene.limit.isMeasuring) scene.answer(1, 10);
    const untilMs = scene.nowMs + 1_000;
    expect(scene.limit.givesUpMs(OPTIONS)).toBe(untilMs);
    scene.limit.giveUp(OPTIONS, untilMs - 1);
    expect(scene.limit.isMeasuring).toBe(true);
    scene.limit.giveUp(OPTIONS, untilMs);
    expect([scene.limit.isMeasuring, scene.now]).toEqual([false, 100]);
    expect(Math.abs((scene.limit.minRttMs ?? 0) - 10)).toBeLessThan(0.5);
  });

  it("takes a backend for slower where giving it less does not help", () => {
    const scene = new Scene().answer(60, 10);
    scene.answer(200, 50);
    expect(Math.abs((scene.limit.minRttMs ?? 0) - 50)).toBeLessThan(2.5);
    expect(scene.now).toBeGreaterThan(4);
  });

  it("takes a backend for faster where answers come far below the latency at little load", () => {
    const scene = new Scene().answer(30, 100);
    while (scene.limit.minRttMs === undefined) scene.answer(1, 100);
    const { now } = scene;
    scene.answer(11, 10);
    // Far below there is nothing to go by yet.
    expect(scene.now).toBe(now);
    scene.answer(60, 10);
    expect(Math.abs((scene.limit.minRttMs ?? 0) - 10)).toBeLessThan(0.5);
  });

  it("counts who left after more than is well, and not who left before", () => {
    const scene = new Scene().answer(60, 10);
    const { now } = scene;
    const leave = (ms: number) => {
      for (let index = 0; index < 60; index++) {
        scene.nowMs += 10;
        scene.limit.abandoned(OPTIONS, ms, scene.nowMs - ms, scene.now, scene.nowMs);
      }
    };
    leave(12);
    expect(scene.now).toBe(now);
    leave(60);
    expect(scene.now).toBeLessThan(now);
  });
});

describe("a pool whose limits follow latency", () => {
  it("queues beyond them, and forgets them where they are switched off", () => {
    const pool = newPool({ adaptiveLimit: OPTIONS, maxQueue: 1 });
    apply(pool, [endpoint("a")]);
    const { row } = backendNamed(pool, "a");
    const leases = Array.from({ length: 4 }, () => mustAcquire(pool));
    expect(pool.acquire([], 0)).toBeUndefined();
    expect(pool.refusal()).toBe("all-full");
    expect(
      pool.enqueue(
        waiter((lease) => leases.push(lease)),
        0,
      ),
    ).toBeDefined();
    expect(
      pool.enqueue(
        waiter(() => {}),
        0,
      ),
    ).toBeUndefined();
    expect(row.limit).toBe(4);
    pool.reconfigure({ ...pool.options, adaptiveLimit: undefined }, 1);
    expect([row.limit, leases.length, backendNamed(pool, "a").adaptive]).toEqual([0, 5, undefined]);
  });

  it("learn from answers and timeouts, and from no other failure", () => {
    const rare = { ...OPTIONS, minRttIntervalMs: 600_000 };
    const pool = newPool({ adaptiveLimit: rare, maxInFlightPerBackend: 6 });
    apply(pool, [endpoint("a")]);
    const backend = backendNamed(pool, "a");
    let nowMs = 0;
    const settle = (outcome: "success" | "timeout" | "server-error" | "reset", ms: number) => {
      const leases = Array.from({ length: backend.row.limit }, () => mustAcquire(pool, nowMs));
      nowMs += ms;
      for (const lease of leases) {
        if (outcome !== "timeout") lease.latencyMs = ms;
        lease.release(outcome, outcome === "timeout" ? 0 : outcome === "success" ? 200 : 500, nowMs);
      }
    };
    for (let round = 0; round < 60; round++) settle("success", 10);
    // The configured limit is the most.
    expect(backend.row.limit).toBe(6);
    for (let round = 0; round < 60; round++) settle("server-error", 500);
    for (let round = 0; round < 60; round++) settle("reset", 1);
    expect(backend.row.limit).toBe(6);
    const learnt = backend.adaptive?.limit(OPTIONS) ?? 0;
    for (let round = 0; round < 12; round++) settle("timeout", 500);
    expect(backend.adaptive?.limit(OPTIONS)).toBeLessThan(learnt);
  });

  it("lift the half of a measurement on time, though nothing comes back meanwhile", () => {
    const pool = newPool({ adaptiveLimit: OPTIONS });
    let dueMs = 0;
    pool.onDueChanged(() => {
      dueMs = pool.tick(nowMs);
    });
    let nowMs = 0;
    apply(pool, [endpoint("a")]);
    const backend = backendNamed(pool, "a");
    const round = () => {
      const leases = Array.from({ length: backend.row.limit }, () => mustAcquire(pool, nowMs));
      nowMs += 10;
      for (const lease of leases) {
        lease.latencyMs = 10;
        lease.release("success", 200, nowMs);
      }
    };
    for (let rounds = 0; rounds < 60; rounds++) round();
    while (backend.adaptive?.isMeasuring === false) round();
    expect(backend.row.limit).toBe(50);
    expect(dueMs).toBe(nowMs + 1_000);
    pool.tick(dueMs);
    expect(backend.row.limit).toBe(100);
  });
});
