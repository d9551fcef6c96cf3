import { describe, expect, it } from "vitest";
import type { StaticEndpointConfig } from "../../../../src/config/model.js";
import { createStaticSource } from "../../../../src/control/sources/static/static.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { RecordingLog } from "./consul-config.js";
import { FakeResolver, RecordingSink } from "./recording-sink.js";

function given(host: string, port: number, more: Partial<StaticEndpointConfig> = {}): StaticEndpointConfig {
  return { id: undefined, host, port, weight: 1, priority: 0, backup: false, tags: [], meta: {}, ...more };
}

function setUp(endpoints: readonly StaticEndpointConfig[], resolve: "all" | "one" = "all") {
  const clock = new ManualClock();
  const resolver = new FakeResolver();
  const log = new RecordingLog();
  const sink = new RecordingSink();
  const source = createStaticSource(
    { type: "static", endpoints, resolve },
    { clock, random: () => 0, resolver, log },
  );
  return { clock, resolver, log, sink, source };
}

it("delivers its list once, after start has returned", async () => {
  const { source, sink, clock } = setUp([
    given("10.0.0.1", 80),
    given("::1", 81, { id: "six/1", weight: 5, tags: ["a"], meta: { zone: "z" } }),
  ]);
  source.start(sink);
  expect(sink.snapshots).toEqual([]);
  await clock.advance(1_000_000);
  expect(sink.snapshots.length).toBe(1);
  expect(sink.snapshots[0]?.endpoints.map((endpoint) => endpoint.key)).toEqual([
    "static/10.0.0.1:80",
    "static/six%2F1",
  ]);
  expect(sink.snapshots[0]?.endpoints[1]).toMatchObject({
    id: "six/1",
    host: "::1",
    port: 81,
    weight: 5,
    status: "passing",
    admitted: true,
    tags: ["a"],
    zone: "z",
    priority: 0,
  });
  expect(source.status()).toMatchObject({ kind: "static", state: "live", endpoints: 2 });
  expect(sink.states()).toEqual(["live"]);
});

it("delivers an empty list too", async () => {
  const { source, sink, clock } = setUp([]);
  source.start(sink);
  await clock.advance(0);
  expect(sink.lists()).toEqual([[]]);
});

it("delivers nothing when stopped at once", async () => {
  const { source, sink, clock } = setUp([given("10.0.0.1", 80)]);
  source.start(sink);
  source.stop();
  await clock.advance(1_000);
  expect(sink.snapshots).toEqual([]);
});

it("refuses two endpoints with one id by name", () => {
  expect(() => setUp([given("10.0.0.1", 80), given("a", 1, { id: "10.0.0.1:80" })])).toThrow(
    "endpoints 0 and 1 are both 10.0.0.1:80",
  );
});

describe("names", () => {
  it("become one backend per address, in a stable order, and follow their changes", async () => {
    const { source, sink, resolver, clock } = setUp([given("web", 80, { id: "w" }), given("10.0.0.9", 80)]);
    source.start(sink);
    await clock.advance(0);
    expect(sink.snapshots).toEqual([]);
    resolver.answer("web", ["10.0.0.2", "10.0.0.1"]);
    expect(sink.lists().at(-1)).toEqual(["w=10.0.0.1:80", "w=10.0.0.2:80", "10.0.0.9:80=10.0.0.9:80"]);
    resolver.answer("web", ["10.0.0.1", "10.0.0.2"]);
    expect(sink.snapshots.length).toBe(1);
    resolver.answer("web", ["10.0.0.1", "10.0.0.3"]);
    expect(sink.lists().at(-1)).toEqual(["w=10.0.0.1:80", "w=10.0.0.3:80", "10.0.0.9:80=10.0.0.9:80"]);
    expect(new Set(sink.snapshots[0]?.endpoints.slice(0, 2).map((endpoint) => endpoint.key))).toEqual(
      new Set(["static/w"]),
    );
  });

  it("keep their address under `one` while it is in the answer", async () => {
    const { source, sink, resolver, clock } = setUp([given("web", 80, { id: "w" })], "one");
    source.start(sink);
    await clock.advance(0);
    resolver.answer("web", ["10.0.0.2", "10.0.0.1"]);
    resolver.answer("web", ["10.0.0.1", "10.0.0.2"]);
    expect(sink.lists()).toEqual([["w=10.0.0.2:80"]]);
    resolver.answer("web", ["10.0.0.1", "10.0.0.3"]);
    expect(sink.lists().at(-1)).toEqual(["w=10.0.0.1:80"]);
  });

  it("hold the list back for one second at most", async () => {
    const { source, sink, clock, resolver } = setUp([
      given("slow", 80, { id: "s" }),
      given("10.0.0.9", 80, { id: "n" }),
    ]);
    source.start(sink);
    await clock.advance(999);
    expect(sink.snapshots).toEqual([]);
    await clock.advance(1);
    expect(sink.lists()).toEqual([["n=10.0.0.9:80"]]);
    resolver.answer("slow", ["10.0.0.1"]);
    expect(sink.lists().at(-1)).toEqual(["s=10.0.0.1:80", "n=10.0.0.9:80"]);
  });

  it("that fail are named, and never empty the list", async () => {
    const { source, sink, clock, resolver } = setUp([given("web", 80, { id: "w" })]);
    source.start(sink);
    await clock.advance(0);
    resolver.fail("web", "ENOTFOUND");
    expect(sink.snapshots).toEqual([]);
    expect(source.status()).toMatchObject({
      state: "starting",
      reason: "no address is known: web: ENOTFOUND",
    });
    resolver.answer("web", ["10.0.0.1"]);
    expect(source.status()).toMatchObject({ state: "live", reason: "" });
    resolver.fail("web", "ETIMEOUT");
    expect(sink.lists()).toEqual([["w=10.0.0.1:80"]]);
    expect(source.status()).toMatchObject({ state: "live", details: {} });
  });

  it("are let go by stop", async () => {
    const { source, sink, clock, resolver } = setUp([given("web", 80)]);
    source.start(sink);
    await clock.advance(0);
    expect(resolver.followed()).toEqual(["web"]);
    source.stop();
    expect(resolver.followed()).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
    resolver.answer("web", ["10.0.0.1"]);
    expect(sink.snapshots).toEqual([]);
  });

  it("survive a receiver that throws at their change", async () => {
    const { source, sink, clock, resolver, log } = setUp([given("web", 80, { id: "w" })]);
    source.start(sink);
    await clock.advance(0);
    const take = sink.onSnapshot.bind(sink);
    sink.onSnapshot = () => {
      throw new Error("no room");
    };
    resolver.answer("web", ["10.0.0.1"]);
    expect(log.lines.some((line) => line.level === "error")).toBe(true);
    sink.onSnapshot = take;
    resolver.answer("web", ["10.0.0.1"]);
    expect(sink.lists()).toEqual([["w=10.0.0.1:80"]]);
  });
});
