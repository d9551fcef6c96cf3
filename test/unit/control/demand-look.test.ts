import { describe, expect, it } from "vitest";
import { CheckStarts } from "../../../src/control/check-starts.js";
import { DemandLook, LOOK_MS, wantedOf } from "../../../src/control/demand-look.js";
import { HealthWatches } from "../../../src/control/health-watch.js";
import { ProbeSlots } from "../../../src/control/probe-slots.js";
import { Prober } from "../../../src/control/prober.js";
import { firstHealthy } from "../../../src/proxy/fallback.js";
import { ManualClock } from "../../support/manual-clock.js";
import {
  apply,
  backendNamed,
  endpoint,
  mustAcquire,
  newPool,
  terms,
  waiter,
} from "../../support/pool-fixture.js";
import { seededRandom } from "../../support/seeded-random.js";
import { HeldProbe, RHYTHM, setUp, TARGET } from "./check-scene.js";

const DOWN_MS = 60_000;

describe("what is wanted of a pool", () => {
  it("is who was served, was refused, went to a fallback, or waits, each once", () => {
    const pool = newPool({ maxInFlightPerBackend: 1 });
    apply(pool, [endpoint("a")]);
    const lease = mustAcquire(pool);
    pool.enqueue(
      waiter(() => {}),
      0,
    );
    expect(wantedOf(pool)).toBe(2);
    lease.release("success", 200, 0);
    expect(wantedOf(pool)).toBe(2);
    pool.count("refusedNoBackend");
    expect(wantedOf(pool)).toBe(3);
    pool.setAdmin(backendNamed(pool, "a"), "drain", terms(), 0);
    const spare = newPool({ name: "spare" });
    apply(spare, [endpoint("b")]);
    interface Step {
      readonly service: { readonly pool: typeof pool };
      readonly fallback: Step | undefined;
    }
    const behind: Step = { service: { pool: spare }, fallback: undefined };
    expect(firstHealthy<Step>({ service: { pool }, fallback: behind })).toBe(behind);
    expect([wantedOf(pool), wantedOf(spare)]).toEqual([4, 0]);
  });
});

describe("the look for demand", () => {
  it("keeps a timer only while somebody is missed, and tells nobody where nobody came", async () => {
    const clock = new ManualClock();
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const look = new DemandLook(pool, clock);
    const told: number[] = [];
    const missed = { demanded: (wanted: number) => void told.push(wanted) };
    expect(clock.pendingTimers()).toBe(0);
    mustAcquire(pool);
    look.join(missed);
    look.join(missed);
    await clock.advance(10 * LOOK_MS);
    expect([told, clock.pendingTimers()]).toEqual([[], 1]);
    mustAcquire(pool);
    await clock.advance(LOOK_MS - 1);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([2]);
    look.leave(missed);
    look.leave(missed);
    expect(clock.pendingTimers()).toBe(0);
  });
});

describe("demand that begins during a pause", () => {
  const rhythm = {
    demandPercent: 50,
    downIntervalMs: DOWN_MS,
    fall: 1,
    rise: 1,
    initialState: "fully-up",
  } as const;

  /** The only backend went down, and its pool was at rest. */
  async function down(options: Partial<typeof rhythm> | { demandPercent: number } = {}) {
    const world = setUp({ ...rhythm, ...options });
    await world.clock.advance(0);
    world.probe.answer(false);
    expect(world.backend.facts.check.state).toBe("down");
    await world.clock.advance(1_000);
    expect(world.probe.started).toBe(1);
    return world;
  }

  it("brings the probe that it is worth, within one look", async () => {
    const { clock, pool, probe, backend } = await down();
    pool.count("refusedNoBackend");
    await clock.advance(2 * LOOK_MS);
    expect(probe.started).toBe(1);
    pool.count("refusedNoBackend");
    await clock.advance(2 * LOOK_MS);
    expect(probe.started).toBe(2);
    probe.answer(true);
    expect(backend.facts.check.state).toBe("up");
    expect(clock.pendingTimers()).toBe(1);
  });

  it("brings none where demand is not asked for, and the pause goes on where nobody came", async () => {
    for (const [demandPercent, requests] of [
      [0, 1_000],
      [50, 0],
    ] as const) {
      const { clock, pool, probe } = await down({ demandPercent });
      pool.count("refusedNoBackend", requests);
      await clock.advance(DOWN_MS - 1_001);
      expect(probe.started).toBe(1);
      await clock.advance(1);
      expect(probe.started).toBe(2);
    }
  });

  it("begins no second probe beside one under way, and keeps its distance from the last", async () => {
    const { clock, pool, probe } = await down();
    pool.count("refusedNoBackend", 1_000);
    await clock.advance(2 * LOOK_MS);
    expect(probe.started).toBe(2);
    pool.count("refusedNoBackend", 1_000);
    await clock.advance(10 * LOOK_MS);
    expect([probe.started, probe.open.length]).toEqual([2, 1]);
    // A thousand in half a second are worth a probe each millisecond; they keep a distance of five.
    probe.answer(false);
    await clock.advance(4);
    expect(probe.started).toBe(2);
    await clock.advance(1);
    expect(probe.started).toBe(3);
  });

  it("puts off no probe that comes soon by itself", async () => {
    const { clock, pool, probe } = setUp({ ...rhythm, downIntervalMs: LOOK_MS + 10 }, 0.99);
    await clock.advance(1_000);
    probe.answer(false);
    pool.count("refusedNoBackend", 1_000);
    await clock.advance(LOOK_MS + 10);
    expect(probe.started).toBe(2);
  });

  it("is heeded no more once checks stop or the backend is in maint", async () => {
    const stopped = await down();
    stopped.prober.stop();
    expect(stopped.clock.pendingTimers()).toBe(0);
    const kept = await down();
    kept.pool.setAdmin(kept.backend, "maint", terms(), kept.clock.nowMs());
    expect(kept.clock.pendingTimers()).toBe(0);
  });
});

describe("demand for hundreds of backends that are down", () => {
  const BACKENDS = 400;
  const MOST = 16;
  const PROBE_MS = 10;
  /** Of a millisecond each. */
  const STEPS = 2_000;

  /** Counts probes per backend by the port that is theirs. */
  class CountedProbe extends HeldProbe {
    readonly byPort = new Map<number, number>();

    override run(...[target, timeoutMs, done]: Parameters<HeldProbe["run"]>): ReturnType<HeldProbe["run"]> {
      this.byPort.set(target.port, (this.byPort.get(target.port) ?? 0) + 1);
      return super.run(target, timeoutMs, done);
    }
  }

  /** A pool at rest, of which all is down. */
  async function crowd() {
    const clock = new ManualClock();
    const pool = newPool();
    const probe = new CountedProbe();
    const slots = new ProbeSlots(MOST);
    const random = seededRandom(5);
    const parts = { clock, random, slots, starts: new CheckStarts(clock) };
    const options = {
      ...RHYTHM,
      intervalMs: DOWN_MS,
      fastIntervalMs: DOWN_MS,
      downIntervalMs: DOWN_MS,
      demandPercent: 50,
      initialState: "fully-down",
      target: TARGET,
    } as const;
    const endpoints = Array.from({ length: BACKENDS }, (_, index) =>
      endpoint(`b${index}`, { port: 1_000 + index }),
    );
    pool.apply({ endpoints }, clock.nowMs());
    new Prober(pool, [new HealthWatches(pool, probe, options, parts)]).start();
    return { clock, pool, probe, slots };
  }

  it.each([
    { perStep: 1, worth: 2.5, what: "fewer than the cap lets through" },
    { perStep: 20, worth: 50, what: "more than the cap lets through" },
  ])("keeps to the cap, to one per backend and to the share of the traffic: $what", async (row) => {
    const { perStep, worth } = row;
    const { clock, pool, probe, slots } = await crowd();
    const ends: number[] = [];
    let most = 0;
    for (let step = 1; step <= STEPS; step++) {
      pool.count("refusedNoBackend", perStep);
      await clock.advance(1);
      while (ends.length < probe.open.length) ends.push(clock.nowMs() + PROBE_MS);
      const ports = probe.open.map(({ target }) => target.port);
      expect(new Set(ports).size).toBe(ports.length);
      expect(slots.held).toBe(ports.length);
      most = Math.max(most, ports.length);
      while ((ends[0] ?? Number.POSITIVE_INFINITY) <= clock.nowMs()) {
        ends.shift();
        probe.answer(false);
      }
    }
    expect(most).toBe(MOST);
    // Every backend has its turn; without demand but one in thirty would have had it.
    expect(probe.byPort.size).toBe(BACKENDS);
    expect(probe.started).toBeGreaterThan(2 * BACKENDS - MOST);
    // What each has earned, and the first one, for which nobody has to ask.
    for (const probes of probe.byPort.values()) expect(probes).toBeLessThanOrEqual(worth + 1);
  });
});
