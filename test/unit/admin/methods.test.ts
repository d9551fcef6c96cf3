import { status } from "@grpc/grpc-js";
import { describe, expect, it, vi } from "vitest";
import { changeMethods } from "../../../src/admin/changes.js";
import {
  AdminState,
  EjectBackendRequest,
  ExplainPickRequest,
  ListBackendsRequest,
  LogLevel,
  SetLogLevelRequest,
  SetStateRequest,
  SetWeightRequest,
  UnejectBackendRequest,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { insightMethods } from "../../../src/admin/insight.js";
import { listingMethods } from "../../../src/admin/listing.js";
import { Messages } from "../../../src/admin/messages.js";
import { processMethods } from "../../../src/admin/process.js";
import { statsMethods } from "../../../src/admin/stats.js";
import { StatsBaseline } from "../../../src/admin/stats-baseline.js";
import { Timestamps, toDuration } from "../../../src/admin/timestamps.js";
import { ADAPTIVE_LIMIT } from "../../support/adaptive-limit.js";
import { ManualClock } from "../../support/manual-clock.js";
import { backendOf, endpointOf, poolOf, Scene, silentLog } from "./scene.js";

function sceneOf() {
  const clock = new ManualClock();
  const scene = new Scene({ clock });
  const web = scene.add(poolOf("web"), [endpointOf("a", 1, { weight: 10 }), endpointOf("b", 2)]);
  const api = scene.add(poolOf("api"), [endpointOf("a", 1), endpointOf("c", 3)]);
  const time = new Timestamps(clock);
  const messages = new Messages(scene, time);
  return {
    clock,
    scene,
    web,
    api,
    ...changeMethods(scene, messages, silentLog),
    ...listingMethods(scene, messages),
    ...insightMethods(scene, messages, time),
    ...processMethods(scene, time, silentLog),
    ...statsMethods(scene, new StatsBaseline(0), time, silentLog),
  };
}

function refused(code: status, message: RegExp | string) {
  return expect.objectContaining({
    code,
    message: message instanceof RegExp ? expect.stringMatching(message) : message,
  });
}

describe("SetWeight", () => {
  it("sets, lowers by percent and clears, and answers the weight in force", () => {
    const { setWeight } = sceneOf();
    const set = (change: SetWeightRequest["change"]) =>
      setWeight(SetWeightRequest.fromPartial({ pool: "web", backend: "a", change })).backends[0]?.weight;
    expect(set({ $case: "weight", value: 256 })).toMatchObject({
      inForce: 256,
      sixteenths: 4096,
      discovered: 10,
    });
    expect(set({ $case: "weight", value: 0 })?.inForce).toBe(0);
    expect(set({ $case: "percent", value: 50 })).toMatchObject({
      inForce: 5,
      override: { change: { value: 50 } },
    });
    expect(set({ $case: "percent", value: 25_600 })?.inForce).toBe(256);
    expect(set({ $case: "clear", value: true })).toMatchObject({ inForce: 10, override: undefined });
  });

  it("changes every pool that holds the backend when no pool is named", () => {
    const { setWeight, web, api } = sceneOf();
    const change = { $case: "weight", value: 7 } as const;
    const { backends } = setWeight(SetWeightRequest.fromPartial({ backend: "a", change }));
    expect(backends.map(({ pool }) => pool)).toEqual(["web", "api"]);
    expect([backendOf(web, "a").weight, backendOf(api, "a").weight, backendOf(web, "b").weight]).toEqual([
      7, 7, 1,
    ]);
  });

  it("keeps terms with the override and lets it expire", () => {
    const { setWeight, web, clock } = sceneOf();
    const { backends } = setWeight(
      SetWeightRequest.fromPartial({
        pool: "web",
        backend: "a",
        change: { $case: "weight", value: 7 },
        ttl: toDuration(5000),
        owner: "alice",
        reason: "canary",
      }),
    );
    expect(backends[0]?.weight?.override?.override).toMatchObject({
      owner: "alice",
      reason: "canary",
      expires: { seconds: 1_700_000_005n, nanos: 0 },
    });
    clock.advanceSync(4999);
    web.tick(clock.nowMs());
    expect(backendOf(web, "a").weight).toBe(7);
    clock.advanceSync(1);
    web.tick(clock.nowMs());
    expect(backendOf(web, "a").weight).toBe(10);
  });

  it.each([
    [{ backend: "a" }, "change: one of weight, percent and clear must be set"],
    [{ backend: "a", change: { $case: "weight", value: 257 } }, "weight: must be 0 to 256, found 257"],
    [
      { backend: "a", change: { $case: "percent", value: 25_601 } },
      "percent: must be 0 to 25600, found 25601",
    ],
    [{ backend: "a", change: { $case: "clear", value: false } }, "clear: must be true where it is set"],
    [{ change: { $case: "weight", value: 1 } }, "backend: must be set"],
    [
      { backend: "a", change: { $case: "weight", value: 1 }, ttl: toDuration(0) },
      /^ttl: must be greater than 0/,
    ],
    [{ backend: "a", change: { $case: "clear", value: true }, ttl: toDuration(1) }, /^ttl: clear takes/],
  ] as const)("refuses what is missing, out of range or contradictory: case %#", (request, message) => {
    const { setWeight, web } = sceneOf();
    expect(() => setWeight(SetWeightRequest.fromPartial(request))).toThrow(
      refused(status.INVALID_ARGUMENT, message),
    );
    expect(backendOf(web, "a").weight).toBe(10);
  });

  it("answers unknown names with the nearest and ambiguous ones with the keys", () => {
    const { setWeight, web, clock } = sceneOf();
    const change = { $case: "weight", value: 1 } as const;
    const set = (pool: string, backend: string) => () =>
      setWeight(SetWeightRequest.fromPartial({ pool, backend, change }));
    expect(set("wbe", "a")).toThrow(refused(status.NOT_FOUND, 'there is no pool "wbe"; did you mean web?'));
    expect(set("web", "10.0.0.1:3")).toThrow(
      refused(
        status.NOT_FOUND,
        'there is no backend "10.0.0.1:3" in pool web; did you mean 10.0.0.1:1 or 10.0.0.1:2?',
      ),
    );
    web.apply(
      { endpoints: [endpointOf("a", 1), endpointOf("a", 9, { key: "consul/dc1///other/a" })] },
      clock.nowMs(),
    );
    expect(set("web", "a")).toThrow(
      refused(
        status.FAILED_PRECONDITION,
        /use the full key: consul\/dc1\/\/\/node\/a, consul\/dc1\/\/\/other\/a$/,
      ),
    );
  });

  it("takes one id that means different instances in different pools for ambiguous, but not an address", () => {
    const { setWeight, api, clock } = sceneOf();
    api.apply({ endpoints: [endpointOf("a", 1, { key: "static/a" })] }, clock.nowMs());
    const change = { $case: "weight", value: 3 } as const;
    expect(() => setWeight(SetWeightRequest.fromPartial({ backend: "a", change }))).toThrow(
      refused(status.FAILED_PRECONDITION, /different pools/),
    );
    expect(setWeight(SetWeightRequest.fromPartial({ backend: "10.0.0.1:1", change })).backends).toHaveLength(
      2,
    );
  });

  it("refuses one overridden key too many, but lets overrides be taken back", () => {
    const { setWeight, setState, web } = sceneOf();
    vi.spyOn(web.overrides, "canHold").mockImplementation((key) => key !== "consul/dc1///node/a");
    const set = (backend: string, change: SetWeightRequest["change"]) =>
      setWeight(SetWeightRequest.fromPartial({ pool: "web", backend, change }));
    const full = refused(status.RESOURCE_EXHAUSTED, /take some back first$/);
    expect(() => set("a", { $case: "weight", value: 1 })).toThrow(full);
    const state = (to: AdminState) => SetStateRequest.fromPartial({ pool: "web", backend: "a", state: to });
    expect(() => setState(state(AdminState.ADMIN_STATE_DRAIN))).toThrow(full);
    expect(set("a", { $case: "clear", value: true }).backends).toHaveLength(1);
    expect(setState(state(AdminState.ADMIN_STATE_READY)).backends).toHaveLength(1);
    expect(set("b", { $case: "weight", value: 4 }).backends[0]?.weight?.inForce).toBe(4);
  });
});

describe("SetState", () => {
  const set = (state: AdminState, more: object = {}) =>
    SetStateRequest.fromPartial({ pool: "web", backend: "a", state, ...more });

  it("takes a backend out and back", () => {
    const { setState } = sceneOf();
    const [drained] = setState(
      set(AdminState.ADMIN_STATE_DRAIN, { owner: "alice", reason: "deploy" }),
    ).backends;
    expect(drained).toMatchObject({
      eligible: false,
      reasons: ["admin state is drain (by alice: deploy)"],
      admin: { state: AdminState.ADMIN_STATE_DRAIN, override: { owner: "alice" } },
    });
    const [ready] = setState(set(AdminState.ADMIN_STATE_READY)).backends;
    expect(ready).toMatchObject({ eligible: true, reasons: [], admin: { override: undefined } });
  });

  it("does not lift an ejection with READY", () => {
    const { setState, web, clock } = sceneOf();
    web.eject(backendOf(web, "a"), undefined, "slow", clock.nowMs());
    expect(setState(set(AdminState.ADMIN_STATE_READY)).backends[0]?.eligible).toBe(false);
  });

  it.each([
    [set(AdminState.ADMIN_STATE_UNSPECIFIED), /^state: must be ADMIN_STATE_READY/],
    [{ ...set(AdminState.ADMIN_STATE_READY), state: 77 as AdminState }, /^state: must be/],
    [set(AdminState.ADMIN_STATE_READY, { ttl: toDuration(1) }), /^ttl: READY takes/],
  ])("refuses what makes no sense", (request, message) => {
    expect(() => sceneOf().setState(request)).toThrow(refused(status.INVALID_ARGUMENT, message));
  });
});

describe("EjectBackend and UnejectBackend", () => {
  const eject = (backend: string, more: object = {}) =>
    EjectBackendRequest.fromPartial({ pool: "web", backend, ...more });
  const unEject = UnejectBackendRequest.fromPartial({ pool: "web", backend: "a", owner: "bob" });

  it("ejects for the time asked, and back before it is over", () => {
    const { ejectBackend, unejectBackend } = sceneOf();
    const [ejected] = ejectBackend(
      eject("a", { ttl: toDuration(60_000), owner: "alice", reason: "slow" }),
    ).backends;
    expect(ejected).toMatchObject({
      eligible: false,
      reasons: ["ejected (manual by alice: slow)"],
      detection: { cause: "manual", until: { seconds: 1_700_000_060n } },
    });
    expect(unejectBackend(unEject).backends[0]).toMatchObject({ eligible: true });
    expect(() => unejectBackend(unEject)).toThrow(refused(status.FAILED_PRECONDITION, /is not ejected/));
  });

  it("spares the last usable backend unless forced", () => {
    const { ejectBackend, web } = sceneOf();
    ejectBackend(eject("b"));
    expect(() => ejectBackend(eject("a"))).toThrow(refused(status.FAILED_PRECONDITION, /set force$/));
    expect(web.eligibleCount).toBe(1);
    ejectBackend(eject("a", { force: true }));
    expect(web.eligibleCount).toBe(0);
  });

  it("ejects nowhere when one of the pools would be left without", () => {
    const { ejectBackend, web, api, clock } = sceneOf();
    api.apply({ endpoints: [endpointOf("a", 1)] }, clock.nowMs());
    expect(() => ejectBackend(EjectBackendRequest.fromPartial({ backend: "a" }))).toThrow(
      /last backend of pool api/,
    );
    expect(web.eligibleCount).toBe(2);
  });

  it("says that one which left discovery cannot be ejected", () => {
    const { ejectBackend, web, clock } = sceneOf();
    web.acquire([backendOf(web, "b")], clock.nowMs());
    web.apply({ endpoints: [endpointOf("b", 2)] }, clock.nowMs());
    expect(() => ejectBackend(eject("a"))).toThrow(refused(status.FAILED_PRECONDITION, /left discovery/));
  });
});

describe("ListPools and ListBackends", () => {
  it("lists in order, a page at a time", () => {
    const { listPools, listBackends } = sceneOf();
    expect(listPools({ pageSize: 0, pageToken: "" })).toMatchObject({
      pools: [
        { name: "api", backends: 2, sources: [{ details: { index: "17" } }] },
        { name: "web", eligible: 2 },
      ],
      totalSize: 2,
    });
    const ask = (change: object) => listBackends(ListBackendsRequest.fromPartial({ pageSize: 3, ...change }));
    const first = ask({});
    expect(first.backends.map(({ pool, id }) => `${pool} ${id}`)).toEqual(["api a", "api c", "web a"]);
    expect(first.totalSize).toBe(4);
    expect(ask({ pageToken: first.nextPageToken })).toMatchObject({
      backends: [{ id: "b" }],
      nextPageToken: "",
    });
    expect(() => ask({ pageToken: first.nextPageToken, pool: "web" })).toThrow(
      /^page_token: belongs to another/,
    );
  });

  it("says what zones mean for a pool, and counts who went where", () => {
    const scene = sceneOf();
    const zone = { own: "a", minPercent: 100, minBackends: 2, spillFactor: 0 };
    const tiers = { allBackups: false, panicThreshold: 0, zone };
    const near = endpointOf("near", 4, { zone: "a" });
    const zoned = scene.scene.add(poolOf("zoned", { tiers }), [near, endpointOf("far", 5, { zone: "b" })]);
    zoned.acquire([], scene.clock.nowMs());
    const zones = scene.listPools({ pageSize: 0, pageToken: "" }).pools.map((pool) => pool.zone);
    const words = "the own zone a comes first: 1 of 2 healthy backends, 50% of the weight of 2 zones";
    expect(zones).toEqual(["", "", words]);
    expect(zoned.total("ownZonePicks")).toBe(1);
  });

  it("counts who waits in a pool and at a backend, with the limits of both", () => {
    const scene = sceneOf();
    const pool = scene.scene.add(
      poolOf("queued", { maxQueue: 9, maxQueuePerBackend: 4, adaptiveLimit: ADAPTIVE_LIMIT }),
      [endpointOf("q", 7)],
    );
    const [backend] = pool.backends();
    const waiter = { avoid: [], granted: () => undefined, stranded: () => undefined };
    pool.enqueue(waiter, 0);
    pool.enqueue({ ...waiter, bound: backend }, 0);
    pool.enqueue({ ...waiter, bound: backend }, 0)?.cancel();
    const adaptive = { limit: 3, minRttMs: undefined, latencyMs: undefined, measuring: true };
    const ofBackend = { inFlightLimit: 3, queue: 1, queueMax: 2, queueLimit: 4, adaptive };
    const { pools } = scene.getStats({ pool: "queued", backend: "", poolsOnly: false });
    expect(pools).toMatchObject([{ queue: 2, queueMax: 3, queueLimit: 9, members: [ofBackend] }]);
    expect(scene.listBackends(ListBackendsRequest.fromPartial({ pool: "queued" })).backends).toMatchObject([
      ofBackend,
    ]);
    const [other] = scene.getStats({ pool: "web", backend: "", poolsOnly: false }).pools;
    expect(other?.members.map((each) => each.adaptive)).toEqual([undefined, undefined]);
  });

  it("tells what listeners let wait and refused", () => {
    const [front] = sceneOf().getInfo({}).listeners;
    expect(front).toMatchObject({ waiting: 4, maxWaiting: 50, refusedFull: 5, refusedPerAddress: 6 });
  });

  it("says how many wait for a backend alone, and how many did at most", () => {
    const { web, listBackends } = sceneOf();
    const backend = [...web.backends()][0];
    const waiter = { avoid: [], bound: backend, granted: () => undefined, stranded: () => undefined };
    web.enqueue(waiter, 0);
    web.enqueue(waiter, 0)?.cancel();
    const { backends } = listBackends(ListBackendsRequest.fromPartial({ pool: "web" }));
    const queues = backends.map(({ backend: id, queue, queueMax }) => [id, queue, queueMax]);
    expect(queues.filter(([, , most]) => most !== 0)).toEqual([[backend?.id, 1, 2]]);
  });

  it("selects by pool, backend and eligibility", () => {
    const { listBackends, setState } = sceneOf();
    setState(SetStateRequest.fromPartial({ pool: "web", backend: "a", state: AdminState.ADMIN_STATE_MAINT }));
    const ids = (change: Partial<ListBackendsRequest>) =>
      listBackends(ListBackendsRequest.fromPartial(change)).backends.map(({ pool, id }) => `${pool} ${id}`);
    expect(ids({ backend: "a" })).toEqual(["api a", "web a"]);
    expect(ids({ pool: "web", eligible: true })).toEqual(["web b"]);
    expect(ids({ pool: "web", eligible: false })).toEqual(["web a"]);
  });
});

describe("ExplainPick", () => {
  it("needs a pool where there are several, and limits what is asked", () => {
    const { explainPick } = sceneOf();
    const ask = (change: Partial<ExplainPickRequest>) => () =>
      explainPick(ExplainPickRequest.fromPartial(change));
    expect(ask({})).toThrow("pool: must be set: there are 2 pools");
    expect(ask({ pool: "web", maxCandidates: 1001 })).toThrow(/^max_candidates: must be 0 to 1000/);
    expect(ask({ pool: "web", avoid: new Array<string>(17).fill("a") })).toThrow(
      /^avoid: must hold at most 16/,
    );
    expect(ask({ pool: "web", avoid: ["zzz"] })).toThrow(refused(status.NOT_FOUND, /"zzz"/));
    const answer = ask({ pool: "web", avoid: ["a"], maxCandidates: 1 })();
    expect(answer).toMatchObject({
      picked: "consul/dc1///node/b@10.0.0.1:2",
      candidates: [{ id: "b", picked: true, load: 0 }],
      totalCandidates: 2,
    });
  });

  it("tells which limit counts for tunnels where a tcp listener uses the pool", () => {
    const { explainPick, scene, web } = sceneOf();
    const summary = () => explainPick(ExplainPickRequest.fromPartial({ pool: "web" })).summary;
    web.reconfigure({ ...web.options, maxRequestsPerBackend: 1 }, 0);
    expect(summary()).not.toContain("tunnels");
    scene.tunnelPools.add("web");
    expect(summary()).toMatch(
      /; limits of requests alone do not concern tunnels .*: 2 of 2 have room for one$/,
    );
  });
});

describe("the process", () => {
  it("changes the log level for a while and for good", () => {
    const { setLogLevel, scene, clock } = sceneOf();
    const set = (level: LogLevel, ttlMs?: number) =>
      setLogLevel(
        SetLogLevelRequest.fromPartial({ level, ttl: ttlMs === undefined ? undefined : toDuration(ttlMs) }),
      );
    expect(set(LogLevel.LOG_LEVEL_DEBUG, 1000)).toMatchObject({ previous: LogLevel.LOG_LEVEL_INFO });
    set(LogLevel.LOG_LEVEL_TRACE, 2000);
    clock.advanceSync(1999);
    expect(scene.level).toBe("trace");
    clock.advanceSync(1);
    expect(scene.level).toBe("info");
    set(LogLevel.LOG_LEVEL_DEBUG, 1000);
    set(LogLevel.LOG_LEVEL_WARN);
    clock.advanceSync(5000);
    expect(scene.level).toBe("warn");
    expect(() => set(LogLevel.LOG_LEVEL_UNSPECIFIED)).toThrow(/^level: must be/);
  });

  it("hands problems of a configuration on with their place", () => {
    const { checkConfig } = sceneOf();
    expect(checkConfig({ text: "nmae: x" })).toEqual({
      valid: false,
      problems: [{ line: 3, column: 5, path: "pools[0].nmae", message: "unknown key; did you mean name?" }],
    });
    expect(checkConfig({ text: "name: x" })).toEqual({ valid: true, problems: [] });
    expect(() => checkConfig({ text: "" })).toThrow(/^text: must hold/);
  });

  it("begins to drain and says how much is open", () => {
    const { drainProxy, scene, web, clock } = sceneOf();
    web.acquire([], clock.nowMs());
    expect(drainProxy({ deadline: toDuration(9000), owner: "", reason: "" })).toEqual({
      state: 3,
      inFlight: 1,
      openConnections: 3,
    });
    expect(scene.drained).toEqual([9000]);
  });

  it("reloads, and tells what changed or what stood in the way", async () => {
    const scene = sceneOf();
    const ask = { dryRun: false, owner: "", reason: "" };
    const change = { path: "pools[web].timeouts.connectMs", from: "5000", to: undefined };
    expect(await scene.reloadConfig(ask)).toEqual({ problems: [], applied: true, changes: [change] });
    expect((await scene.reloadConfig({ ...ask, dryRun: true })).applied).toBe(false);
  });
});
