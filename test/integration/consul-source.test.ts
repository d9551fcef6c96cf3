import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ConsulDiscoveryConfig } from "../../src/config/consul-model.js";
import type { ConsulConfig } from "../../src/config/model.js";
import { createResolver } from "../../src/control/resolver.js";
import type { Source } from "../../src/control/source.js";
import { createConsulSource } from "../../src/control/sources/consul/source.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import { systemClock } from "../../src/platform/clock.js";
import { isConsulMissing, type RunningConsul, startConsul } from "../support/consul.js";
import { consulConfig, consulDiscovery, RecordingLog } from "../unit/control/sources/consul-config.js";
import { RecordingSink } from "../unit/control/sources/recording-sink.js";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Watched {
  readonly source: Source;
  readonly sink: RecordingSink;
  /** Endpoints of the newest snapshot. */
  newest(): readonly Endpoint[];
  /** Their addresses, sorted; undefined before the first snapshot. */
  addresses(): string[] | undefined;
}

function watch(
  address: string,
  changes: Partial<ConsulConfig> = {},
  discovery: Partial<ConsulDiscoveryConfig> = {},
): Watched {
  const deps = {
    clock: systemClock,
    random: Math.random,
    resolver: createResolver({ clock: systemClock, random: Math.random }),
    log: new RecordingLog(),
  };
  const config = consulConfig(address, { coalesceMs: 50, emptyGraceMs: 10_000, ...changes });
  const source = createConsulSource(consulDiscovery(discovery), config, deps);
  const sink = new RecordingSink();
  source.start(sink);
  closers.push(() => source.stop());
  const newest = () => sink.snapshots.at(-1)?.endpoints ?? [];
  return {
    source,
    sink,
    newest,
    addresses: () =>
      sink.snapshots.length === 0
        ? undefined
        : newest()
            .map((endpoint) => `${endpoint.host}:${endpoint.port}`)
            .sort(),
  };
}

async function consul(config: Readonly<Record<string, unknown>> = {}): Promise<RunningConsul> {
  const running = await startConsul({ config });
  closers.push(() => running.stop());
  return running;
}

async function put(running: RunningConsul, path: string, body: unknown = {}): Promise<void> {
  const answer = await fetch(`${running.url}/v1${path}`, { method: "PUT", body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
}

function register(running: RunningConsul, id: string, more: object = {}): Promise<void> {
  return put(running, "/agent/service/register", {
    Name: "web",
    ID: id,
    Address: "10.1.0.1",
    Port: 80,
    ...more,
  });
}

function ttlCheck(id: string): object {
  return { Check: { CheckID: `ttl-${id}`, Name: `ttl ${id}`, TTL: "10m", Status: "passing" } };
}

/** A way to the agent that can be closed, so that the source knows nothing of what happens behind it. */
class Relay {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(target: number) {
    this.#target = target;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async open(): Promise<void> {
    const server = createServer((client) => {
      const upstream = connect(this.#target, "127.0.0.1");
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => this.#sockets.delete(from));
        from.pipe(to);
      }
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#server = server;
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
  }
}

const patience = { timeout: 15_000, interval: 10 };

describe.skipIf(isConsulMissing())("a source on a real Consul", () => {
  it("follows registration, change and deregistration", async () => {
    const agent = await consul();
    const { source, addresses, newest } = watch(agent.url);
    await expect.poll(addresses, patience).toEqual([]);
    await register(agent, "a", {
      Port: 81,
      Tags: ["v1"],
      Meta: { zone: "z1" },
      Weights: { Passing: 7, Warning: 3 },
    });
    await register(agent, "b", { Port: 82, Address: "" });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:81", "127.0.0.1:82"]);
    expect(newest()[0]).toMatchObject({
      key: "consul/dc1/default/default/node1/a",
      id: "a",
      weight: 7,
      status: "passing",
      admitted: true,
      tags: ["v1"],
      meta: { zone: "z1" },
      node: "node1",
      datacenter: "dc1",
      zone: "z1",
    });
    await register(agent, "a", { Port: 83 });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:83", "127.0.0.1:82"]);
    await put(agent, "/agent/service/deregister/a");
    await expect.poll(addresses, patience).toEqual(["127.0.0.1:82"]);
    await put(agent, "/agent/service/deregister/b");
    await expect.poll(addresses, patience).toEqual([]);
    expect(source.status()).toMatchObject({ kind: "consul", state: "live", reason: "", failures: 0 });
    expect(source.status().details).toMatchObject({
      knownLeader: "true",
      lastContactMs: "0",
      wait: "60000ms",
    });
  });

  it("gives each state of the checks its weight and admission", async () => {
    const agent = await consul();
    const { newest } = watch(agent.url, {}, { minStatus: "warning" });
    await register(agent, "a", { Weights: { Passing: 10, Warning: 2 }, ...ttlCheck("a") });
    const now = () =>
      newest().map(({ status, weight, admitted, reason }) => ({ status, weight, admitted, reason }))[0];
    await expect.poll(now, patience).toEqual({ status: "passing", weight: 10, admitted: true, reason: "" });
    await put(agent, "/agent/check/warn/ttl-a?note=slow");
    await expect
      .poll(now, patience)
      .toEqual({ status: "warning", weight: 2, admitted: true, reason: "check 'ttl a' is warning: slow" });
    await put(agent, "/agent/check/fail/ttl-a?note=gone");
    await expect.poll(now, patience).toMatchObject({ status: "critical", admitted: false });
    await put(agent, "/agent/check/pass/ttl-a");
    await expect.poll(now, patience).toMatchObject({ status: "passing", admitted: true });
    await put(agent, "/agent/service/maintenance/a?enable=true&reason=moving");
    await expect
      .poll(now, patience)
      .toMatchObject({ status: "maintenance", admitted: false, reason: "service maintenance: moving" });
    await put(agent, "/agent/service/maintenance/a?enable=false");
    await expect.poll(now, patience).toMatchObject({ status: "passing", admitted: true });
    await put(agent, "/agent/maintenance?enable=true&reason=rack");
    await expect
      .poll(now, patience)
      .toMatchObject({ status: "maintenance", reason: "node maintenance: rack" });
  });

  it("passes a filter on and refuses a bad one without giving the list up", async () => {
    const agent = await consul();
    await register(agent, "a", { Meta: { ring: "blue" } });
    await register(agent, "b", { Meta: { ring: "green" }, Port: 81 });
    const blue = watch(agent.url, {}, { filter: 'Service.Meta.ring == "blue"' });
    await expect.poll(blue.addresses, patience).toEqual(["10.1.0.1:80"]);
    const broken = watch(agent.url, {}, { filter: "Service.Nope ==" });
    await expect
      .poll(() => broken.source.status().reason, patience)
      .toContain("the configuration must change");
    expect(broken.source.status().state).toBe("starting");
  });

  it("repeats a prepared query, from the nearest on", async () => {
    const agent = await consul();
    await register(agent, "a", { Tags: ["v2"] });
    await register(agent, "b", { Port: 81 });
    const made = await fetch(`${agent.url}/v1/query`, {
      method: "POST",
      body: JSON.stringify({ Name: "web-v2", Service: { Service: "web", Tags: ["v2"], Near: "_agent" } }),
    });
    expect(made.status).toBe(200);
    const subject = { kind: "query", name: "web-v2", intervalMs: 200 } as const;
    const { source, addresses } = watch(agent.url, {}, { subject, near: "_agent" });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:80"]);
    await register(agent, "c", { Port: 82, Tags: ["v2"] });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:80", "10.1.0.1:82"]);
    expect(source.status()).toMatchObject({
      state: "live",
      failures: 0,
      target: `query web-v2 at ${agent.url}`,
    });
    const none = watch(agent.url, {}, { subject: { ...subject, name: "none" } });
    await expect.poll(() => none.source.status().reason, patience).toContain("no such prepared query");
  });

  it("connects to a tagged address where there is one", async () => {
    const agent = await consul();
    const wan = { wan: { Address: "203.0.113.9", Port: 8080 } };
    await register(agent, "a", { TaggedAddresses: wan });
    await register(agent, "b", { Port: 81 });
    const { addresses } = watch(agent.url, {}, { taggedAddress: "wan" });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:81", "203.0.113.9:8080"]);
  });

  it("says which right a token lacks where Consul hides the list, and keeps what it had", async () => {
    const master = "6d9f2f8e-0000-4000-8000-000000000001";
    const agent = await consul({ acl: { enabled: true, default_policy: "allow", tokens: { master } } });
    await register(agent, "a");
    const call = async (path: string, body: object) => {
      const headers = { "x-consul-token": master };
      const made = await fetch(`${agent.url}/v1${path}`, {
        method: "PUT",
        headers,
        body: JSON.stringify(body),
      });
      return (await made.json()) as { SecretID: string; ID: string };
    };
    const policy = await call("/acl/policy", {
      Name: "limited",
      Rules: 'node_prefix "" { policy = "read" }',
    });
    const { SecretID: token } = await call("/acl/token", { Policies: [{ Name: "limited" }] });
    const { source, addresses } = watch(agent.url, { token, waitMs: 1_000 });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:80"]);
    await call(`/acl/policy/${policy.ID}`, { Name: "limited", Rules: 'node_prefix "" { policy = "deny" }' });
    await expect
      .poll(() => source.status().reason, patience)
      .toBe('every instance is hidden from the token: it lacks node:read on "node1"');
    expect([addresses(), source.status().state]).toEqual([["10.1.0.1:80"], "stale"]);
    const rules = 'node_prefix "" { policy = "deny" } service "web" { policy = "deny" }';
    await call(`/acl/policy/${policy.ID}`, { Name: "limited", Rules: rules });
    const other = watch(agent.url, { token });
    await expect
      .poll(() => other.source.status().reason, patience)
      .toContain('it lacks service:read on "web"');
    const unknown = watch(agent.url, { token: "6d9f2f8e-0000-4000-8000-00000000000f" });
    await expect
      .poll(() => unknown.source.status().reason, patience)
      .toContain("the token is unknown to Consul");
  });

  it("names the datacenter that does not exist", async () => {
    const agent = await consul();
    const { source } = watch(agent.url, {}, { datacenter: "mars" });
    await expect.poll(() => source.status().reason, patience).toContain("No path to datacenter");
  });

  it("keeps the list while the agent is away and comes back with nothing, and takes what then registers", async () => {
    const agent = await consul();
    for (const [at, id] of ["a", "b", "c"].entries()) await register(agent, id, { Port: 81 + at });
    const three = ["10.1.0.1:81", "10.1.0.1:82", "10.1.0.1:83"];
    const { source, sink, addresses } = watch(agent.url);
    await expect.poll(addresses, patience).toEqual(three);
    await agent.kill();
    await expect.poll(() => source.status().state, patience).toBe("stale");
    await agent.restart();
    await expect.poll(() => source.status().state, patience).toBe("suspect");
    expect(addresses()).toEqual(three);
    await register(agent, "a", { Port: 81 });
    await expect.poll(() => source.status().state, patience).toBe("live");
    expect(addresses()).toEqual(["10.1.0.1:81"]);
    await register(agent, "b", { Port: 82 });
    await register(agent, "c", { Port: 83 });
    await expect.poll(addresses, patience).toEqual(three);
    expect(sink.lists().filter((list) => list.length === 0)).toEqual([]);
  });

  it("believes the emptiness that outlasts the grace time", async () => {
    const agent = await consul();
    await register(agent, "a");
    const { source, sink, addresses } = watch(agent.url, { emptyGraceMs: 700 });
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:80"]);
    await agent.restart();
    await expect.poll(addresses, patience).toEqual([]);
    expect(sink.states()).toContain("suspect");
    expect(source.status().state).toBe("live");
  });

  it("sees other content under the index it knew before the agent restarted", async () => {
    const agent = await consul();
    const relay = new Relay(agent.port);
    await relay.open();
    closers.push(() => relay.close());
    for (let port = 1; port <= 20; port += 1) await register(agent, "old", { Port: port });
    const { source, addresses } = watch(relay.url);
    await expect.poll(addresses, patience).toEqual(["10.1.0.1:20"]);
    const known = Number(source.status().details.index);
    await relay.close();
    await expect.poll(() => source.status().state, patience).toBe("stale");
    await agent.restart();
    let index = 0;
    for (let port = 101; index < known; port += 1) {
      await register(agent, "new", { Port: port });
      index = Number((await fetch(`${agent.url}/v1/health/service/web`)).headers.get("x-consul-index"));
    }
    await relay.open();
    await expect.poll(() => source.status().state, patience).toBe("live");
    expect(addresses()?.length).toBe(1);
    expect(Number(addresses()?.[0]?.split(":")[1])).toBeGreaterThan(100);
    console.log(`index before the restart ${known}, after it ${index}`);
  });

  it("is fresh within milliseconds", async () => {
    const agent = await consul();
    const { sink, addresses } = watch(agent.url);
    await expect.poll(addresses, patience).toEqual([]);
    const delays: number[] = [];
    for (let n = 1; n <= 40; n += 1) {
      const arrived = new Promise<number>((resolve) => {
        sink.onSnapshot = (snapshot) => {
          sink.snapshots.push(snapshot);
          if (snapshot.endpoints[0]?.port === n) resolve(performance.now());
        };
      });
      const startMs = performance.now();
      await register(agent, "a", { Port: n });
      delays.push((await arrived) - startMs);
      // Past the coalescing window, so that each change meets a query that already blocks.
      const meets = performance.now() + 60;
      await expect.poll(() => performance.now() > meets, patience).toBe(true);
    }
    delays.sort((a, b) => a - b);
    const at = (share: number) => (delays[Math.floor(delays.length * share)] ?? 0).toFixed(1);
    console.log(
      `registration sent to snapshot: median ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(0.999)} ms`,
    );
    expect(delays.length).toBe(40);
  });
});
