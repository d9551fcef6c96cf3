import { describe, expect, it } from "vitest";
import { QueueingWorld, quantileOf } from "./queueing-world.js";

const SEEDS = Array.from({ length: 6 }, (_, index) => 900 + index);

describe("a limit that follows latency, before a server with a queue of its own", () => {
  it.each(SEEDS)("finds the knee under overload and loses no throughput, with seed %i", (seed) => {
    for (const [workers, serviceMs] of [
      [4, 10],
      [20, 10],
      [50, 40],
    ] as const) {
      const world = new QueueingWorld(seed, [{ workers, serviceMs, isErratic: seed % 2 === 0 }]);
      world.rate = (1.5 * workers * 1_000) / serviceMs;
      world.pass(10_000);
      const { latencies, limits, came, refused } = world.pass(30_000);
      // What the server could have done, less a measurement at half of the limit.
      expect(latencies.length).toBeGreaterThan(0.93 * 30 * workers * (1_000 / serviceMs));
      expect(quantileOf(limits, 0.5)).toBeGreaterThanOrEqual(workers);
      // Without a limit all of the queue would lie in the server.
      expect(quantileOf(limits, 0.5)).toBeLessThan(3 * workers + 5);
      expect(refused / came).toBeLessThan(0.45);
    }
  });

  it.each(SEEDS)("does not collapse on erratic times below capacity, with seed %i", (seed) => {
    const world = new QueueingWorld(seed, [{ workers: 20, serviceMs: 10, isErratic: true }]);
    world.rate = 1_600;
    world.pass(5_000);
    const { latencies, came, refused, waits } = world.pass(60_000);
    expect(refused).toBe(0);
    expect(latencies.length).toBeGreaterThan(0.99 * came);
    expect(quantileOf(waits, 0.5)).toBeLessThan(12);
  });

  it("does not collapse on little traffic, and lets a burst pass after it", () => {
    const world = new QueueingWorld(1, [{ workers: 20, serviceMs: 10, isErratic: true }]);
    world.rate = 1_000;
    const before = quantileOf(world.pass(10_000).limits, 0.99);
    world.rate = 5;
    expect(world.pass(300_000).refused).toBe(0);
    world.rate = 1_000;
    const burst = world.pass(2_000);
    expect(burst.refused).toBe(0);
    expect(Math.max(...burst.limits)).toBeGreaterThanOrEqual(before / 2);
  });

  it.each([0.5, 1.3])("serves a slow phase at what is left, and recovers after it, at load %f", (load) => {
    const server = { workers: 20, serviceMs: 10, isErratic: false };
    const world = new QueueingWorld(3, [server]);
    world.rate = load * 2_000;
    world.pass(20_000);
    server.serviceMs = 100;
    world.pass(5_000);
    // 200 per second is all that it can do now.
    expect(world.pass(10_000).latencies.length).toBeGreaterThan(0.9 * 10 * 200);
    server.serviceMs = 10;
    world.pass(15_000);
    const after = world.pass(5_000);
    expect(after.latencies.length).toBeGreaterThan(0.95 * 5 * Math.min(world.rate, 2_000));
    expect(quantileOf(after.latencies, 0.5)).toBeLessThan(25);
  });

  it("bounds the slow one of three and leaves the others their work", () => {
    const slow = { workers: 4, serviceMs: 10, isErratic: false };
    const well = () => ({ workers: 20, serviceMs: 10, isErratic: false });
    const world = new QueueingWorld(5, [well(), well(), slow]);
    world.rate = 3_500;
    world.pass(10_000);
    const { latencies, refused } = world.pass(20_000);
    expect(refused).toBe(0);
    expect(latencies.length).toBeGreaterThan(0.98 * 20 * 3_500);
    expect([...world.pool.backends()][2]?.row.limit).toBeLessThan(20);
  });

  it("keeps below a configured limit", () => {
    const world = new QueueingWorld(5, [{ workers: 20, serviceMs: 10, isErratic: false }], {
      maxInFlightPerBackend: 8,
    });
    world.rate = 1_500;
    expect(Math.max(...world.pass(10_000).limits)).toBe(8);
  });
});
