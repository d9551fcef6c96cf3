import { describe, expect, it } from "vitest";
import { GuardedSource, type GuardRules } from "../../../src/control/guarded-source.js";
import { SavedList } from "../../../src/control/saved-list.js";
import type { SourceSink } from "../../../src/control/source.js";
import type { Endpoint, Snapshot } from "../../../src/core/endpoint.js";
import type { Pool } from "../../../src/core/pool.js";
import type { KeptState } from "../../../src/platform/state-file.js";
import { ManualClock } from "../../support/manual-clock.js";
import { apply, backendNamed, endpoint, mustAcquire, newPool } from "../../support/pool-fixture.js";
import { RecordingLog } from "./sources/consul-config.js";
import { SpokenSource } from "./spoken-source.js";

const RULES: GuardRules = { removedPercent: 100, holdMs: 60_000, evidenceMs: 10_000 };

function setUp(given: GuardRules | "off" = RULES, file: FakeFile | undefined = undefined) {
  const rules = given === "off" ? undefined : given;
  const clock = new ManualClock();
  const pool = newPool();
  const log = new RecordingLog();
  const source = new SpokenSource();
  const saved = file && new SavedList({ file, origin: "here", maxAgeMs: 3_600_000, clock, log });
  const guarded = new GuardedSource({ source, pool, rules, saved, clock, log });
  const states: string[] = [];
  guarded.start(sinkOf(pool, clock, states, guarded));
  const serve = (id: string) => {
    const lease = mustAcquire(pool, clock.nowMs());
    expect(lease.backend.endpoint.id).toBe(id);
    lease.release("success", 200, clock.nowMs());
  };
  return { clock, pool, log, source, guarded, states, serve, ids: () => idsOf(pool) };
}

/** A state file in memory. */
class FakeFile {
  kept: KeptState | undefined;
  readonly written: unknown[] = [];

  async read(): Promise<KeptState | undefined> {
    return this.kept;
  }

  save(content: () => unknown): void {
    this.written.push(JSON.parse(JSON.stringify(content())));
  }

  /** As a former process wrote it, some time ago. */
  holding(endpoints: unknown, ageMs = 60_000, origin = "here"): this {
    this.kept = { data: { origin, endpoints }, savedWallMs: new ManualClock().wallMs() - ageMs };
    return this;
  }
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

describe("a saved list", () => {
  const address = (id: string) => endpoint(id, { host: "10.0.0.7" });

  it("is served as soon as the source is in trouble at the start, and says so", async () => {
    const { clock, log, source, guarded, ids } = setUp(
      RULES,
      new FakeFile().holding([address("a"), address("b")]),
    );
    await clock.advance(500);
    expect(ids()).toEqual([]);
    source.fail("connect ECONNREFUSED");
    expect(ids()).toEqual(["a", "b"]);
    expect(guarded.status()).toMatchObject({
      state: "stale",
      reason: "serving a saved list: connect ECONNREFUSED",
      endpoints: 2,
      isSaved: true,
      lastSuccessMs: clock.nowMs() - 60_500,
    });
    expect(log.lines.at(-1)).toEqual({
      level: "warn",
      fields: {
        kind: "spoken",
        target: "a test",
        endpoints: 2,
        ageMs: 60_500,
        reason: "connect ECONNREFUSED",
      },
      message: "serving a saved list, the source has none",
    });
  });

  it("is served after a second from a source that says nothing, no sooner", async () => {
    const { clock, guarded, ids } = setUp(RULES, new FakeFile().holding([address("a")]));
    await clock.advance(999);
    expect(ids()).toEqual([]);
    await clock.advance(1);
    expect(ids()).toEqual(["a"]);
    expect(guarded.status().reason).toBe("serving a saved list: no answer yet");
    expect(clock.pendingTimers()).toBe(0);
  });

  it("gives way to the first answer, and is of no use afterwards", async () => {
    const { clock, log, source, guarded, ids } = setUp(RULES, new FakeFile().holding([address("a")]));
    await clock.advance(2_000);
    source.say(endpoint("b"));
    expect(ids()).toEqual(["b"]);
    expect(guarded.status()).toMatchObject({ state: "live", isSaved: false, reason: "" });
    expect(log.lines.at(-1)?.message).toBe("saved list no longer needed");
    source.fail("refused");
    await clock.advance(5_000);
    expect(ids()).toEqual(["b"]);
    expect(guarded.status()).toMatchObject({ state: "stale", isSaved: false });
  });

  it("is not needed where the source answers in time", async () => {
    const { clock, source, guarded, ids } = setUp(RULES, new FakeFile().holding([address("a")]));
    source.say(endpoint("b"));
    await clock.advance(5_000);
    expect([ids(), guarded.status().isSaved]).toEqual([["b"], false]);
  });

  it("is what the first answer is judged by: an empty one does not remove what lives", async () => {
    const { clock, pool, source, guarded, ids } = setUp(RULES, new FakeFile().holding([address("a")]));
    await clock.advance(1_000);
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    source.say();
    expect(ids()).toEqual(["a"]);
    expect(guarded.status()).toMatchObject({ state: "suspect", isSaved: false, held: 1 });
  });

  it("is served when it was read later than the trouble came", async () => {
    const file = new FakeFile().holding([address("a")]);
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    file.read = async () => {
      await gate;
      return file.kept;
    };
    const { clock, source, ids } = setUp(RULES, file);
    source.fail("refused");
    await clock.advance(10_000);
    expect(ids()).toEqual([]);
    release();
    await clock.advance(0);
    expect(ids()).toEqual(["a"]);
  });

  it("is written with each list that is believed, and never with one that is held", async () => {
    const file = new FakeFile();
    const { clock, pool, source } = setUp(RULES, file);
    source.say(...list("a"));
    pool.setCheck(backendNamed(pool, "a"), "up", "", clock.nowMs());
    expect(file.written).toMatchObject([{ origin: "here", endpoints: [{ id: "a" }] }]);
    source.say();
    await clock.advance(59_000);
    expect(file.written.length).toBe(1);
    await clock.advance(1_000);
    expect(file.written.slice(1)).toEqual([{ origin: "here", endpoints: [] }]);
  });

  it("is written at most every five seconds, the latest last, and when the source stops", async () => {
    const file = new FakeFile();
    const { clock, source, guarded } = setUp(RULES, file);
    for (let n = 0; n < 100; n += 1) {
      source.say(endpoint(`n${n}`));
      await clock.advance(100);
    }
    expect(file.written.map((each) => (each as { endpoints: { id: string }[] }).endpoints[0]?.id)).toEqual([
      "n0",
      "n49",
      "n99",
    ]);
    source.say(endpoint("last"));
    guarded.stop();
    expect(file.written.at(-1)).toMatchObject({ endpoints: [{ id: "last" }] });
    expect(clock.pendingTimers()).toBe(0);
  });

  it("is written again every ten minutes while the source is well, so that its age is true", async () => {
    const file = new FakeFile();
    const { clock, source } = setUp(RULES, file);
    source.say(endpoint("a"));
    await clock.advance(1_800_000);
    expect(file.written.length).toBe(4);
    source.fail("refused");
    await clock.advance(1_800_000);
    expect(file.written.length).toBe(4);
  });

  it.each<[string, FakeFile, string]>([
    [
      "another source",
      new FakeFile().holding([address("a")], 0, "there"),
      "the source was configured otherwise",
    ],
    ["long ago", new FakeFile().holding([address("a")], 3_600_001), "it is too old"],
    ["no list", new FakeFile().holding({}), "its content is damaged"],
    [
      "a name for a host",
      new FakeFile().holding([endpoint("a", { host: "web.test" })]),
      "its content is damaged",
    ],
    ["a port of none", new FakeFile().holding([endpoint("a", { port: 0 })]), "its content is damaged"],
    ["a weight below 0", new FakeFile().holding([endpoint("a", { weight: -1 })]), "its content is damaged"],
    [
      "an odd status",
      new FakeFile().holding([{ ...address("a"), status: "fine" }]),
      "its content is damaged",
    ],
    ["odd tags", new FakeFile().holding([{ ...address("a"), tags: [1] }]), "its content is damaged"],
    ["odd meta", new FakeFile().holding([{ ...address("a"), meta: { a: 1 } }]), "its content is damaged"],
    ["an odd zone", new FakeFile().holding([{ ...address("a"), zone: 7 }]), "its content is damaged"],
    ["one bad of two", new FakeFile().holding([address("a"), null]), "its content is damaged"],
  ])("of %s is not served, which is told and no error", async (_name, file, words) => {
    const { clock, log, source, ids } = setUp(RULES, file);
    source.fail("refused");
    await clock.advance(5_000);
    expect(ids()).toEqual([]);
    expect(log.lines.map(({ message }) => message).join()).toContain(words);
    source.say(endpoint("b"));
    expect(ids()).toEqual(["b"]);
  });
});
