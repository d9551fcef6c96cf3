import { describe, expect, it } from "vitest";
import type { Pool } from "../../../src/core/pool.js";
import type { PoolOptions } from "../../../src/core/pool-options.js";
import { rampedLimit, rampShare, type SlowStartOptions, stepAtMs } from "../../../src/core/slow-start.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  terms,
  waiter,
} from "../../support/pool-fixture.js";

const LINEAR: SlowStartOptions = { windowMs: 16_000, aggression: 1, minPercent: 0 };

/** Three that have been there since the start, and slow start. */
function scene(slowStart: SlowStartOptions | undefined = LINEAR, changes: Partial<PoolOptions> = {}): Pool {
  const pool = newPool({ slowStart, ...changes });
  apply(pool, three(), 0);
  return pool;
}

function three(weight = 16): ReturnType<typeof endpoint>[] {
  return ["a", "b", "c"].map((id) => endpoint(id, { weight }));
}

/** Ramp and weight in sixteenths after a tick at each of these times. */
function rampOf(pool: Pool, id: string, times: readonly number[]): (readonly [number, number])[] {
  return times.map((nowMs) => {
    pool.tick(nowMs);
    const backend = backendNamed(pool, id);
    return [backend.ramp * 16, backend.row.weight16] as const;
  });
}

describe("the ramp", () => {
  it("is HAProxy's with aggression 1: floor((16 * elapsed + window) / window) sixteenths", () => {
    const pool = scene();
    const backend = backendNamed(pool, "a");
    pool.setCheck(backend, "up", "", 0);
    pool.setCheck(backend, "down", "", 1_000);
    pool.setCheck(backend, "up", "", 2_000);
    for (let elapsed = 0; elapsed <= 16_000; elapsed += 250) {
      pool.tick(2_000 + elapsed);
      const eweight = Math.min(16, Math.floor((16 * elapsed + 16_000) / 16_000));
      expect([elapsed, backend.ramp * 16, backend.row.weight16]).toEqual([elapsed, eweight, eweight * 16]);
    }
  });

  it("follows Envoy's curve at its steps: (elapsed / window) ^ (1 / aggression)", () => {
    for (const aggression of [0.5, 1, 2, 5]) {
      const options = { windowMs: 60_000, aggression, minPercent: 10 };
      for (let step = 1; step < 16; step++) {
        const elapsed = stepAtMs(options, step, 0);
        expect((elapsed / options.windowMs) ** (1 / aggression)).toBeCloseTo(step / 16, 10);
      }
    }
  });

  it("grants the least share from the start, and never less than a sixteenth", () => {
    expect(rampShare({ ...LINEAR, minPercent: 10 }, 0)).toBe(0.1);
    expect(rampShare({ ...LINEAR, minPercent: 10 }, 1)).toBe(2 / 16);
    expect(rampShare({ ...LINEAR, minPercent: 0 }, 0)).toBe(1 / 16);
    const pool = scene(LINEAR);
    apply(pool, [...three(1), endpoint("d", { weight: 1 })], 1_000);
    expect(backendNamed(pool, "d").row.weight16).toBe(1);
    pool.setWeight(backendNamed(pool, "d"), { kind: "percent", percent: 10 }, terms(), 1_000);
    expect(backendNamed(pool, "d").row.weight16).toBe(1);
  });

  it("answers when its next step is due, and takes it exactly then", () => {
    const pool = scene({ windowMs: 30_000, aggression: 1.7, minPercent: 0 });
    apply(pool, [...three(), endpoint("d", { weight: 16 })], 1_234.5);
    const backend = backendNamed(pool, "d");
    const steps: number[] = [];
    for (let due = pool.tick(1_234.5); due < Number.POSITIVE_INFINITY; due = pool.tick(due)) {
      pool.tick(due - 1e-6);
      expect(backend.ramp * 16).toBe(steps.length + 1);
      steps.push(due);
    }
    expect(steps).toHaveLength(15);
    expect([backend.ramp, backend.rampSinceMs, backend.row.weight16]).toEqual([1, undefined, 256]);
  });

  it("takes all steps that were missed at once", () => {
    const pool = scene();
    apply(pool, [...three(), endpoint("d", { weight: 16 })], 0);
    expect(rampOf(pool, "d", [0, 7_999, 8_000, 60_000])).toEqual([
      [1, 16],
      [8, 128],
      [9, 144],
      [16, 256],
    ]);
  });

  it("lies under an operator's weight, and leaves 0 at 0", () => {
    const pool = scene();
    apply(pool, [...three(), endpoint("d", { weight: 16 })], 0);
    const backend = backendNamed(pool, "d");
    pool.setWeight(backend, { kind: "weight", weight: 64 }, terms(), 0);
    expect(backend.row.weight16).toBe(64);
    pool.setWeight(backend, { kind: "weight", weight: 0 }, terms(), 0);
    expect([backend.row.weight16, backend.isEligible]).toEqual([0, false]);
  });

  it("counts under leastconn among the idle too", () => {
    const pool = scene();
    apply(pool, [...three(16), endpoint("d", { weight: 16 })], 0);
    let picks = 0;
    for (let request = 0; request < 490; request++) {
      const lease = mustAcquire(pool);
      if (lease.backend.endpoint.id === "d") picks++;
      lease.release("success", 200, 0);
    }
    // One of 49 sixteenths.
    expect(picks).toBe(10);
  });
});

describe("the limit of a backend that ramps", () => {
  it.each([
    [100, 1 / 16, 6],
    [10, 1 / 16, 1],
    [16, 0.5, 8],
    [16, 1, 16],
    [0, 1 / 16, 0],
  ])("of %i at a share of %d is %i", (limit, share, granted) => {
    expect(rampedLimit(limit, share)).toBe(granted);
  });

  it("grows with it, and whoever waits gets the slot at once", () => {
    const pool = newPool({ slowStart: LINEAR, maxInFlightPerBackend: 4 });
    apply(pool, [endpoint("a")], 0);
    const backend = backendNamed(pool, "a");
    pool.eject(backend, 1_000, "by hand", 0);
    pool.tick(1_000);
    expect(backend.row.limit).toBe(1);
    mustAcquire(pool, 1_000);
    let granted = 0;
    for (let count = 0; count < 2; count++)
      pool.enqueue(
        waiter(() => void granted++),
        1_000,
      );
    pool.tick(7_999);
    expect([backend.row.limit, granted]).toEqual([1, 0]);
    pool.tick(8_000);
    expect([backend.row.limit, granted]).toEqual([2, 1]);
    pool.tick(60_000);
    expect([backend.row.limit, granted]).toEqual([4, 2]);
  });
});

describe("slow start", () => {
  it.each([
    [
      "check down",
      (pool: Pool) => pool.setCheck(backendNamed(pool, "a"), "down", "", 1),
      (pool: Pool) => pool.setCheck(backendNamed(pool, "a"), "up", "", 2),
    ],
    [
      "maint",
      (pool: Pool) => pool.setAdmin(backendNamed(pool, "a"), "maint", terms(), 1),
      (pool: Pool) => pool.setAdmin(backendNamed(pool, "a"), "ready", terms(), 2),
    ],
    [
      "an ejection",
      (pool: Pool) => pool.eject(backendNamed(pool, "a"), undefined, "", 1),
      (pool: Pool) => pool.unEject(backendNamed(pool, "a"), "", 2),
    ],
    [
      "a critical status",
      (pool: Pool) => apply(pool, [endpoint("a", { weight: 16, admitted: false }), ...three().slice(1)], 1),
      (pool: Pool) => apply(pool, three(), 2),
    ],
  ])("follows %s", (_, stop, resume) => {
    const pool = scene();
    pool.setCheck(backendNamed(pool, "a"), "up", "", 0);
    const told: string[] = [];
    stop(pool);
    pool.subscribe((event) => {
      if (event.type === "weight-changed")
        told.push(`${event.from} to ${event.to}: ${event.why}, until ${event.untilMs}`);
    });
    resume(pool);
    const backend = backendNamed(pool, "a");
    expect([backend.ramp, backend.rampSinceMs, backend.rampUntilMs]).toEqual([1 / 16, 2, 15_002]);
    for (let nowMs = 2; nowMs <= 20_000; nowMs += 500) pool.tick(nowMs);
    expect(told).toEqual(["16 to 1: slow start, until 15002", "15 to 16: slow start over, until undefined"]);
  });

  it.each([
    [
      "a drain",
      (pool: Pool) => pool.setAdmin(backendNamed(pool, "a"), "drain", terms(), 1),
      (pool: Pool) => pool.setAdmin(backendNamed(pool, "a"), "ready", terms(), 2),
    ],
    [
      "a first verdict of down on one that never served",
      (pool: Pool) => pool.setCheck(backendNamed(pool, "a"), "down", "", 1),
      (pool: Pool) => pool.setCheck(backendNamed(pool, "a"), "up", "", 2),
    ],
  ])("does not follow %s", (_, stop, resume) => {
    const pool = scene();
    stop(pool);
    resume(pool);
    expect(backendNamed(pool, "a").ramp).toBe(1);
  });

  it("follows a first verdict of down on one that had served", () => {
    const pool = scene();
    for (const lease of [mustAcquire(pool), mustAcquire(pool), mustAcquire(pool)])
      lease.release("success", 200, 0);
    pool.setCheck(backendNamed(pool, "a"), "down", "", 1);
    pool.setCheck(backendNamed(pool, "a"), "up", "", 2);
    expect(backendNamed(pool, "a").ramp).toBe(1 / 16);
  });

  it("waits until every fact speaks for the backend", () => {
    const pool = scene();
    const backend = backendNamed(pool, "a");
    pool.setCheck(backend, "up", "", 0);
    pool.setCheck(backend, "down", "", 1);
    pool.setAdmin(backend, "drain", terms(), 2);
    pool.setCheck(backend, "up", "", 3);
    expect(backend.ramp).toBe(1);
    pool.setAdmin(backend, "ready", terms(), 50);
    expect([backend.ramp, backend.rampSinceMs]).toEqual([1 / 16, 50]);
  });

  it("begins anew when the backend falls out while it ramps", () => {
    const pool = scene();
    const backend = backendNamed(pool, "a");
    pool.setAdmin(backend, "maint", terms(), 0);
    pool.setAdmin(backend, "ready", terms(), 1);
    pool.tick(8_001);
    expect(backend.ramp).toBe(9 / 16);
    pool.setCheck(backend, "down", "", 9_000);
    pool.setCheck(backend, "up", "", 10_000);
    expect([backend.ramp, backend.rampSinceMs]).toEqual([1 / 16, 10_000]);
  });

  it.each([
    { listed: 3, fresh: 3, ramps: false, why: "the first list" },
    { listed: 3, fresh: 2, ramps: false, why: "most are new" },
    { listed: 4, fresh: 2, ramps: true, why: "half is not most" },
    { listed: 4, fresh: 1, ramps: true, why: "one joins" },
  ])("of $fresh new among $listed: $ramps, $why", ({ listed, fresh, ramps }) => {
    const pool = newPool({ slowStart: LINEAR });
    const old = Array.from({ length: listed - fresh }, (_, index) => endpoint(`old${index}`));
    const joining = Array.from({ length: fresh }, (_, index) => endpoint(`new${index}`));
    if (old.length > 0) apply(pool, old, 0);
    apply(pool, [...old, ...joining], 1_000);
    expect(joining.map(({ id }) => backendNamed(pool, id).ramp < 1)).toEqual(joining.map(() => ramps));
    expect(old.every(({ id }) => backendNamed(pool, id).ramp === 1)).toBe(true);
  });

  it("is spared those that return with most of a list, but not one of them that is still down", () => {
    const pool = scene();
    const backend = backendNamed(pool, "a");
    pool.setCheck(backend, "up", "", 0);
    pool.setCheck(backend, "down", "", 1);
    apply(
      pool,
      three().map((each) => ({ ...each, admitted: false })),
      2,
    );
    apply(pool, three(), 3);
    expect([backendNamed(pool, "b").ramp, backendNamed(pool, "c").ramp]).toEqual([1, 1]);
    pool.setCheck(backend, "up", "", 4);
    expect(backend.ramp).toBe(1 / 16);
  });

  it("is off without options", () => {
    const pool = newPool();
    apply(pool, three(), 0);
    apply(pool, [...three(), endpoint("d", { weight: 16 })], 1);
    expect([backendNamed(pool, "d").ramp, pool.tick(1)]).toEqual([1, Number.POSITIVE_INFINITY]);
  });

  it("forgets a backend that left while it ramped", () => {
    const pool = scene();
    apply(pool, [...three(), endpoint("d")], 1);
    apply(pool, three(), 2);
    expect(pool.tick(2)).toBe(Number.POSITIVE_INFINITY);
  });
});
