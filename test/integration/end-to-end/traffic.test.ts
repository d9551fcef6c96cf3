import { afterEach, describe, expect, it } from "vitest";
import { type BackendProcess, executions } from "../../support/backend-process.js";
import { isConsulMissing } from "../../support/consul.js";
import type { LoadReport } from "../../support/load.js";
import { promised } from "../../support/promised.js";
import { Stage, sharedConsul, show } from "./stage.js";

const REQUESTS = 10_000;
const OPEN = 64;

const consul = sharedConsul();
let stage: Stage;

afterEach(() => stage.close());

function percentOf(report: LoadReport, backend: BackendProcess): number {
  return (100 * (report.shares().get(backend.id) ?? 0)) / report.results.length;
}

function shareTable(report: LoadReport, backends: readonly BackendProcess[]): Record<string, string> {
  const shares = backends.map((each) => [each.id, `${percentOf(report, each).toFixed(1)} %`]);
  return {
    ...Object.fromEntries(shares),
    "p50 ms": report.latency(0.5).toFixed(1),
    "p99 ms": report.latency(0.99).toFixed(1),
  };
}

describe.skipIf(isConsulMissing())("traffic from a Consul catalog", () => {
  it("is spread evenly over equals, and a slow one gets less than its turn", async () => {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two", "three");
    const [one, two, three] = backends as [BackendProcess, BackendProcess, BackendProcess];
    for (const backend of backends) {
      backend.set({ delayMs: 10 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web");

    const equal = await stage.load("equal", { port: sidecar.port(), open: OPEN, total: REQUESTS }).finish();
    show("three equal backends", shareTable(equal, backends));
    expect(equal.problems()).toEqual({});
    const shares = [...equal.shares().values()];
    expect(shares).toHaveLength(3);
    expect(Math.min(...shares)).toBeGreaterThan(0.8 * Math.max(...shares));

    three.set({ delayMs: 30 });
    const slow = await stage.load("slow", { port: sidecar.port(), open: OPEN, total: REQUESTS }).finish();
    show("the third three times slower", shareTable(slow, backends));
    expect(slow.problems()).toEqual({});
    // A third would be its turn; a seventh would be perfect.
    expect(percentOf(slow, three)).toBeLessThan(25);
    expect(percentOf(slow, one)).toBeGreaterThan(0.8 * percentOf(slow, two));
    expect(percentOf(slow, two)).toBeGreaterThan(0.8 * percentOf(slow, one));
    expect([...executions(backends).values()].every((times) => times === 1)).toBe(true);
  }, 60_000);

  it("leaves an instance that is deregistered without a failure", async () => {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two", "three");
    const [, , three] = backends as [BackendProcess, BackendProcess, BackendProcess];
    for (const backend of backends) {
      backend.set({ delayMs: 5 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web");
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two", "three");
    const load = stage.load("leave", { port: sidecar.port(), open: 32, methods: ["GET", "POST"] });
    await load.more(1000);
    await stage.deregister(three);
    await admin.gone("three");
    const { executed } = await three.counts();
    await load.more(1000);
    const report = await load.stop();
    expect(report.problems()).toEqual({});
    expect((await three.counts()).executed).toBe(executed);
    expect(executed).toBeGreaterThan(100);
  });

  it("loses at most what is in flight on an instance that is killed, and sends no POST twice", async () => {
    stage = await Stage.openWithConsul(consul());
    const backends = await stage.backends("one", "two", "three");
    const [, , three] = backends as [BackendProcess, BackendProcess, BackendProcess];
    for (const backend of backends) {
      backend.set({ delayMs: 8 });
      await stage.register("web", backend);
    }
    const sidecar = await stage.sidecarFor("web");
    const load = stage.load("kill", { port: sidecar.port(), open: 48, methods: ["GET", "POST"] });
    await load.more(2000);
    three.kill();
    await promised(three.ended, 5_000, "the end of a killed backend");
    const killedMs = performance.now();
    await load.more(3000);
    const report = await load.stop();

    const { unanswered } = three.record();
    const { failed } = report;
    show("one of three killed at 48 open", {
      "in flight on it": unanswered.size,
      failed: failed.length,
      "failed GET": failed.filter(({ method }) => method === "GET").length,
    });
    // What it had not begun can be lost too, but only what was on its way to it when it died.
    for (const { id, startedMs } of failed) expect([id, startedMs < killedMs]).toEqual([id, true]);
    expect(failed.length).toBeLessThanOrEqual(48);
    const begunElsewhere = failed.filter(({ id }) => !unanswered.has(id));
    const times = executions(backends);
    for (const { id } of begunElsewhere) expect([id, times.get(id) ?? 0]).toEqual([id, 0]);
    for (const { id, method, status } of report.results) {
      if (method !== "POST") continue;
      expect([id, times.get(id) ?? 0]).toEqual([id, status === 200 || unanswered.has(id) ? 1 : 0]);
    }
  });
});
