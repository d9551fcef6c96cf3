import { describe, expect, it } from "vitest";
import { HealthWatches } from "../../../src/control/health-watch.js";
import { ProbeSlots } from "../../../src/control/probe-slots.js";
import { Prober } from "../../../src/control/prober.js";
import { endpoint, OUTLIER } from "../../support/pool-fixture.js";
import { check, INTERVAL_MS, only, RHYTHM, setUp, TERMS } from "./check-scene.js";

describe("a prober", () => {
  it("spreads first checks over the interval", async () => {
    const { clock, probe } = setUp({}, 0.5);
    await clock.advance(INTERVAL_MS / 2 - 1);
    expect(probe.started).toBe(0);
    await clock.advance(1);
    expect(probe.started).toBe(1);
  });

  it("takes a backend down at its first failure, since nothing is known of it, and up after `rise` passes", async () => {
    const world = setUp();
    await check(world, false);
    expect(world.backend.facts.check).toMatchObject({ state: "down" });
    expect(world.backend.facts.check.why).toContain("L4CON");
    expect(world.pool.eligibleCount).toBe(0);
    await check(world, true);
    expect(world.backend.facts.check.state).toBe("down");
    await check(world, true);
    expect(world.backend.facts.check.state).toBe("up");
    expect(world.pool.eligibleCount).toBe(1);
  });

  it("needs `fall` failures in a row once a check has passed", async () => {
    const world = setUp();
    await check(world, true);
    await check(world, false);
    await check(world, false);
    expect(world.backend.facts.check.state).toBe("up");
    await check(world, true);
    await check(world, false);
    await check(world, false);
    expect(world.backend.facts.check.state).toBe("up");
    await check(world, false);
    expect(world.backend.facts.check.state).toBe("down");
    expect(world.pool.total("checksFailed")).toBe(5);
    expect(world.pool.total("timesDown")).toBe(1);
  });

  it("ends an ejection by a check that passes, not by one that fails while the verdict is still up", async () => {
    const world = setUp({}, 0, undefined, () => [], { outlier: { ...OUTLIER, consecutive5xx: 1 } });
    const { pool, clock, probe, backend } = world;
    const checkAll = async (passed: boolean): Promise<void> => {
      await clock.advance(INTERVAL_MS);
      while (probe.open.length > 0) probe.answer(passed);
    };
    pool.apply({ endpoints: [endpoint("a"), endpoint("b")] }, clock.nowMs());
    await checkAll(true);
    const others = [...pool.backends()].filter((each) => each !== backend);
    pool.acquire(others, clock.nowMs())?.release("server-error", 500, clock.nowMs());
    expect(backend.facts.detection.state).toBe("ejected");
    await checkAll(false);
    expect(backend.facts).toMatchObject({ check: { state: "up" }, detection: { state: "ejected" } });
    await checkAll(true);
    expect(backend.facts.detection).toMatchObject({ state: "active", why: "an active check passed" });
  });

  it("never has two checks of a backend open", async () => {
    const { clock, probe } = setUp();
    await clock.advance(INTERVAL_MS * 10);
    expect(probe.started).toBe(1);
    probe.answer(true);
    await clock.advance(INTERVAL_MS - 1);
    expect(probe.started).toBe(1);
    await clock.advance(1);
    expect(probe.started).toBe(2);
  });

  it("stops in maint, where its verdict is void, and begins anew behind it", async () => {
    const world = setUp();
    await check(world, false);
    await world.clock.advance(INTERVAL_MS);
    world.pool.setAdmin(world.backend, "maint", TERMS, world.clock.nowMs());
    expect(world.probe.cancelled).toBe(1);
    expect(world.backend.facts.check.state).toBe("unchecked");
    await world.clock.advance(INTERVAL_MS * 5);
    expect(world.probe.open).toEqual([]);
    world.pool.setAdmin(world.backend, "ready", TERMS, world.clock.nowMs());
    await world.clock.advance(0);
    expect(world.probe.open.length).toBe(1);
  });

  it("does not check a backend that joins while its key is in maint", async () => {
    const { clock, pool, probe, backend } = setUp();
    pool.setAdmin(backend, "maint", TERMS, clock.nowMs());
    pool.apply({ endpoints: [endpoint("a", { port: 81 })] }, clock.nowMs());
    await clock.advance(INTERVAL_MS * 5);
    expect(only(pool).address).toBe("10.0.0.1:81");
    expect(probe.started).toBe(0);
  });

  it("leaves a backend alone that left, and checks one that joined", async () => {
    const { clock, pool, probe } = setUp();
    await clock.advance(0);
    pool.apply({ endpoints: [endpoint("b", { port: 81 })] }, clock.nowMs());
    expect(probe.cancelled).toBe(1);
    await clock.advance(0);
    expect(probe.open.map(({ target }) => target.port)).toEqual([81]);
  });

  it("leaves no timer and no check behind when it is stopped", async () => {
    const { clock, probe, prober } = setUp();
    await clock.advance(0);
    prober.stop();
    expect(probe.open).toEqual([]);
    await clock.advance(INTERVAL_MS * 10);
    expect(probe.started).toBe(1);
  });

  it("never has more probes under way than the process may have, and lets the others wait in line", async () => {
    const world = setUp({}, 0, new ProbeSlots(2));
    const { clock, pool, probe, slots } = world;
    pool.apply({ endpoints: ["a", "b", "c", "d"].map((key) => endpoint(key)) }, clock.nowMs());
    await clock.advance(0);
    expect([probe.started, slots.held, slots.waiting]).toEqual([2, 2, 2]);
    probe.answer(true);
    expect([probe.started, slots.held, slots.waiting]).toEqual([3, 2, 1]);
    pool.apply({ endpoints: [] }, clock.nowMs());
    expect([slots.held, slots.waiting]).toEqual([0, 0]);
  });

  it("lets more of those in line run when the cap is raised", async () => {
    const { clock, pool, probe, slots } = setUp({}, 0, new ProbeSlots(1));
    pool.apply({ endpoints: ["a", "b", "c"].map((key) => endpoint(key)) }, clock.nowMs());
    await clock.advance(0);
    slots.limitTo(3);
    expect([probe.started, slots.held]).toEqual([3, 3]);
  });

  it("keeps a verdict through a change of the checks, until the new ones know better", async () => {
    const world = setUp();
    await check(world, false);
    const { pool, parts, prober, probe, backend } = world;
    const next = new Prober(pool, [new HealthWatches(pool, probe, { ...RHYTHM, rise: 3 }, parts)]);
    prober.yieldTo(next);
    next.start();
    expect(backend.facts.check.state).toBe("down");
    await check(world, true);
    expect(backend.facts.check.state).toBe("up");
    next.yieldTo(undefined);
    expect([backend.facts.check.state, backend.reports.health]).toEqual(["unchecked", undefined]);
  });
});
