import { status } from "@grpc/grpc-js";
import { describe, expect, it, vi } from "vitest";
import { drainBackendMethod } from "../../../src/admin/drain-backend.js";
import {
  ClearTableEntriesRequest,
  DrainBackendRequest,
  DrainProgress,
  ExplainPickRequest,
  ListBackendsRequest,
  ListTableEntriesRequest,
  SetTableEntryRequest,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { insightMethods } from "../../../src/admin/insight.js";
import { listingMethods } from "../../../src/admin/listing.js";
import { Messages } from "../../../src/admin/messages.js";
import { renderMetrics } from "../../../src/admin/metrics.js";
import { tableMethods } from "../../../src/admin/tables.js";
import { Timestamps } from "../../../src/admin/timestamps.js";
import type { AffinityConfig } from "../../../src/config/affinity-model.js";
import type { Pool } from "../../../src/core/pool.js";
import { Affinity } from "../../../src/proxy/affinity.js";
import { cookieConfig } from "../../support/cookie-config.js";
import { ManualClock } from "../../support/manual-clock.js";
import { terms } from "../../support/pool-fixture.js";
import { backendOf, endpointOf, poolOf, Scene, silentLog } from "./scene.js";

const TABLE: AffinityConfig = { type: "table", on: "source", name: "", size: 1_000, expireMs: 60_000 };

const A = "consul/dc1///node/a@10.0.0.1:1";
const B = "consul/dc1///node/b@10.0.0.1:2";

function sceneOf(config: AffinityConfig = TABLE) {
  const clock = new ManualClock();
  const scene = new Scene({ clock });
  const web = scene.add(poolOf("web"), [endpointOf("a", 1), endpointOf("b", 2)]);
  const affinity = new Affinity({ algorithm: "roundrobin" }, config, web, clock);
  scene.affinities.set("web", affinity);
  scene.add(poolOf("plain"), [endpointOf("a", 1), endpointOf("c", 3)]);
  const time = new Timestamps(clock);
  const messages = new Messages(scene, time);
  const log = { ...silentLog, info: vi.fn() };
  return {
    clock,
    scene,
    web,
    affinity,
    log,
    drain: drainBackendMethod(scene, time, log),
    ...tableMethods(scene, time, log),
    ...listingMethods(scene, messages),
    ...insightMethods(scene, messages, time),
  };
}

/** Has a backend serve a client. */
function serve({ affinity, web }: { affinity: Affinity; web: Pool }, client: string, id: string): void {
  const wish = { avoid: [], hash: undefined, bound: undefined };
  affinity.beginTunnel(wish, client)?.servedBy(backendOf(web, id));
}

function refused(code: status, message: RegExp) {
  return expect.objectContaining({ code, message: expect.stringMatching(message) });
}

describe("ListTableEntries", () => {
  it("lists by key, a page at a time, and selects by key and backend", () => {
    const all = sceneOf();
    for (const [client, id] of [
      ["192.0.2.3", "a"],
      ["192.0.2.1", "b"],
      ["192.0.2.2", "a"],
    ] as const)
      serve(all, client, id);
    const list = (change: Partial<ListTableEntriesRequest>) =>
      all.listTableEntries(ListTableEntriesRequest.fromPartial(change));
    const first = list({ pageSize: 2 });
    expect([first.totalSize, first.entries.map(({ key, id }) => [key, id])]).toEqual([
      3,
      [
        ["192.0.2.1", "b"],
        ["192.0.2.2", "a"],
      ],
    ]);
    const second = list({ pageSize: 2, pageToken: first.nextPageToken });
    expect([second.entries.map(({ key }) => key), second.nextPageToken]).toEqual([["192.0.2.3"], ""]);
    expect(list({ backend: "a" }).entries.map(({ key }) => key)).toEqual(["192.0.2.2", "192.0.2.3"]);
    expect(list({ key: "192.0.2.1", backend: "a" }).entries).toEqual([]);
    expect(list({ key: "192.0.2.1" }).entries).toMatchObject([{ pool: "web", backend: B, reasons: [] }]);
  });

  it("leaves out what expired, and says why an entry's backend does not serve it", () => {
    const all = sceneOf();
    serve(all, "192.0.2.1", "b");
    all.web.setAdmin(backendOf(all.web, "b"), "drain", terms(), all.clock.nowMs());
    const entry = () => all.listTableEntries(ListTableEntriesRequest.fromPartial({})).entries[0];
    expect(entry()?.reasons).toEqual([]);
    all.web.setAdmin(backendOf(all.web, "b"), "maint", terms(), all.clock.nowMs());
    expect(entry()?.reasons).toEqual([expect.stringContaining("admin state is maint")]);
    all.web.apply({ endpoints: [endpointOf("a", 1)] }, all.clock.nowMs());
    expect(entry()).toMatchObject({ id: "", reasons: ["it is not there any more"] });
    const ofGone = ListTableEntriesRequest.fromPartial({ backend: B });
    expect(all.listTableEntries(ofGone).totalSize).toBe(1);
    all.clock.advanceSync(60_000);
    expect(entry()).toBeUndefined();
  });

  it("says which pools have no table, and what would give them one", () => {
    const { listTableEntries, scene } = sceneOf();
    const list = (pool: string) => () => listTableEntries(ListTableEntriesRequest.fromPartial({ pool }));
    expect(list("plain")).toThrow(
      refused(
        status.FAILED_PRECONDITION,
        /^pool plain has no stick table: nothing keeps its clients; affinity:/,
      ),
    );
    expect(list("wbe")).toThrow(refused(status.NOT_FOUND, /did you mean web/));
    scene.affinities.clear();
    expect(list("")).toThrow(refused(status.FAILED_PRECONDITION, /^no pool has a stick table/));
  });
});

describe("SetTableEntry", () => {
  it("binds a key, also to a drained backend, and tells the log who asked, but not the key", () => {
    const all = sceneOf();
    all.web.setAdmin(backendOf(all.web, "b"), "drain", terms(), 0);
    const request = SetTableEntryRequest.fromPartial({ key: "192.0.2.9", backend: "b", owner: "ann" });
    expect(all.setTableEntry(request).entries).toMatchObject([{ pool: "web", key: "192.0.2.9", id: "b" }]);
    const wish = { avoid: [], hash: undefined, bound: undefined };
    all.affinity.beginTunnel(wish, "192.0.2.9");
    expect(wish.bound).toBe(backendOf(all.web, "b"));
    const said = JSON.stringify(all.log.info.mock.calls);
    expect([said.includes("ann"), said.includes("192.0.2.9")]).toEqual([true, false]);
  });

  it("refuses a backend that is unknown, elsewhere or gone", () => {
    const all = sceneOf();
    const set = (backend: string, pool = "") => {
      const request = SetTableEntryRequest.fromPartial({ pool, key: "k", backend });
      return () => all.setTableEntry(request);
    };
    expect(set("zzz", "web")).toThrow(refused(status.NOT_FOUND, /no backend "zzz" in pool web/));
    expect(set("c")).toThrow(
      refused(status.FAILED_PRECONDITION, /^no pool that has a stick table \(web\) holds "c"/),
    );
    all.web.acquireFor({ avoid: [], bound: backendOf(all.web, "b") }, 0);
    all.web.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    expect(set("b")).toThrow(refused(status.FAILED_PRECONDITION, /^"b" left discovery/));
    expect(() => all.setTableEntry(SetTableEntryRequest.fromPartial({ backend: "a" }))).toThrow(
      refused(status.INVALID_ARGUMENT, /^key: must be set/),
    );
  });
});

describe("ClearTableEntries", () => {
  it("clears a key, a backend that may have left, or everything", () => {
    const all = sceneOf();
    for (const [client, id] of [
      ["1", "a"],
      ["2", "a"],
      ["3", "b"],
      ["4", "b"],
    ] as const)
      serve(all, client, id);
    const clear = (which: ClearTableEntriesRequest["which"]) =>
      all.clearTableEntries(ClearTableEntriesRequest.fromPartial({ which }));
    expect(clear({ $case: "key", value: "1" })).toEqual({ cleared: 1, pools: ["web"] });
    expect(clear({ $case: "backend", value: "a" }).cleared).toBe(1);
    all.web.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    expect(clear({ $case: "backend", value: B }).cleared).toBe(2);
    serve(all, "5", "a");
    expect([clear({ $case: "all", value: true }).cleared, all.affinity.table?.size]).toEqual([1, 0]);
  });

  it("wants to be told what", () => {
    const { clearTableEntries } = sceneOf();
    const clear = (which: ClearTableEntriesRequest["which"]) => () =>
      clearTableEntries(ClearTableEntriesRequest.fromPartial({ which }));
    expect(clear(undefined)).toThrow(refused(status.INVALID_ARGUMENT, /^which: one of key, backend and all/));
    expect(clear({ $case: "all", value: false })).toThrow(
      refused(status.INVALID_ARGUMENT, /^all: must be true/),
    );
    expect(clear({ $case: "backend", value: "zz" })).toThrow(refused(status.NOT_FOUND, /no backend "zz"/));
  });
});

describe("bound clients", () => {
  it("are shown with their backend, their pool and in metrics", () => {
    const all = sceneOf();
    for (const client of ["1", "2", "1"]) serve(all, client, "a");
    serve(all, "1", "b");
    const { backends } = all.listBackends(ListBackendsRequest.fromPartial({}));
    expect(backends.map(({ pool, id, bound }) => [pool, id, bound?.entries])).toEqual([
      ["plain", "a", undefined],
      ["plain", "c", undefined],
      ["web", "a", 1],
      ["web", "b", 1],
    ]);
    expect(backends[2]?.bound).toMatchObject({ lastKept: { nanos: 0 }, reasons: [] });
    const [plain, web] = all.listPools({ pageSize: 0, pageToken: "" }).pools;
    expect([plain?.affinity, web?.affinity]).toMatchObject([
      undefined,
      {
        kind: "table",
        text: "a table by the client's address",
        table: { entries: 2, limit: 1_000, stored: 3 },
      },
    ]);
    const metrics = [...renderMetrics(all.scene)].join("");
    expect(metrics).not.toMatch(/bound_sessions_total\{pool="plain"/);
    const lines = [
      'pilotfish_sticktable_used{pool="web"} 2',
      'pilotfish_sticktable_size{pool="web"} 1000',
      `pilotfish_backend_bound_entries{pool="web",backend="${A}",id="a"} 1`,
      'pilotfish_pool_bound_sessions_total{pool="web",fate="kept"} 1',
      'pilotfish_pool_bound_sessions_total{pool="web",fate="moved"} 1',
      'pilotfish_pool_bound_sessions_total{pool="web",fate="new"} 2',
    ];
    for (const line of lines) expect(metrics).toContain(`${line}\n`);
  });

  it("are waited for by a drain until they are cleared or expire, unless it is told not to", async () => {
    const all = sceneOf();
    serve(all, "1", "a");
    const watcher = {
      isOver: false,
      pause: async (ms: number | undefined) => all.clock.advanceSync(ms ?? 0),
      wake() {},
    };
    const drain = async (ignoreBound: boolean) => {
      const seen: [DrainProgress, number][] = [];
      const request = DrainBackendRequest.fromPartial({ pool: "web", backend: "a", ignoreBound });
      for await (const { progress, boundEntries } of all.drain(request, watcher))
        seen.push([progress, boundEntries]);
      return seen;
    };
    expect(await drain(true)).toEqual([[DrainProgress.DRAIN_PROGRESS_EMPTY, 1]]);
    const beginMs = all.clock.nowMs();
    const seen = await drain(false);
    expect([seen[0], seen.at(-1), all.clock.nowMs() - beginMs]).toEqual([
      [DrainProgress.DRAIN_PROGRESS_DRAINING, 1],
      [DrainProgress.DRAIN_PROGRESS_EMPTY, 0],
      60_000,
    ]);
  });
});

describe("ExplainPick of a client", () => {
  const explain = (all: ReturnType<typeof sceneOf>, change: Partial<ExplainPickRequest>) => {
    const answer = all.explainPick(ExplainPickRequest.fromPartial({ pool: "web", ...change }));
    const { picked, affinity, summary } = answer;
    return { picked, bound: affinity?.bound, place: affinity?.place, text: affinity?.text, summary };
  };

  it("tells who is bound where, and that the balancer decides for all others", () => {
    const all = sceneOf();
    serve(all, "192.0.2.1", "b");
    all.clock.advanceSync(10_000);
    expect(explain(all, { clientAddress: "192.0.2.1" })).toMatchObject({
      picked: B,
      bound: B,
      summary: "the client is bound to b at 10.0.0.1:2",
      text: `the table has 192.0.2.1 at ${B} for another 50 s; it goes there`,
    });
    expect(explain(all, { clientAddress: "192.0.2.2" }).text).toBe(
      "the table has no entry for 192.0.2.2; the balancer decides",
    );
    expect(explain(all, {}).text).toBe("the request has no client's address; the balancer decides");
    // To ask is no use of the entry.
    all.clock.advanceSync(50_000);
    expect(explain(all, { clientAddress: "192.0.2.1" }).bound).toBe("");
  });

  it("tells why a bound client stays in spite of, waits, or goes elsewhere", () => {
    const all = sceneOf();
    serve(all, "192.0.2.1", "b");
    const b = backendOf(all.web, "b");
    const text = (avoid: string[] = []) => explain(all, { clientAddress: "192.0.2.1", avoid }).text;
    all.web.setAdmin(b, "drain", terms(), 0);
    expect(text()).toMatch(/; it goes there, being bound, in spite of: admin state is drain/);
    expect(text(["b"])).toMatch(
      /; that one is to be avoided; whoever serves it instead is its backend then$/,
    );
    all.web.setAdmin(b, "maint", terms(), 0);
    expect(text()).toMatch(/; that one serves nobody: admin state is maint .*; whoever serves it instead/);
    all.web.setAdmin(b, "ready", terms(), 0);
    all.web.setLimit(b, 1, terms(), 0);
    all.web.acquireFor({ avoid: [], bound: b }, 0);
    expect(explain(all, { clientAddress: "192.0.2.1" })).toMatchObject({
      picked: "",
      text: expect.stringMatching(/; it waits for that one: at its limit: 1 of 1 in flight$/),
    });
  });

  it("reads what a cookie says", () => {
    const all = sceneOf(cookieConfig({ httpOnly: true, maxIdleMs: 60_000, secret: "", meta: "" }));
    const text = (cookies: Record<string, string>) => explain(all, { cookies }).text;
    expect(explain(all, { cookies: { other: "1", SRV: "b" } })).toMatchObject({
      picked: B,
      bound: B,
      text: "the cookie SRV names b at 10.0.0.1:2; it goes there",
    });
    expect(text({ SRV: "x" })).toBe("the cookie SRV names no backend that is there; the balancer decides");
    expect(text({ SRV: "b|AAAAB" })).toBe("the cookie SRV was unused for too long; the balancer decides");
    expect(text({ other: "1" })).toBe("the request has no cookie SRV; the balancer decides");
  });

  it("refuses what no request has", () => {
    const all = sceneOf();
    const bad: readonly (readonly [Partial<ExplainPickRequest>, RegExp])[] = [
      [{ clientAddress: "nowhere" }, /^client_address: must be an IP address, found "nowhere"/],
      [{ path: "x" }, /^path: must begin with \//],
      [{ headers: { a: "x".repeat(8_193) } }, /^headers: must be at most 8192 characters each/],
      [
        { cookies: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`c${at}`, ""])) },
        /^cookies: .* found 65/,
      ],
    ];
    for (const [change, message] of bad)
      expect(() => explain(all, change)).toThrow(refused(status.INVALID_ARGUMENT, message));
  });
});
