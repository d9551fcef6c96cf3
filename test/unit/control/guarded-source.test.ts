import { describe, expect, it } from "vitest";
import { GuardedSource, type GuardRules } from "../../../src/control/guarded-source.js";
import type { SourceSink } from "../../../src/control/source.js";
import type { Endpoint, Snapshot } from "../../../src/core/endpoint.js";
import type { Pool } from "../../../src/core/pool.js";
import { apply, backendNamed, endpoint, mustAcquire, newPool } from "../../support/pool-fixture.js";
import { RecordingLog } from "./sources/consul-config.js";
import { ManualClock } from "./sources/manual-clock.js";
import { SpokenSource } from "./spoken-source.js";

const RULES: GuardRules = { removedPercent: 100, holdMs: 60_000, evidenceMs: 10_000 };

function setUp(given: GuardRules | "off" = RULES) {
  const rules = given === "off" ? undefined : given;
  const clock = new ManualClock();
  const pool = newPool();
  const log = new RecordingLog();
  const source = new SpokenSource();
  const guarded = new GuardedSource({ source, pool, rules, clock, log });
  const states: string[] = [];
  guarded.start(sinkOf(pool, clock, states, guarded));
  const serve = (id: string) => {
    const lease = mustAcquire(pool, clock.nowMs());
    expect(lease.backend.endpoint.id).toBe(id);
    lease.release("success", 200, clock.nowMs());
  };
  return { clock, pool, log, source, guarded, states, serve, ids: () => idsOf(pool) };
}

function sinkOf(pool: Pool, clock: ManualClock, states: string[], guarded: GuardedSource): SourceSink {
  return {
    onSnapshot: ({ endpoints }: Snapshot) => apply(pool, endpoints, clock.nowMs()),
    onStatus: () => states.push(guarded.status().state),
  };
}

function idsOf(pool: Pool): string[] {
  return [...pool.backends()].filter(({ isGone }) => !isGone).map(({ endpoint: { id } }) => id);
}

function list(...ids: string[]): readonly Endpoint[] {
  return ids.map((id, at) => endpoint(id, { port: 80 + at }));
}

describe("a guarded source", () => {
  it("keeps a pool whose own checks say up, says so, and comes back with the next good answer", async () => {
    const { clock, pool, log, source, guarded, states, ids } = setUp();
    source.say(...list("a", "b"));
    for (const id of ["a", "b"]) pool.setCheck(backendNamed(pool, id), "up", "", clock.nowMs());
    source.say();
    expect(ids()).toEqual(["a", "b"]);
    expect(guarded.status()).toMatchObject({ state: "suspect", held: 2, suspicions: 1, endpoints: 2 });
    expect(guarded.status().reason).toBe(
      "the answer leaves 0 of 2 that took work, and 2 that it lacks are alive: they are kept for up to 60 s more",
    );
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        fields: { kind: "spoken", target: "a test", before: 2, left: 0, held: 2, holdMs: 60_000 },
        message: "answer is suspect, the missing that live are kept",
      },
    ]);
    await clock.advance(30_000);
    source.say(...list("a", "b"));
    expect(guarded.status()).toMatchObject({ state: "live", held: 0, suspicions: 1 });
    expect(log.lines.at(-1)).toMatchObject({ level: "info", fields: { by: "answer" } });
    expect(states).toEqual(["suspect", "live"]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it("believes the answer when the time is over", async () => {
    const { clock, pool, source, guarded, ids } = setUp();
    source.say(...list("a"));
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    source.say();
    await clock.advance(59_999);
    expect(ids()).toEqual(["a"]);
    await clock.advance(1);
    expect(ids()).toEqual([]);
    expect(guarded.status()).toMatchObject({ state: "live", held: 0 });
    expect(clock.pendingTimers()).toBe(0);
  });

  it("lets go of each backend whose check goes down, within a second", async () => {
    const { clock, pool, log, source, ids } = setUp();
    source.say(...list("a", "b"));
    for (const id of ["a", "b"]) pool.setCheck(backendNamed(pool, id), "up", "", clock.nowMs());
    source.say();
    pool.setCheck(backendNamed(pool, "a"), "down", "refused", clock.nowMs());
    await clock.advance(1_000);
    expect(ids()).toEqual(["b"]);
    pool.setCheck(backendNamed(pool, "b"), "down", "refused", clock.nowMs());
    await clock.advance(1_000);
    expect(ids()).toEqual([]);
    expect(log.lines.at(-1)).toMatchObject({ fields: { by: "lifeless" } });
  });

  it("takes an answer to real traffic as a sign of life, for its time", async () => {
    const { clock, source, serve, ids } = setUp();
    source.say(...list("a"));
    serve("a");
    await clock.advance(9_000);
    source.say();
    expect(ids()).toEqual(["a"]);
    serve("a");
    await clock.advance(9_000);
    expect(ids()).toEqual(["a"]);
    await clock.advance(2_000);
    expect(ids()).toEqual([]);
  });

  it("believes at once when nobody knows of life, or the backend is ejected", () => {
    const idle = setUp();
    idle.source.say(...list("a"));
    idle.source.say();
    expect(idle.ids()).toEqual([]);
    const ejected = setUp();
    ejected.source.say(...list("a"));
    ejected.serve("a");
    ejected.pool.eject(backendNamed(ejected.pool, "a"), 60_000, "test", ejected.clock.nowMs());
    ejected.source.say();
    expect(ejected.ids()).toEqual([]);
  });

  it("drains those that fail their own check while the others are kept", () => {
    const { clock, pool, source, ids } = setUp();
    source.say(...list("a", "b"));
    pool.setCheck(backendNamed(pool, "a"), "down", "refused", clock.nowMs());
    pool.setCheck(backendNamed(pool, "b"), "up", "", clock.nowMs());
    source.say();
    expect(ids()).toEqual(["b"]);
  });

  it("passes everything on where suspicion is off", () => {
    const { clock, pool, source, guarded, ids } = setUp("off");
    source.say(...list("a"));
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    source.say();
    expect(ids()).toEqual([]);
    expect(guarded.status()).toMatchObject({ state: "live", held: 0, suspicions: 0 });
  });

  it("offers a list again that the pool did not take when it looked", async () => {
    const { clock, pool, log, source, guarded, ids } = setUp();
    source.say(...list("a"));
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    source.say();
    const take = pool.apply.bind(pool);
    let refusals = 2;
    pool.apply = (...given) => {
      if (refusals-- > 0) throw new Error("no room");
      take(...given);
    };
    await clock.advance(60_000);
    expect(log.lines.filter(({ level }) => level === "error").length).toBe(1);
    await clock.advance(2_000);
    expect(ids()).toEqual([]);
    expect(guarded.status().state).toBe("live");
    expect(clock.pendingTimers()).toBe(0);
  });

  it("leaves no timer behind when it is stopped", () => {
    const { clock, pool, source, guarded } = setUp();
    source.say(...list("a"));
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    source.say();
    guarded.stop();
    expect(source.isStopped).toBe(true);
    expect(clock.pendingTimers()).toBe(0);
  });
});
