import { afterEach, describe, expect, it } from "vitest";
import { SourceState } from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { pause, until } from "../../support/promised.js";
import { Stage, show } from "./stage.js";

let stage: Stage;

afterEach(() => stage.close());

/** A duration of the API in milliseconds; -1 for none. */
function ageMs(age: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return age === undefined ? -1 : Number(age.seconds) * 1000 + age.nanos / 1e6;
}

describe.skipIf(isConsulMissing())("without Consul", () => {
  it("traffic goes on, through an agent that comes back knowing nothing, until it is told again", async () => {
    stage = await Stage.openWithConsul();
    const backends = await stage.backends("one", "two");
    for (const backend of backends) {
      backend.set({ delayMs: 5 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web", {
      process: { consul: { ...stage.consulConfig, emptyGrace: "20s" } },
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two");
    const load = stage.load("outage", { port: sidecar.port(), open: 8, methods: ["GET", "POST"] });
    await load.more(200);

    await stage.consul.kill();
    const stale = await admin.sourceIs(SourceState.SOURCE_STATE_STALE);
    expect(stale.reason).not.toBe("");
    expect(stale.endpoints).toBe(2);
    const soon = ageMs(stale.age);
    await load.more(500);
    await pause(300);
    const later = ageMs((await admin.source()).age);
    expect(later).toBeGreaterThan(soon + 250);
    expect(await admin.eligible()).toEqual(["one", "two"]);
    expect(await sidecar.readiness()).toBe(200);

    // An agent in memory comes back with an empty catalog.
    await stage.consul.restart();
    const suspect = await admin.sourceIs(SourceState.SOURCE_STATE_SUSPECT);
    expect(suspect.reason).toContain("empty list, not believed");
    await load.more(500);
    expect(await admin.eligible()).toEqual(["one", "two"]);

    for (const backend of backends) await stage.register("web", backend);
    await admin.sourceIs(SourceState.SOURCE_STATE_LIVE);
    await admin.settles("one", "two");
    const [three] = await stage.backends("three");
    if (three === undefined) throw new Error("no backend");
    const registeredMs = performance.now();
    await stage.register("web", three);
    await admin.settles("one", "three", "two");
    show("after the outage", { "change seen after ms": (performance.now() - registeredMs).toFixed(0) });
    await load.more(200);
    const report = await load.stop();
    expect(report.problems()).toEqual({});
    expect(report.shares().get("three")).toBeGreaterThan(0);
  }, 40_000);

  it("a catalog that loses everything at once takes nothing from a pool whose backends answer", async () => {
    stage = await Stage.openWithConsul();
    const backends = await stage.backends("one", "two");
    for (const backend of backends) await stage.register("web", backend);
    const sidecar = await stage.sidecarFor("web");
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two");
    const load = stage.load("mass deregistration", {
      port: sidecar.port(),
      open: 8,
      methods: ["GET", "POST"],
    });
    await load.more(200);
    for (const backend of backends) await stage.deregister(backend);
    const suspect = await admin.sourceIs(SourceState.SOURCE_STATE_SUSPECT);
    expect(suspect.reason).toContain("the answer leaves 0 of 1 that took work");
    expect([suspect.held, suspect.suspicions, await sidecar.metric("pilotfish_discovery_suspect")]).toEqual([
      1, 1, 1,
    ]);
    await load.more(500);
    for (const backend of backends) await stage.register("web", backend);
    await admin.sourceIs(SourceState.SOURCE_STATE_LIVE);
    await admin.settles("one", "two");
    await load.more(200);
    expect((await load.stop()).problems()).toEqual({});
  }, 40_000);

  it("an instance that comes and goes is suppressed, seen in admin and metrics, and no request fails", async () => {
    stage = await Stage.openWithConsul();
    const backends = await stage.backends("one", "two", "flapper");
    for (const backend of backends) await stage.register("web", backend);
    const sidecar = await stage.sidecarFor("web", {
      pool: { flapDamping: { halfLife: "1s", maxSuppress: "4s" } },
    });
    const admin = stage.admin(sidecar);
    await admin.settles("flapper", "one", "two");
    const load = stage.load("flapping", { port: sidecar.port(), open: 8, methods: ["GET", "POST"] });
    await load.more(200);
    const flapper = backends[2];
    if (flapper === undefined) throw new Error("no backend");
    const isSuppressed = async () => {
      await stage.deregister(flapper);
      await admin.settles("one", "two");
      await stage.register("web", flapper);
      await until(async () => (await admin.backends()).length === 3, 5_000, "its return");
      return (await sidecar.metric("pilotfish_pool_suppressed_servers")) === 1;
    };
    await until(isSuppressed, 10_000, "its suppression");
    const row = (await admin.backends()).find(({ id }) => id === "flapper");
    expect(row?.eligible).toBe(false);
    expect(row?.reasons.join()).toContain("suppressed, since it comes and goes (left ");
    await load.more(200);
    await admin.settles("flapper", "one", "two");
    await load.more(200);
    expect((await load.stop()).problems()).toEqual({});
  }, 40_000);

  it("an empty list is believed once its grace is over, and without one from an agent that never failed", async () => {
    stage = await Stage.openWithConsul();
    const [one] = await stage.backends("one");
    if (one === undefined) throw new Error("no backend");
    await stage.register("web", one);
    const sidecar = await stage.sidecarFor("web", {
      process: { consul: { ...stage.consulConfig, emptyGrace: "1s" } },
      pool: { suspicion: { evidence: "2s" } },
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one");
    await stage.deregister(one);
    await admin.settles();
    const refused = await ask(sidecar.port());
    expect([refused.status, refused.body]).toEqual([503, "503 pilotfish: no usable backend in pool web\n"]);
    await stage.register("web", one);
    await admin.settles("one");
    expect((await ask(sidecar.port())).status).toBe(200);

    await stage.consul.restart();
    await admin.sourceIs(SourceState.SOURCE_STATE_SUSPECT);
    expect(await admin.eligible()).toEqual(["one"]);
    await until(
      async () => (await admin.eligible()).length === 0,
      5_000,
      "the end of the grace, and of the sign of life",
    );
    expect((await admin.source()).state).toBe(SourceState.SOURCE_STATE_LIVE);
  });

  it("a start waits for the first list, opens without one at its deadline, and serves when one comes", async () => {
    stage = await Stage.openWithConsul();
    const [one] = await stage.backends("one");
    if (one === undefined) throw new Error("no backend");
    await stage.consul.kill();
    const startedMs = performance.now();
    const sidecar = await stage.launch({
      startDeadline: "1200ms",
      consul: stage.consulConfig,
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [{ name: "web", discovery: { type: "consul", service: "web" } }],
    });
    await sidecar.line(({ msg }) => msg === "admin http listening");
    expect(await sidecar.readiness()).toBe(503);
    expect(sidecar.log.some(({ msg }) => msg === "listening")).toBe(false);
    await sidecar.ready();
    expect(performance.now() - startedMs).toBeGreaterThan(1150);
    expect(sidecar.log.some(({ msg }) => String(msg).includes("no list before the start deadline"))).toBe(
      true,
    );
    expect(await sidecar.readiness()).toBe(200);
    const refused = await ask(sidecar.port());
    expect(refused.status).toBe(503);
    expect(refused.body).toContain("no usable backend in pool web");

    await stage.consul.restart();
    await stage.register("web", one);
    const admin = stage.admin(sidecar);
    await admin.settles("one");
    expect(await ask(sidecar.port())).toMatchObject({ status: 200, backend: "one" });
  });
});
