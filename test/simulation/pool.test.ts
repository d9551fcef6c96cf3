import { describe, expect, it } from "vitest";
import { PoolWorld } from "./pool-world.js";

const STEPS = 2_500;
const SEEDS = Array.from({ length: 24 }, (_, index) => 9_000 + index);
/** `SIMULATION_SEED=9001 npx vitest run --config test/vitest.config.ts test/simulation` plays one again. */
const wanted = process.env.SIMULATION_SEED;

function play(seed: number): PoolWorld {
  const world = new PoolWorld(seed);
  let step = 0;
  try {
    for (; step < STEPS; step++) world.step();
    world.end();
  } catch (error) {
    throw new Error(`seed ${seed}, step ${step}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return world;
}

describe("a pool in a world of chance", () => {
  const queued = { sentAway: 0, handedBack: 0, servedAtOwn: 0 };

  it.each(wanted === undefined ? SEEDS : [Number(wanted)])("keeps every invariant with seed %i", (seed) => {
    const { picks, ejections, backends, ramps, zonePicks, ...story } = play(seed).story;
    // Otherwise nothing was put to the test.
    expect(picks).toBeGreaterThan(5);
    expect(ejections).toBeGreaterThan(5);
    expect(backends).toBeGreaterThan(20);
    expect(ramps > 100).toBe(seed % 3 !== 0);
    if (seed % 7 < 4) expect(zonePicks).toBeGreaterThan(5);
    queued.sentAway += story.sentAway;
    queued.handedBack += story.handedBack;
    queued.servedAtOwn += story.servedAtOwn;
  });

  it.skipIf(wanted !== undefined)("sends waiters away, hands them back, and serves them at their own", () => {
    expect(queued.sentAway).toBeGreaterThan(30);
    expect(queued.handedBack).toBeGreaterThan(50);
    expect(queued.servedAtOwn).toBeGreaterThan(200);
  });
});
