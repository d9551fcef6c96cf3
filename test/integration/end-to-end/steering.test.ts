import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminStream, callAdmin, type Json } from "../../support/admin-client.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { until } from "../../support/promised.js";
import type { Sidecar } from "../../support/sidecar.js";
import { type Admin, Stage, sharedConsul } from "./stage.js";

const consul = sharedConsul();
let stage: Stage;

interface Scene {
  readonly one: BackendProcess;
  readonly two: BackendProcess;
  readonly sidecar: Sidecar;
  readonly admin: Admin;
}

async function scene(pool: object = {}): Promise<Scene> {
  stage = await Stage.openWithConsul(consul());
  const [one, two] = await stage.backends("one", "two");
  if (one === undefined || two === undefined) throw new Error("no backends");
  for (const backend of [one, two]) await stage.register("web", backend);
  const sidecar = await stage.sidecarFor("web", { pool });
  const admin = stage.admin(sidecar);
  await admin.settles("one", "two");
  return { one, two, sidecar, admin };
}

/** Who answers the next requests, one after another. */
async function next(sidecar: Sidecar, count: number): Promise<string[]> {
  const answers: string[] = [];
  for (let number = 0; number < count; number++) answers.push((await ask(sidecar.port())).backend);
  return answers;
}

function countOf(answers: readonly string[], id: string): number {
  return answers.filter((each) => each === id).length;
}

/** Who comes back gets in line where it may have two turns with one of the others between. */
function expectAbout(wanted: number, found: number): void {
  expect(found).toBeGreaterThanOrEqual(wanted - 1);
  expect(found).toBeLessThanOrEqual(wanted + 1);
}

describe.skipIf(isConsulMissing())("outlier detection", () => {
  afterEach(() => stage.close());

  it("ejects a backend that answers 500 and takes it back when its time is served", async () => {
    const { one, two, sidecar, admin } = await scene({
      outlierDetection: { consecutive5xx: 3, baseEjectionTime: "1500ms", interval: "100ms" },
    });
    two.set({ status: 500 });
    const load = stage.load("eject", { port: sidecar.port(), open: 4 });
    await until(async () => (await admin.eligible()).join() === "one", 5_000, "the ejection");
    const ejected = (await admin.backends()).find(({ id }) => id === "two");
    expect(ejected?.reasons.join()).toContain("eject");
    two.set({ status: 200 });
    const { executed } = await two.counts();
    await load.more(200);
    expect((await two.counts()).executed).toBe(executed);
    await until(async () => (await admin.eligible()).length === 2, 5_000, "the return");
    await load.more(200);
    const report = await load.stop();
    // Three in a row, and those that were in flight when the third was answered.
    expect(report.failed.length).toBeGreaterThanOrEqual(3);
    expect(report.failed.length).toBeLessThanOrEqual(6);
    expect(report.failed.every(({ status, backend }) => status === 500 && backend === "two")).toBe(true);
    expect((await two.counts()).executed).toBeGreaterThan(executed);
    expect(sidecar.isOver).toBe(false);
    expect((await one.counts()).executed).toBeGreaterThan(200);
    expect(await sidecar.metric("pilotfish_invariants_broken_total")).toBe(0);
  });

  it("never takes the last usable backend", async () => {
    const { one, two, sidecar, admin } = await scene({
      outlierDetection: { consecutive5xx: 2, baseEjectionTime: "60s", maxEjectionPercent: 100 },
    });
    for (const backend of [one, two]) backend.set({ status: 503 });
    for (let number = 0; number < 20; number++) expect((await ask(sidecar.port())).status).toBe(503);
    expect(await admin.eligible()).toHaveLength(1);
  });
});

describe.skipIf(isConsulMissing())("a client that knows only reflection", () => {
  // One scene for all: each leaves it as it was.
  let all: Scene;

  beforeAll(async () => {
    all = await scene();
  });
  afterAll(() => stage.close());
  beforeEach(() => all.admin.settles("one", "two"));

  it("sets weights for the very next pick", async () => {
    const { sidecar } = all;
    const set = (change: Json) =>
      callAdmin(sidecar.grpc, "SetWeight", { pool: "web", backend: "one", ...change });
    await set({ weight: 0 });
    expect(countOf(await next(sidecar, 10), "one")).toBe(0);
    await set({ weight: 3 });
    expectAbout(30, countOf(await next(sidecar, 40), "one"));
    await set({ clear: true });
    expectAbout(10, countOf(await next(sidecar, 20), "one"));
  });

  it("sets states for the very next pick", async () => {
    const { sidecar, admin } = all;
    for (const state of ["ADMIN_STATE_DRAIN", "ADMIN_STATE_MAINT"]) {
      await callAdmin(sidecar.grpc, "SetState", { backend: "two", state, reason: "by hand" });
      expect(countOf(await next(sidecar, 10), "two")).toBe(0);
      expect((await admin.backends()).find(({ id }) => id === "two")?.reasons.join()).toContain("by hand");
      await callAdmin(sidecar.grpc, "SetState", { backend: "two", state: "ADMIN_STATE_READY" });
      expectAbout(5, countOf(await next(sidecar, 10), "two"));
    }
  });

  it("ejects and takes back by hand", async () => {
    const { sidecar } = all;
    await callAdmin(sidecar.grpc, "EjectBackend", { pool: "web", backend: "two" });
    expect(countOf(await next(sidecar, 10), "two")).toBe(0);
    await callAdmin(sidecar.grpc, "UnejectBackend", { pool: "web", backend: "two" });
    expectAbout(5, countOf(await next(sidecar, 10), "two"));
  });

  it("drains a backend until its last open request has ended", async () => {
    const { two, sidecar, admin } = all;
    const before = (await two.counts()).open;
    expect(before).toBe(0);
    await callAdmin(sidecar.grpc, "SetWeight", { backend: "one", weight: 0 });
    const held = ask(sidecar.port(), "/hold");
    await until(async () => (await two.counts()).open === 1, 5_000, "the open request");
    await callAdmin(sidecar.grpc, "SetWeight", { backend: "one", clear: true });

    const stream = new AdminStream(sidecar.grpc, "DrainBackend", { pool: "web", backend: "two" });
    stage.defer(() => stream.stop());
    expect(await stream.until(() => true)).toMatchObject({
      progress: "DRAIN_PROGRESS_DRAINING",
      inFlight: 1,
      requests: 1,
    });
    expect(countOf(await next(sidecar, 10), "two")).toBe(0);
    two.release();
    expect(await held).toMatchObject({ status: 200, backend: "two" });
    await stream.until(({ progress }) => progress === "DRAIN_PROGRESS_EMPTY");
    expect(await stream.ended()).toBe(0);
    expect(await admin.eligible()).toEqual(["one"]);
    expect(countOf(await next(sidecar, 10), "two")).toBe(0);
    await callAdmin(sidecar.grpc, "SetState", { backend: "two", state: "ADMIN_STATE_READY" });
  });

  it("sees the same numbers as those who were served", async () => {
    const { sidecar } = all;
    await callAdmin(sidecar.grpc, "ResetStats", {});
    const report = await stage.load("stats", { port: sidecar.port(), open: 4, total: 200 }).finish();
    expect(report.problems()).toEqual({});
    expect(await callAdmin(sidecar.grpc, "GetStats", { pool: "web" })).toMatchObject({
      pools: [{ pool: "web", counters: { served: 200, success: 200 } }],
    });
    expect(await callAdmin(sidecar.grpc, "ExplainPick", {})).toMatchObject({ totalCandidates: 2 });
    expect(await sidecar.metric("pilotfish_backend_current_sessions")).toBe(0);
  });
});
