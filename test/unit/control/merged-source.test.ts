import { describe, expect, it } from "vitest";
import { GuardedSource } from "../../../src/control/guarded-source.js";
import { MergedSource } from "../../../src/control/merged-source.js";
import type { Endpoint } from "../../../src/core/endpoint.js";
import { ManualClock } from "../../support/manual-clock.js";
import { endpoint, newPool } from "../../support/pool-fixture.js";
import { RecordingLog } from "./sources/consul-config.js";
import { RecordingSink } from "./sources/recording-sink.js";
import { SpokenSource } from "./spoken-source.js";

function setUp(...names: string[]) {
  const clock = new ManualClock();
  const log = new RecordingLog();
  const sources = names.map((name) => new SpokenSource(name));
  const pool = newPool();
  const guarded = sources.map(
    (source) => new GuardedSource({ source, pool, rules: undefined, saved: undefined, clock, log }),
  );
  const merged = new MergedSource(guarded, clock, log);
  const sink = new RecordingSink();
  merged.start(sink);
  const say = (at: number, ...endpoints: readonly Endpoint[]) => sources[at]?.say(...endpoints);
  return { clock, log, sources, merged, sink, say, last: () => sink.lists().at(-1) };
}

describe("several sources of one pool", () => {
  it("are one list, in which the source named first has its way with a key", () => {
    const { say, last } = setUp("first", "second");
    say(0, endpoint("a", { port: 1 }), endpoint("b", { port: 2 }));
    say(1, endpoint("b", { port: 3 }), endpoint("c", { port: 4 }));
    expect(last()).toEqual(["a=10.0.0.1:1", "b=10.0.0.1:2", "c=10.0.0.1:4"]);
    say(0, endpoint("a", { port: 1 }));
    expect(last()).toEqual(["a=10.0.0.1:1", "b=10.0.0.1:3", "c=10.0.0.1:4"]);
    say(0);
    expect(last()).toEqual(["b=10.0.0.1:3", "c=10.0.0.1:4"]);
  });

  it("keep every address of a key from one source, and none of it from another", () => {
    const { say, last } = setUp("first", "second");
    say(0, endpoint("a", { host: "10.0.0.1" }), endpoint("a", { host: "10.0.0.2" }));
    say(1, endpoint("a", { host: "10.0.0.3" }));
    expect(last()).toEqual(["a=10.0.0.1:80", "a=10.0.0.2:80"]);
  });

  it("each keep their own last list while they fail", () => {
    const { sources, merged, say, last } = setUp("first", "second");
    say(0, endpoint("a"));
    say(1, endpoint("b"));
    sources[0]?.fail("refused");
    say(1, endpoint("c"));
    expect(last()).toEqual(["a=10.0.0.1:80", "c=10.0.0.1:80"]);
    expect(merged.statuses().map(({ target, state, reason }) => [target, state, reason])).toEqual([
      ["first", "stale", "refused"],
      ["second", "live", ""],
    ]);
  });

  it("wait for one another at the start, until each lists something or is in trouble", () => {
    const { sources, sink, say, last } = setUp("first", "second", "third");
    say(1, endpoint("b"));
    expect(sink.snapshots).toEqual([]);
    sources[0]?.fail("refused");
    expect(sink.snapshots).toEqual([]);
    say(2);
    expect(last()).toEqual(["b=10.0.0.1:80"]);
    say(0, endpoint("a"));
    expect(last()).toEqual(["a=10.0.0.1:80", "b=10.0.0.1:80"]);
  });

  it("go on when the last one awaited says that it is in trouble", () => {
    const { sources, sink, say, last } = setUp("first", "second");
    say(0, endpoint("a"));
    sources[1]?.fail("refused");
    expect(last()).toEqual(["a=10.0.0.1:80"]);
    expect(sink.snapshots.length).toBe(1);
  });

  it("wait for a silent one a second and no longer", async () => {
    const { clock, sink, say, last } = setUp("first", "second");
    say(0, endpoint("a"));
    await clock.advance(999);
    expect(sink.snapshots).toEqual([]);
    await clock.advance(1);
    expect(last()).toEqual(["a=10.0.0.1:80"]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it("do not list anything while all are in trouble", async () => {
    const { clock, sources, sink } = setUp("first", "second");
    for (const source of sources) source.fail("refused");
    await clock.advance(10_000);
    expect(sink.snapshots).toEqual([]);
  });

  it("are stopped together", () => {
    const { clock, sources, merged, say } = setUp("first", "second");
    say(0, endpoint("a"));
    merged.stop();
    expect(sources.map(({ isStopped }) => isStopped)).toEqual([true, true]);
    expect(clock.pendingTimers()).toBe(0);
  });
});
