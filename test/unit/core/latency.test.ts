import { describe, expect, it } from "vitest";
import { type LatencyOptions, latencyLimit } from "../../../src/core/latency.js";
import { LatencySketch } from "../../../src/core/latency-sketch.js";
import type { Pool } from "../../../src/core/pool.js";
import { apply, backendNamed, endpoint, newPool, OUTLIER, terms } from "../../support/pool-fixture.js";
import { seededRandom } from "../../support/seeded-random.js";

const OPTIONS: LatencyOptions = {
  percentile: 90,
  factor: 3,
  deviations: 3,
  minDifferenceMs: 25,
  requestVolume: 30,
  minWeightPercent: 10,
  intervalMs: 1_000,
};

describe("a sketch of times", () => {
  it("has quantiles within a tenth of the true ones, from tenths of milliseconds to hours", () => {
    const random = seededRandom(5);
    for (const scale of [0.2, 5, 300, 60_000, 3_600_000]) {
      const sketch = new LatencySketch();
      const times = Array.from({ length: 2_000 }, () => scale * (0.5 + random()));
      for (const ms of times) sketch.record(ms);
      times.sort((a, b) => a - b);
      for (const share of [0.5, 0.9, 0.99]) {
        const exact = times[Math.ceil(share * times.length) - 1] ?? 0;
        expect((sketch.quantile(share) ?? 0) / exact).toBeGreaterThan(0.93);
        expect((sketch.quantile(share) ?? 0) / exact).toBeLessThan(1.07);
      }
    }
  });

  it("takes nothing for nothing, and what is beyond its range for its ends", () => {
    const sketch = new LatencySketch();
    expect(sketch.quantile(0.9)).toBeUndefined();
    sketch.record(0);
    expect(sketch.quantile(1)).toBe(0.05);
    sketch.record(1e12);
    expect(sketch.quantile(1)).toBeGreaterThan(8e6);
  });

  it("forgets: after some decays the new times rule, and after many nothing is left", () => {
    const sketch = new LatencySketch();
    for (let index = 0; index < 100; index++) sketch.record(500);
    for (let interval = 0; interval < 4; interval++) {
      sketch.decay(0.5);
      for (let index = 0; index < 100; index++) sketch.record(5);
    }
    expect(sketch.quantile(0.9)).toBeLessThan(6);
    for (let interval = 0; interval < 30; interval++) sketch.decay(0.5);
    expect([sketch.total, sketch.quantile(0.9)]).toEqual([0, undefined]);
  });
});

describe("the limit of slowness", () => {
  it.each([
    { others: [], limit: undefined, why: "nobody to compare with" },
    { others: [10], limit: 35, why: "of two the other one; 25 ms more is more than three times" },
    { others: [100], limit: 300, why: "three times the other one" },
    { others: [100, 100, 100, 900], limit: 300, why: "one that is slow does not draw the median up" },
    { others: [100, 180, 260], limit: 180 * 3, why: "the factor is more than the spread" },
    { others: [1, 100, 199], limit: 100 + 3 * 1.4826 * 99, why: "the spread is more than the factor" },
  ])("of $others is $limit: $why", ({ others, limit }) => {
    const found = latencyLimit(others, OPTIONS)?.ms;
    if (limit === undefined) expect(found).toBeUndefined();
    else expect(found).toBeCloseTo(limit, 6);
  });
});

function poolOf(size: number, latency: LatencyOptions | undefined = OPTIONS): Pool {
  const pool = newPool({ outlier: { ...OUTLIER, latency } });
  apply(
    pool,
    Array.from({ length: size }, (_, index) => endpoint(`e${index}`, { weight: 16 })),
  );
  return pool;
}

/** In each interval of a second every backend answers so often, after so long; then the comparison is due. */
function pass(
  pool: Pool,
  intervals: number,
  fromMs: number,
  times: Readonly<Record<string, number>>,
  each = 50,
): number {
  let nowMs = fromMs;
  for (let interval = 0; interval < intervals; interval++) {
    for (const [id, ms] of Object.entries(times)) {
      const others = [...pool.backends()].filter((backend) => backend.endpoint.id !== id);
      for (let request = 0; request < each; request++) {
        const lease = pool.acquire(others, nowMs);
        if (lease?.backend.endpoint.id !== id) throw new Error(`${id} was not to be had`);
        lease.latencyMs = ms;
        lease.release("success", 200, nowMs);
      }
    }
    nowMs += 1_000;
    pool.tick(nowMs);
  }
  return nowMs;
}

const shareOf = (pool: Pool, id: string): number => backendNamed(pool, id).demotion;

describe("a slow backend", () => {
  it.each([2, 3, 5, 20])(
    "among %i loses half of its weight from the second comparison on, down to the floor",
    (size) => {
      const pool = poolOf(size);
      const times = Object.fromEntries(Array.from({ length: size }, (_, index) => [`e${index}`, 10]));
      let nowMs = pass(pool, 2, 0, times);
      expect(shareOf(pool, "e0")).toBe(1);
      const shares: number[] = [];
      for (let interval = 0; interval < 5; interval++) {
        nowMs = pass(pool, 1, nowMs, { ...times, e0: 100 });
        shares.push(shareOf(pool, "e0"));
      }
      expect(shares).toEqual([1, 0.5, 0.25, 0.125, 0.1]);
      const { row, facts } = backendNamed(pool, "e0");
      expect([row.weight16, facts.detection.state]).toEqual([26, "active"]);
      expect([...pool.backends()].filter(({ demotion }) => demotion < 1)).toHaveLength(1);
    },
  );

  it("gets its weight back by doubling once it is fast again", () => {
    const pool = poolOf(3);
    let nowMs = pass(pool, 5, 0, { e0: 200, e1: 10, e2: 10 });
    const shares: number[] = [];
    for (let interval = 0; interval < 9; interval++) {
      nowMs = pass(pool, 1, nowMs, { e0: 10, e1: 10, e2: 10 });
      shares.push(shareOf(pool, "e0"));
    }
    expect(shares).toEqual([0.2, 0.4, 0.8, 1, 1, 1, 1, 1, 1]);
    expect(backendNamed(pool, "e0").latency).toMatchObject({ demotedSinceMs: undefined, why: "" });
  });

  it("gets it back when too little is known, so that nobody stays demoted for lack of requests", () => {
    const pool = poolOf(2);
    const nowMs = pass(pool, 5, 0, { e0: 200, e1: 10 });
    pass(pool, 9, nowMs, { e1: 10 });
    expect(shareOf(pool, "e0")).toBe(1);
  });

  it("gets it back when all traffic ends, and then nothing is due any more", () => {
    const pool = poolOf(2);
    let nowMs = pass(pool, 5, 0, { e0: 200, e1: 10 });
    for (let due = pool.tick(nowMs); due < Number.POSITIVE_INFINITY; due = pool.tick(nowMs)) nowMs = due;
    expect(shareOf(pool, "e0")).toBe(1);
    expect(nowMs).toBeLessThan(60_000);
  });

  it.each([
    { times: { e0: 29, e1: 10, e2: 10 }, why: "less than 25 ms slower" },
    { times: { e0: 250, e1: 100, e2: 100 }, why: "less than three times as slow" },
    { times: { e0: 200, e1: 200, e2: 200 }, why: "all are slow" },
    { times: { e0: 200 }, why: "nobody else is known" },
  ])("is none while $why", ({ times }) => {
    const pool = poolOf(3);
    pass(pool, 5, 0, times as unknown as Record<string, number>);
    expect([...pool.backends()].map(({ demotion }) => demotion)).toEqual([1, 1, 1]);
  });

  it("is none before there are enough answers", () => {
    const pool = poolOf(2);
    pass(pool, 2, 0, { e0: 300, e1: 10 }, 16);
    expect(shareOf(pool, "e0")).toBe(1);
  });

  it("is found where each interval holds too little, by what is remembered of several", () => {
    const pool = poolOf(2);
    const nowMs = pass(pool, 12, 0, { e0: 300, e1: 10 }, 10);
    expect(shareOf(pool, "e0")).toBe(0.1);
    pass(pool, 30, nowMs, { e0: 10, e1: 10 }, 10);
    expect(shareOf(pool, "e0")).toBe(1);
  });

  it("is none for one bad interval between good ones", () => {
    const pool = poolOf(2);
    let nowMs = 0;
    for (let round = 0; round < 5; round++) {
      nowMs = pass(pool, 1, nowMs, { e0: 300, e1: 10 });
      expect(shareOf(pool, "e0")).toBe(1);
      nowMs = pass(pool, 1, nowMs, { e0: 10, e1: 10 });
    }
  });

  it("neither sinks nor rises between the limit and three quarters of it", () => {
    const pool = poolOf(3);
    const nowMs = pass(pool, 2, 0, { e0: 400, e1: 100, e2: 100 });
    expect(shareOf(pool, "e0")).toBe(0.5);
    pass(pool, 8, nowMs, { e0: 265, e1: 100, e2: 100 });
    expect(shareOf(pool, "e0")).toBe(0.5);
  });

  it("keeps its share under an operator's weight and beside a slow start", () => {
    const pool = poolOf(3);
    pass(pool, 2, 0, { e0: 300, e1: 10, e2: 10 });
    const backend = backendNamed(pool, "e0");
    pool.setWeight(backend, { kind: "weight", weight: 100 }, terms(), 1_000);
    expect(backend.weight).toBe(50);
  });

  it("is told of in words", () => {
    const pool = poolOf(2);
    const told: string[] = [];
    pool.subscribe((event) => {
      if (event.type === "weight-changed") told.push(`${event.from} to ${event.to}, ${event.why}`);
    });
    let nowMs = pass(pool, 2, 0, { e0: 300, e1: 9 });
    nowMs = pass(pool, 9, nowMs, { e0: 9, e1: 9 });
    expect(told[0]).toMatch(/^16 to 8, slow: p90 (29\d|30\d|31\d) ms, the others \d(\.\d)? ms$/);
    expect(told.at(-1)).toMatch(/^8 to 16, recovering: p90 \d(\.\d)? ms$/);
  });

  it("has its weight back at once when the comparison is switched off", () => {
    const pool = poolOf(2);
    const nowMs = pass(pool, 3, 0, { e0: 300, e1: 10 });
    pool.reconfigure({ ...pool.options, outlier: { ...OUTLIER, latency: undefined } }, nowMs);
    pool.tick(nowMs);
    expect(shareOf(pool, "e0")).toBe(1);
  });
});
