import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { BackendProcess } from "../../support/backend-process.js";
import { isConsulMissing } from "../../support/consul.js";
import { ask } from "../../support/load.js";
import { until } from "../../support/promised.js";
import type { Sidecar } from "../../support/sidecar.js";
import { Stage, sharedConsul } from "./stage.js";

const consul = sharedConsul();
let stage: Stage;

afterEach(() => stage.close());

/** Who answers the next requests, each alone: how many each. */
async function answers(
  sidecar: Sidecar,
  count: number,
  listener?: string,
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (let number = 0; number < count; number++) {
    const { backend, status } = await ask(sidecar.port(listener));
    const who = status === 200 ? backend : String(status);
    counts[who] = (counts[who] ?? 0) + 1;
  }
  return counts;
}

function ttlCheck(backend: BackendProcess, status: string): object {
  return { Check: { CheckID: `ttl-${backend.id}`, Name: "ttl", TTL: "10m", Status: status } };
}

function tell(backend: BackendProcess, verdict: "pass" | "warn" | "fail"): Promise<void> {
  return stage.put(`/agent/check/${verdict}/ttl-${backend.id}`);
}

async function three(): Promise<[BackendProcess, BackendProcess, BackendProcess]> {
  stage = await Stage.openWithConsul(consul());
  return (await stage.backends("one", "two", "three")) as [BackendProcess, BackendProcess, BackendProcess];
}

describe.skipIf(isConsulMissing())("what a Consul catalog says", () => {
  it("weighs: the service's weight for its status is the share, for a single caller too", async () => {
    const [one, two, third] = await three();
    const weights = { Weights: { Passing: 6, Warning: 2 } };
    await stage.register("web", one, { ...weights, ...ttlCheck(one, "passing") });
    await stage.register("web", two, { Weights: { Passing: 2, Warning: 1 } });
    const sidecar = await stage.sidecarFor("web", {
      pool: { discovery: { type: "consul", service: "web", minStatus: "warning" } },
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two");
    const passing = await answers(sidecar, 40);
    expect(passing.one).toBeGreaterThanOrEqual(29);
    expect(passing.two).toBeGreaterThanOrEqual(9);
    await tell(one, "warn");
    const weightOf = async (id: string) => (await admin.backends()).find((each) => each.id === id)?.weight;
    await until(async () => (await weightOf("one"))?.inForce === 2, 5_000, "the weight of a warning");
    const warned = await answers(sidecar, 40);
    expect(warned.one).toBeGreaterThanOrEqual(19);
    expect(warned.two).toBeGreaterThanOrEqual(19);
    await stage.register("web", third, { Weights: { Passing: 4, Warning: 1 } });
    await admin.settles("one", "three", "two");
    const joined = await answers(sidecar, 40);
    expect(joined.three).toBeGreaterThanOrEqual(19);
  });

  it("tags: only instances that bear all of them", async () => {
    const [one, two, third] = await three();
    await stage.register("web", one, { Tags: ["v2", "blue"] });
    await stage.register("web", two, { Tags: ["v2"] });
    await stage.register("web", third);
    const sidecar = await stage.sidecarFor("web", {
      pool: { discovery: { type: "consul", service: "web", tags: ["v2", "blue"] } },
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one");
    expect(await answers(sidecar, 6)).toEqual({ one: 6 });
    await stage.register("web", two, { Tags: ["blue", "v2"] });
    await admin.settles("one", "two");
    await stage.register("web", one, { Tags: ["blue"] });
    await admin.settles("two");
    expect(await answers(sidecar, 6)).toEqual({ two: 6 });
  });

  it("judges: each minStatus lets those through that are good enough", async () => {
    const [one, two, third] = await three();
    await stage.register("web", one, ttlCheck(one, "passing"));
    await stage.register("web", two, ttlCheck(two, "warning"));
    await stage.register("web", third, ttlCheck(third, "critical"));
    const levels = ["passing", "warning", "any"];
    const sidecar = await stage.sidecar({
      consul: stage.consulConfig,
      listeners: levels.map((name) => ({ name, bind: "127.0.0.1:0", protocol: "http", pool: name })),
      pools: levels.map((name) => ({
        name,
        discovery: { type: "consul", service: "web", minStatus: name },
      })),
    });
    const admin = stage.admin(sidecar);
    await admin.settlesByPool({ passing: ["one"], warning: ["one", "two"], any: ["one", "three", "two"] });
    for (const level of levels) {
      const seen = await answers(sidecar, 6, level);
      expect(Object.keys(seen)).toHaveLength(1 + levels.indexOf(level));
    }
    await tell(two, "pass");
    await tell(third, "pass");
    const all = ["one", "three", "two"];
    await admin.settlesByPool({ passing: all, warning: all, any: all });
    await tell(one, "fail");
    await admin.settlesByPool({ passing: ["three", "two"], warning: ["three", "two"], any: all });
  });

  it("maintains: an instance in maintenance finishes what it has and gets nothing new", async () => {
    const [one, two] = await three();
    await stage.register("web", one);
    await stage.register("web", two);
    const sidecar = await stage.sidecarFor("web");
    const admin = stage.admin(sidecar);
    await admin.settles("one", "two");
    const held = ask(sidecar.port(), "/hold");
    const holds = async (backend: BackendProcess) => (await backend.counts()).open === 1;
    await until(async () => (await holds(one)) || (await holds(two)), 5_000, "the open request");
    const [busy, other] = (await holds(one)) ? [one, two] : [two, one];
    await stage.put(`/agent/service/maintenance/${busy.id}?enable=true&reason=disk`);
    await admin.settles(other.id);
    expect(await answers(sidecar, 6)).toEqual({ [other.id]: 6 });
    const drained = (await admin.backends()).find(({ id }) => id === busy.id);
    expect(drained?.inFlight).toBe(1);
    expect(drained?.reasons.join()).toContain("maintenance");
    busy.release();
    expect((await held).backend).toBe(busy.id);
    await stage.put(`/agent/service/maintenance/${busy.id}?enable=false`);
    await admin.settles("one", "two");
    // The whole node.
    await stage.put("/agent/maintenance?enable=true&reason=kernel");
    await admin.settles();
    expect(await answers(sidecar, 2)).toEqual({ 503: 2 });
    await stage.put("/agent/maintenance?enable=false");
    await admin.settles("one", "two");
  });

  it("names: an address that is a name is looked up", async () => {
    const [one] = await three();
    await stage.register("web", one, { Address: "localhost" });
    const sidecar = await stage.sidecarFor("web", {
      pool: { discovery: { type: "consul", service: "web", resolve: "one" } },
    });
    await stage.admin(sidecar).settles("one");
    expect(await answers(sidecar, 3)).toEqual({ one: 3 });
  });
});

describe("lists without Consul", () => {
  it("a file is read again when it changes, also when it is replaced whole, and kept when it is spoilt", async () => {
    stage = await Stage.open();
    const [one, two] = await stage.backends("one", "two");
    if (one === undefined || two === undefined) throw new Error("no backends");
    const path = join(stage.folder, "endpoints.yaml");
    const entry = ({ id, port }: BackendProcess) => `- { id: ${id}, address: "127.0.0.1:${port}" }\n`;
    await writeFile(path, entry(one));
    const sidecar = await stage.sidecar({
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [{ name: "web", discovery: { type: "file", path } }],
    });
    const admin = stage.admin(sidecar);
    await admin.settles("one");
    await writeFile(path, entry(one) + entry(two));
    await admin.settles("one", "two");
    expect(await answers(sidecar, 6)).toEqual({ one: 3, two: 3 });
    await writeFile(`${path}.new`, entry(two));
    await rename(`${path}.new`, path);
    await admin.settles("two");
    await writeFile(path, "- { address: nowhere");
    await sidecar.line(({ state, kind }) => kind === "file" && state === "stale");
    expect(await answers(sidecar, 3)).toEqual({ two: 3 });
    await writeFile(path, JSON.stringify({ endpoints: [{ id: "one", address: `127.0.0.1:${one.port}` }] }));
    await admin.settles("one");
    expect(await answers(sidecar, 3)).toEqual({ one: 3 });
  });

  it("names of the configuration are looked up, and weights of the configuration are shares", async () => {
    stage = await Stage.open();
    const [one, two] = await stage.backends("one", "two");
    if (one === undefined || two === undefined) throw new Error("no backends");
    const sidecar = await stage.sidecar({
      listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web" }],
      pools: [
        {
          name: "web",
          discovery: {
            type: "static",
            resolve: "one",
            endpoints: [
              { id: "one", address: `localhost:${one.port}`, weight: 3 },
              { id: "two", address: `127.0.0.1:${two.port}` },
            ],
          },
        },
      ],
    });
    await stage.admin(sidecar).settles("one", "two");
    expect(await answers(sidecar, 20)).toEqual({ one: 15, two: 5 });
  });

  it("routes send to their pools, by path and by host, and what matches none gets 404", async () => {
    stage = await Stage.open();
    const [one, two] = await stage.backends("one", "two");
    if (one === undefined || two === undefined) throw new Error("no backends");
    const poolOf = ({ id, port }: BackendProcess) => ({
      name: id,
      discovery: { type: "static", endpoints: [`127.0.0.1:${port}`] },
    });
    const sidecar = await stage.sidecar({
      listeners: [
        {
          name: "web",
          bind: "127.0.0.1:0",
          protocol: "http",
          routes: [
            { match: { pathPrefix: "/v1" }, pool: "one" },
            { match: { host: "127.0.0.1", path: "/exact" }, pool: "two" },
          ],
        },
      ],
      pools: [poolOf(one), poolOf(two)],
    });
    expect((await ask(sidecar.port(), "/v1/x?y=1")).backend).toBe("one");
    expect((await ask(sidecar.port(), "/exact")).backend).toBe("two");
    expect((await ask(sidecar.port(), "/v10")).status).toBe(404);
  });
});
