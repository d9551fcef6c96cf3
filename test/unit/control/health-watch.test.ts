import { describe, expect, it } from "vitest";
import { endpoint, mustAcquire } from "../../support/pool-fixture.js";
import { check, setUp } from "./check-scene.js";

/** Milliseconds until the next probe begins. */
async function untilProbe({ clock, probe }: ReturnType<typeof setUp>): Promise<number> {
  const { started } = probe;
  for (let waitedMs = 0; waitedMs <= 10_000; waitedMs += 50) {
    if (probe.started > started) return waitedMs;
    await clock.advance(50);
  }
  return Number.POSITIVE_INFINITY;
}

describe("a health check's cadence", () => {
  const rhythm = { intervalMs: 300, fastIntervalMs: 100, downIntervalMs: 500 };

  it("follows the published table: inter 300, fall 3, rise 2", async () => {
    const world = setUp({ ...rhythm, initialState: "fully-up" });
    const { probe, backend } = world;
    await untilProbe(world);
    const table: [string, string, number][] = [];
    for (const answer of "+---+--++-+") {
      probe.answer(answer === "+");
      const text = backend.reports.health?.text ?? "";
      table.push([answer, text, await untilProbe(world)]);
    }
    expect(table).toEqual([
      ["+", "UP", 300],
      ["-", "UP 2/3", 100],
      ["-", "UP 1/3", 100],
      ["-", "DOWN", 500],
      ["+", "DOWN 1/2", 100],
      ["-", "DOWN", 500],
      ["-", "DOWN", 500],
      ["+", "DOWN 1/2", 100],
      ["+", "UP", 300],
      ["-", "UP 2/3", 100],
      ["+", "UP", 300],
    ]);
  });

  it("counts a pause from the end of a probe, as HAProxy does", async () => {
    const world = setUp({ ...rhythm, initialState: "fully-up" });
    await untilProbe(world);
    await world.clock.advance(450);
    world.probe.answer(true);
    expect(await untilProbe(world)).toBe(300);
  });

  it("spreads pauses by the jitter and no further", async () => {
    for (const [random, pauseMs] of [
      [0, 250],
      [0.5, 300],
      [0.999_999, 400],
    ] as const) {
      const target = { address: undefined, port: undefined, timeoutMs: 100, jitterPercent: 33.3 };
      const world = setUp({ ...rhythm, initialState: "fully-up", target }, random);
      await untilProbe(world);
      world.probe.answer(true);
      expect(await untilProbe(world)).toBe(pauseMs);
    }
  });

  it("connects to an address and a port of its own", async () => {
    const target = { address: "10.9.9.9", port: 81, timeoutMs: 100, jitterPercent: 0 };
    const world = setUp({ target });
    await world.clock.advance(0);
    expect(world.probe.open[0]?.target).toEqual({ host: "10.9.9.9", port: 81 });
  });

  it("begins down where the pool says so", () => {
    const { backend } = setUp({ initialState: "fully-down" });
    expect(backend.facts.check).toMatchObject({ state: "down", why: "DOWN: not checked yet" });
  });
});

describe("a check that answers 404 with disableOn404", () => {
  it("asks for bound work alone while it is up, and brings nobody up who is down", async () => {
    const world = setUp({ disableOn404: true });
    const { backend, pool } = world;
    await check(world, false, 404);
    expect([backend.facts.check.state, backend.reports.health?.text, pool.eligibleCount]).toEqual([
      "nolb",
      "UP",
      0,
    ]);
    await check(world, true, 200);
    expect([backend.facts.check.state, pool.eligibleCount]).toEqual(["up", 1]);
    for (let times = 0; times < 3; times++) await check(world, false, 500);
    expect(backend.facts.check.state).toBe("down");
    await check(world, false, 404);
    expect(backend.reports.health?.text).toBe("DOWN");
    await check(world, true, 200);
    await check(world, true, 200);
    expect(backend.facts.check.state).toBe("up");
    expect(pool.total("checksFailed")).toBe(4);
  });

  it("fails without it", async () => {
    const world = setUp();
    await check(world, false, 404);
    expect(world.backend.facts.check.state).toBe("down");
  });
});

describe("observed traffic", () => {
  const observe = (onError: "fastinter" | "fail-check" | "sudden-death" | "mark-down") =>
    ({ layer: "layer7", errorLimit: 2, onError }) as const;

  async function fail(world: ReturnType<typeof setUp>, times: number): Promise<void> {
    for (let time = 0; time < times; time++)
      mustAcquire(world.pool).release("server-error", 500, world.clock.nowMs());
  }

  it.each([
    ["fastinter", "UP", true],
    ["fail-check", "UP 4/5", true],
    ["sudden-death", "UP 1/5", true],
    ["mark-down", "DOWN", false],
  ] as const)("with %s makes it %s, and the next check comes soon", async (onError, text, isUp) => {
    const world = setUp({ fall: 5, fastIntervalMs: 100, observe: observe(onError) });
    await check(world, true);
    await fail(world, 1);
    expect(world.backend.reports.health?.text).toBe("UP");
    await fail(world, 1);
    expect(world.backend.reports.health?.text).toBe(text);
    expect(world.backend.isEligible).toBe(isUp);
    expect(world.backend.facts.check.why).toContain("2 errors in a row in the traffic (layer7)");
    expect(await untilProbe(world)).toBe(100);
  });

  it("forgets its errors with a success and with a passed check", async () => {
    const world = setUp({ observe: observe("mark-down") });
    await check(world, true);
    await fail(world, 1);
    mustAcquire(world.pool).release("success", 200, 0);
    await fail(world, 1);
    await check(world, true);
    await fail(world, 1);
    expect(world.backend.isEligible).toBe(true);
    await fail(world, 1);
    expect(world.backend.isEligible).toBe(false);
  });

  it("takes nothing from what passed checks of one that is down have earned", async () => {
    const world = setUp({ observe: observe("mark-down") });
    await check(world, true);
    const [first, second, ...late] = Array.from({ length: 4 }, () => mustAcquire(world.pool));
    for (const lease of [first, second]) lease?.release("server-error", 500, world.clock.nowMs());
    expect(world.backend.reports.health?.text).toBe("DOWN");
    await check(world, true);
    expect(world.backend.reports.health?.text).toBe("DOWN 1/2");
    for (const lease of late) lease.release("server-error", 500, world.clock.nowMs());
    expect(world.backend.reports.health?.text).toBe("DOWN 1/2");
    await check(world, true);
    expect(world.backend.isEligible).toBe(true);
  });

  it("is not watched when nobody asked for it, nor once checks have stopped", () => {
    expect(setUp().backend.observer).toBeUndefined();
    const { backend, prober } = setUp({ observe: observe("mark-down") });
    expect(backend.observer).toBeDefined();
    prober.stop();
    expect(backend.observer).toBeUndefined();
  });
});

describe("the demand for a backend that is down", () => {
  const rhythm = {
    demandPercent: 50,
    downIntervalMs: 700,
    rise: 1,
    initialState: "fully-up",
    fall: 1,
  } as const;
  /** Twenty requests in a second that `a` would have to share with nobody. */
  const ask = async (world: ReturnType<typeof setUp>): Promise<void> => {
    for (let request = 0; request < 20; request++) {
      mustAcquire(world.pool).release("success", 200, world.clock.nowMs());
      await world.clock.advance(50);
    }
  };

  it("hastens its probes to their share of the traffic, and goes with it", async () => {
    const world = setUp(rhythm);
    await world.clock.advance(0);
    world.pool.apply({ endpoints: [endpoint("a"), endpoint("b")] }, world.clock.nowMs());
    await world.clock.advance(0);
    // Of the first backend; the other one is up and stays.
    world.probe.answer(true);
    world.probe.answer(true);
    const idle = async (untilMs: number) => {
      const { started } = world.probe;
      await world.clock.advance(untilMs);
      return world.probe.started - started;
    };
    await ask(world);
    expect(world.probe.open).toHaveLength(2);
    world.probe.answer(false);
    world.probe.answer(true);
    expect(world.backend.facts.check.state).toBe("down");
    // Ten of the twenty were its own, and half of that are five a second.
    expect([await idle(199), await idle(1)]).toEqual([0, 1]);
    // Nobody came since: the configured pause.
    world.probe.answer(false);
    expect([await idle(699), await idle(1)]).toEqual([0, 1]);
    world.probe.answer(true);
    expect(world.backend.facts.check.state).toBe("up");
  });

  it("hastens nothing while it is up", async () => {
    const world = setUp(rhythm);
    await check(world, true);
    await ask(world);
    world.probe.answer(true);
    await world.clock.advance(999);
    expect(world.probe.started).toBe(2);
  });

  it("also hastens the first probe after its traffic took it down", async () => {
    const observe = { layer: "layer7", errorLimit: 1, onError: "mark-down" } as const;
    const world = setUp({ ...rhythm, observe, fastIntervalMs: 900 });
    await check(world, true);
    const others = Array.from({ length: 19 }, () => mustAcquire(world.pool));
    for (const lease of others) lease.release("success", 200, world.clock.nowMs());
    await world.clock.advance(500);
    mustAcquire(world.pool).release("reset", 0, world.clock.nowMs());
    // Twenty in half a second, all of them its own: one probe each 50 ms.
    await world.clock.advance(49);
    expect(world.probe.started).toBe(1);
    await world.clock.advance(1);
    expect(world.probe.started).toBe(2);
  });
});

describe("traffic that proves health", () => {
  const rhythm = { intervalMs: 1_000, provenIntervalMs: 4_000, initialState: "fully-up" } as const;

  it("spares probes while it succeeds, up to the proven interval", async () => {
    const world = setUp(rhythm);
    await check(world, true);
    for (let time = 0; time < 4; time++) {
      expect(world.probe.started).toBe(1);
      await world.clock.advance(500);
      mustAcquire(world.pool).release("success", 200, world.clock.nowMs());
      await world.clock.advance(500);
    }
    expect(world.probe.started).toBe(2);
  });

  it("spares none while a check that failed leaves a doubt", async () => {
    const world = setUp({ ...rhythm, fastIntervalMs: 1_000 });
    await check(world, true);
    await world.clock.advance(4_000);
    world.probe.answer(false);
    expect(world.backend.reports.health?.text).toBe("UP 2/3");
    const { started } = world.probe;
    await world.clock.advance(500);
    mustAcquire(world.pool).release("success", 200, world.clock.nowMs());
    await world.clock.advance(500);
    expect(world.probe.started).toBe(started + 1);
  });

  it("spares none when it is silent, or something of it fails", async () => {
    for (const outcome of [undefined, "reset"] as const) {
      const world = setUp(rhythm);
      await check(world, true);
      await world.clock.advance(500);
      if (outcome !== undefined) {
        mustAcquire(world.pool).release("success", 200, world.clock.nowMs());
        mustAcquire(world.pool).release(outcome, 0, world.clock.nowMs());
      }
      await world.clock.advance(500);
      expect(world.probe.started).toBe(2);
    }
  });
});
