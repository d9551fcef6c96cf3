import { describe, expect, it } from "vitest";
import { DampedSource, type DampingRules } from "../../../src/control/damped-source.js";
import { FlapBook } from "../../../src/control/flap-book.js";
import { GuardedSource } from "../../../src/control/guarded-source.js";
import { MergedSource } from "../../../src/control/merged-source.js";
import type { Snapshot } from "../../../src/core/endpoint.js";
import { reasonsAgainst } from "../../../src/core/explain.js";
import { ManualClock } from "../../support/manual-clock.js";
import { apply, backendNamed, endpoint, newPool, terms } from "../../support/pool-fixture.js";
import { RecordingLog } from "./sources/consul-config.js";
import { SpokenSource } from "./spoken-source.js";

const RULES: DampingRules = {
  halfLifeMs: 60_000,
  suppress: 2_500,
  reuse: 750,
  maxSuppressMs: 300_000,
  maxSuppressedPercent: 50,
};

function setUp(rules: Partial<DampingRules> = {}) {
  const clock = new ManualClock();
  const pool = newPool();
  const log = new RecordingLog();
  const source = new SpokenSource();
  const guarded = new GuardedSource({ source, pool, rules: undefined, saved: undefined, clock, log });
  const merged = new MergedSource([guarded], clock, log);
  const book = new FlapBook();
  const damped = new DampedSource({ source: merged, pool, rules: { ...RULES, ...rules }, book, clock, log });
  const sink = {
    onSnapshot: ({ endpoints }: Snapshot) => apply(pool, endpoints, clock.nowMs()),
    onStatus: () => {},
  };
  damped.start(sink);
  /** Another source takes the place of the first, as at a reload. */
  const replace = (): SpokenSource => {
    const next = new SpokenSource();
    const guarded = new GuardedSource({ source: next, pool, rules: undefined, saved: undefined, clock, log });
    const source = new MergedSource([guarded], clock, log);
    damped.stop();
    new DampedSource({ source, pool, rules: { ...RULES, ...rules }, book, clock, log }).start(sink);
    return next;
  };
  const say = (...ids: string[]) => source.say(...ids.map((id) => endpoint(id)));
  /** `ids` leave and rejoin, one after the other, among `all`. */
  const flap = (all: readonly string[], ids: readonly string[], times: number) => {
    for (let n = 0; n < times; n += 1) {
      for (const id of ids) {
        say(...all.filter((each) => each !== id));
        say(...all);
      }
    }
  };
  const states = () =>
    Object.fromEntries(
      [...pool.backends()].map(({ endpoint: { id }, facts }) => [id, facts.discovery.state]),
    );
  return { clock, pool, log, source, damped, replace, say, flap, states };
}

describe("an instance that comes and goes", () => {
  it("stays suppressed when another source lists it, which charges nobody for what it leaves out", async () => {
    const { clock, pool, say, flap, replace, states } = setUp();
    say("a", "b", "c", "d");
    flap(["a", "b", "c", "d"], ["a"], 3);
    flap(["a", "b", "c", "d"], ["b"], 2);
    expect(states()).toMatchObject({ a: "suppressed", b: "admitted" });
    const next = replace();
    next.say(endpoint("a"), endpoint("c"), endpoint("d"));
    expect(backendNamed(pool, "a").facts.discovery.why).toContain("left 3 times lately");
    next.say(endpoint("a"), endpoint("b"), endpoint("c"), endpoint("d"));
    expect(states()).toMatchObject({ a: "suppressed", b: "admitted" });
    await clock.advance(120_200);
    expect(states()).toMatchObject({ a: "admitted", b: "admitted" });
  });

  it("is listed without work, says why, and works again when its penalty has decayed", async () => {
    const { clock, pool, log, say, flap, states } = setUp();
    say("a", "b", "c");
    flap(["a", "b", "c"], ["a"], 2);
    expect(states()).toEqual({ a: "admitted", b: "admitted", c: "admitted" });
    flap(["a", "b", "c"], ["a"], 1);
    expect(states()).toEqual({ a: "suppressed", b: "admitted", c: "admitted" });
    const a = backendNamed(pool, "a");
    expect(a.isEligible).toBe(false);
    expect(reasonsAgainst(pool, a).map(({ text }) => text)).toEqual([
      "suppressed, since it comes and goes (left 3 times lately, penalty 3000, works again below 750)",
    ]);
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        fields: { key: "test/a", departures: 3, penalty: 3_000 },
        message: "instance suppressed, it comes and goes",
      },
    ]);
    await clock.advance(119_000);
    expect(states().a).toBe("suppressed");
    await clock.advance(1_200);
    expect(states().a).toBe("admitted");
    expect(log.lines.at(-1)?.message).toBe("instance no longer suppressed");
    expect(clock.pendingTimers()).toBe(0);
  });

  it.each(["passing", "maintenance"] as const)("is not one that is held back while it is %s", (status) => {
    const { source, states } = setUp();
    for (let n = 0; n < 10; n += 1) {
      source.say(endpoint("a"), endpoint("b"), endpoint("c"));
      source.say(endpoint("a", { admitted: false, status }), endpoint("b"), endpoint("c"));
    }
    source.say(endpoint("a"), endpoint("b"), endpoint("c"));
    expect(states().a).toBe("admitted");
  });

  it("is one that turns critical again and again, too", () => {
    const { source, states } = setUp();
    for (let n = 0; n < 4; n += 1) {
      source.say(endpoint("a"), endpoint("b"), endpoint("c"));
      source.say(endpoint("a", { admitted: false, status: "critical" }), endpoint("b"), endpoint("c"));
    }
    source.say(endpoint("a"), endpoint("b"), endpoint("c"));
    expect(states().a).toBe("suppressed");
  });

  it("stays what its own status says while it is suppressed", () => {
    const { source, flap, states } = setUp();
    flap(["a", "b", "c"], ["a"], 4);
    source.say(endpoint("a", { admitted: false, status: "critical" }), endpoint("b"), endpoint("c"));
    expect(states().a).toBe("refused");
    source.say(endpoint("a"), endpoint("b"), endpoint("c"));
    expect(states().a).toBe("suppressed");
  });
});

describe("those that are well", () => {
  it("are suppressed up to half of them, the worst first", () => {
    const { flap, states } = setUp();
    flap(["a", "b", "c"], ["a", "b", "c"], 3);
    flap(["a", "b", "c"], ["b"], 1);
    expect(states()).toEqual({ a: "admitted", b: "suppressed", c: "admitted" });
  });

  it("are never suppressed down to nobody", () => {
    const { flap, states, say } = setUp({ maxSuppressedPercent: 99 });
    flap(["a", "b"], ["a", "b"], 10);
    expect(Object.values(states()).filter((state) => state === "admitted")).toHaveLength(1);
    say("a");
    expect(states().a).toBe("admitted");
  });

  it.each<[string, (scene: ReturnType<typeof setUp>) => void]>([
    ["the check of", ({ pool, clock }) => pool.setCheck(backendNamed(pool, "b"), "down", "", clock.nowMs())],
    ["detection ejects", ({ pool, clock }) => pool.eject(backendNamed(pool, "b"), 9_000, "", clock.nowMs())],
    [
      "the operator drains",
      ({ pool, clock }) => pool.setAdmin(backendNamed(pool, "b"), "drain", terms(), clock.nowMs()),
    ],
  ])("include the suppressed one as soon as %s the other", (_name, fails) => {
    const scene = setUp();
    scene.flap(["a", "b"], ["a"], 4);
    expect(scene.states()).toEqual({ b: "admitted", a: "suppressed" });
    fails(scene);
    expect(scene.states().a).toBe("admitted");
  });

  it("do without it again when the other is back", () => {
    const { pool, clock, flap, states } = setUp();
    flap(["a", "b"], ["a"], 4);
    pool.setCheck(backendNamed(pool, "b"), "down", "refused", clock.nowMs());
    expect(states().a).toBe("admitted");
    pool.setCheck(backendNamed(pool, "b"), "up", "", clock.nowMs());
    expect(states().a).toBe("suppressed");
  });

  it("are not diminished by one that fails its own check anyway", () => {
    const { pool, clock, flap, states } = setUp();
    flap(["a", "b"], ["a"], 1);
    pool.setCheck(backendNamed(pool, "b"), "down", "refused", clock.nowMs());
    flap(["a", "b"], ["b"], 1);
    pool.setCheck(backendNamed(pool, "b"), "down", "refused", clock.nowMs());
    expect(states()).toEqual({ a: "admitted", b: "admitted" });
  });
});

it("charges nobody for a catalog that flaps as a whole", () => {
  const { say, states } = setUp();
  for (let n = 0; n < 20; n += 1) {
    say("a", "b", "c");
    say();
  }
  say("a", "b", "c");
  expect(states()).toEqual({ a: "admitted", b: "admitted", c: "admitted" });
});

it("leaves no timer and no listener behind when it is stopped", () => {
  const { clock, pool, source, damped, flap } = setUp();
  flap(["a", "b", "c"], ["a"], 4);
  damped.stop();
  expect([source.isStopped, clock.pendingTimers()]).toEqual([true, 0]);
  pool.setCheck(backendNamed(pool, "b"), "down", "", clock.nowMs());
  pool.setCheck(backendNamed(pool, "c"), "down", "", clock.nowMs());
  expect(backendNamed(pool, "a").facts.discovery.state).toBe("suppressed");
});
