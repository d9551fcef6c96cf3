import { describe, expect, it } from "vitest";
import { FAULT_OPTIONS, FaultWorld } from "./fault-world.js";

/** `SIMULATION_SEED=7 npx vitest run --config test/vitest.config.ts test/simulation` plays one again. */
const wanted = process.env.SIMULATION_SEED;
const SEEDS = Array.from({ length: 24 }, (_, index) => 500 + index);
/** Longest ejection, and every step of it forgiven. */
const LONGEST_MS = FAULT_OPTIONS.maxEjectionTimeMs + FAULT_OPTIONS.maxEjectionTimeJitterMs;

function told<Result>(seed: number, world: FaultWorld, act: () => Result): Result {
  try {
    return act();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed} at ${world.story.nowMs} ms: ${what}`, { cause: error });
  }
}

describe("detection in a world of faults", () => {
  it.each(wanted === undefined ? SEEDS : [Number(wanted)])(
    "keeps cap, last one and floor, and leaves nobody out for good, with seed %i",
    (seed) => {
      const size = 2 + (seed % 11);
      const world = new FaultWorld(seed, size);
      told(seed, world, () => {
        for (let round = 0; round < 40; round++) {
          world.meddle();
          world.pass(700);
        }
        world.heal();
        world.pass(LONGEST_MS + 10_000);
      });
      const { ejections, served } = world.story;
      expect(ejections).toBeGreaterThan(0);
      expect(served).toBeGreaterThan(5_000);
      for (const { id, facts, demotion, ramp, monitor } of world.pool.backends())
        expect([id, facts.detection.state, demotion, ramp, monitor.multiplier < 6]).toEqual([
          id,
          "active",
          1,
          1,
          true,
        ]);
    },
  );

  it.each([2, 3, 5, 9])("keeps almost all requests from one of %i that always fails", (size) => {
    const world = new FaultWorld(1, size);
    world.pass(2_000);
    world.set(0, { failing: 1 });
    world.pass(40_000);
    // Five to find it out, and what was open then; each return costs the one that tries it.
    const { failed, ejections } = world.story;
    expect(ejections).toBeLessThan(12);
    expect(failed).toBeLessThanOrEqual(8 + ejections);
  });

  it.each([5, 7, 9])(
    "finds one of %i that fails every other request, which no streak does in time",
    (size) => {
      const world = new FaultWorld(2, size);
      world.pass(2_000);
      world.set(0, { failing: 0.5 });
      world.pass(3_000, size);
      const [backend] = world.pool.backends();
      expect(world.story.ejections).toBeGreaterThan(0);
      expect(backend?.monitor.multiplier).toBeGreaterThan(0);
    },
  );

  it.each([2, 3, 8])("takes weight from one of %i that is slow, and gives it back", (size) => {
    const world = new FaultWorld(4, size);
    world.pass(2_000);
    world.set(0, { latencyMs: 100 });
    world.pass(6_000, size);
    const [backend] = world.pool.backends();
    expect(backend?.demotion).toBeLessThanOrEqual(0.25);
    expect([world.story.ejections, world.story.failed]).toEqual([0, 0]);
    world.heal();
    world.pass(8_000, size);
    expect(backend?.demotion).toBe(1);
  });

  it("lets those ejected together return apart, and each with a small share first", () => {
    const world = new FaultWorld(6, 12);
    world.pass(1_000);
    for (let index = 0; index < 6; index++) world.set(index, { failing: 1 });
    world.pass(1_500);
    expect(world.pool.census().ejected).toBe(6);
    world.heal();
    world.pass(6_000, 6);
    const times = world.returnTimes;
    expect(times).toHaveLength(6);
    expect(new Set(times).size).toBeGreaterThan(3);
    // A sixteenth among six at full weight and five more is 1%; its full share would be 8 to 14%.
    expect(world.greatestFirstShare(50)).toBeLessThan(0.04);
  });

  it("never leaves a pool without anyone, when everything fails", () => {
    const world = new FaultWorld(3, 6);
    for (let index = 0; index < 6; index++) world.set(index, { failing: 1 });
    world.pass(30_000);
    expect(world.pool.census().ejected).toBeLessThanOrEqual(3);
    expect(world.pool.ejectionCounts.of("consecutive-5xx").overflowed).toBeGreaterThan(0);
  });
});
