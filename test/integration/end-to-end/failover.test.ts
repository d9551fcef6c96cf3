import { afterEach, describe, expect, it } from "vitest";
import type { BackendProcess } from "../../support/backend-process.js";
import { isConsulMissing, type RunningConsul, startConsul } from "../../support/consul.js";
import { until } from "../../support/promised.js";
import { Stage } from "./stage.js";

let stage: Stage;

afterEach(() => stage.close());

async function call(agent: RunningConsul, path: string, body: object = {}): Promise<void> {
  const answer = await fetch(`${agent.url}/v1/agent/${path}`, { method: "PUT", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
}

function register(agent: RunningConsul, { id, port }: BackendProcess): Promise<void> {
  const check = { CheckID: `ttl-${id}`, TTL: "10m", Status: "passing" };
  return call(agent, "service/register", {
    Name: "web",
    ID: id,
    Address: "127.0.0.1",
    Port: port,
    Check: check,
  });
}

describe.skipIf(isConsulMissing())("two datacenters", () => {
  it("the other one serves while nobody is usable here, and gives the work back, without a failed request", async () => {
    const here = await startConsul({ wan: true });
    stage = await Stage.openWithConsul(here);
    stage.defer(() => here.stop());
    const there = await startConsul({ datacenter: "dc2", nodeName: "node2", wan: here });
    stage.defer(() => there.stop());
    const [near, far] = await stage.backends("near", "far");
    if (near === undefined || far === undefined) throw new Error("no backends");
    await register(here, near);
    await register(there, far);
    const knows = async () =>
      (await (await fetch(`${here.url}/v1/health/service/web?dc=dc2`)).text()).includes('"far"');
    await until(knows, 20_000, "the other datacenter");
    const discovery = { type: "consul", service: "web", failover: ["dc2"] };
    const sidecar = await stage.sidecarFor("web", { pool: { discovery } });
    const admin = stage.admin(sidecar);
    await until(async () => (await admin.backends()).length === 2, 10_000, "both");
    const load = stage.load("failover", { port: sidecar.port(), open: 8, methods: ["GET", "POST"] });
    const served = (id: string) => sidecar.metric("pilotfish_backend_sessions_total", `id="${id}"`);
    await load.more(300);
    expect(await served("far")).toBe(0);

    await call(here, "check/fail/ttl-near");
    await until(async () => (await served("far")) > 50, 10_000, "work in the other datacenter");
    const nearBefore = await served("near");
    await load.more(300);
    expect((await served("near")) - nearBefore).toBeLessThan(20);

    await call(here, "check/pass/ttl-near");
    await until(async () => (await served("near")) > nearBefore + 50, 10_000, "work here again");
    const farBefore = await served("far");
    await load.more(300);
    expect((await served("far")) - farBefore).toBeLessThan(20);
    expect((await load.stop()).problems()).toEqual({});
  }, 60_000);
});
