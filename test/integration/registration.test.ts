import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { isConsulMissing, type RunningRegistry, startConsul } from "../support/consul.js";
import { until } from "../support/promised.js";
import { startEmbedded } from "../support/registry.js";
import { call } from "../support/registry-client.js";
import { Sidecar } from "../support/sidecar.js";

const SOON_MS = 10_000;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The application a sidecar stands beside: answers with a status of the test's choosing. */
class Application {
  status = 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((_request, response) => {
      response.statusCode = this.status;
      response.end("application");
    });
  }

  static async start(): Promise<Application> {
    const application = new Application();
    await application.listen(0);
    closers.push(() => application.stop());
    return application;
  }

  get port(): number {
    return this.#port;
  }
  #port = 0;

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

interface HealthEntry {
  readonly Service: Readonly<Record<string, unknown>>;
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string; readonly Output: string }[];
}

/** The instances of `web` in the catalog, as every other sidecar sees them. */
async function instances(registry: RunningRegistry): Promise<readonly HealthEntry[]> {
  const { json } = await call(registry.url, "GET", "health/service/web");
  return Array.isArray(json) ? (json as HealthEntry[]) : [];
}

/** Waits until the catalog has one instance with one check of its own, and that says so. */
async function statusIs(registry: RunningRegistry, status: string): Promise<void> {
  let seen: unknown;
  const isSo = async () => {
    // A connection kept alive may have died with the agent.
    const [first, ...others] = await instances(registry).catch(() => []);
    const checks = (first?.Checks ?? []).filter(({ CheckID }) => CheckID !== "serfHealth");
    seen = { others: others.length, checks };
    return others.length === 0 && checks.length === 1 && checks[0]?.Status === status;
  };
  await until(isSo, SOON_MS, status).catch((error: unknown) => {
    throw new Error(`the catalog says ${JSON.stringify(seen)}`, { cause: error });
  });
}

async function isGone(registry: RunningRegistry): Promise<boolean> {
  return (await instances(registry)).length === 0;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "pilotfish-registration-"));
  closers.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

const CHECK = { http: "/status", interval: "100ms", fall: 1, rise: 1, ttl: "1s" };

async function sidecar(
  registry: RunningRegistry,
  application: Application,
  service: object = {},
  consul: object = {},
): Promise<Sidecar> {
  const started = await Sidecar.launch(
    {
      shutdown: { grace: "300ms", deadline: "5s" },
      consul: { address: registry.url, ...consul },
      service: { name: "web", id: "web-1", port: application.port, check: CHECK, ...service },
      listeners: [{ name: "front", bind: "127.0.0.1:0", direction: "inbound", pool: "application" }],
      pools: [
        {
          name: "application",
          discovery: { type: "static", endpoints: [`127.0.0.1:${application.port}`] },
        },
      ],
    },
    await folder(),
  );
  closers.push(() => started.stop());
  await started.ready();
  return started;
}

const targets: [string, boolean, () => Promise<RunningRegistry>][] = [
  ["a real Consul", isConsulMissing(), startConsul],
  ["the embedded catalog", false, startEmbedded],
];

for (const [title, isMissing, start] of targets) {
  describe.skipIf(isMissing)(`registered in ${title}`, () => {
    let shared: RunningRegistry | undefined;
    beforeAll(async () => {
      if (!isMissing) shared = await start();
    });
    afterAll(() => shared?.stop());
    const open = (): RunningRegistry => {
      const registry = shared;
      if (registry === undefined) throw new Error("no catalog");
      closers.push(() => call(registry.url, "PUT", "agent/service/deregister/web-1"));
      return registry;
    };

    it("the inbound listener is, with all its fields, and takes requests there", async () => {
      const registry = open();
      const application = await Application.start();
      const started = await sidecar(registry, application, {
        tags: ["v2"],
        meta: { zone: "b" },
        weights: { passing: 10, warning: 2 },
      });
      await statusIs(registry, "passing");
      const [entry] = await instances(registry);
      expect(entry?.Service).toMatchObject({
        ID: "web-1",
        Service: "web",
        Address: "127.0.0.1",
        Port: started.port("front"),
        Tags: ["v2"],
        Meta: { zone: "b" },
        Weights: { Passing: 10, Warning: 2 },
      });
      const { Address, Port } = entry?.Service ?? {};
      expect(await (await fetch(`http://${Address}:${Port}/`)).text()).toBe("application");
      expect(await started.metric("pilotfish_registration_up", 'service="web"')).toBe(1);
    });

    it("follows the neighbour from critical to passing, to warning and back", async () => {
      const registry = open();
      const application = await Application.start();
      application.status = 503;
      await sidecar(registry, application);
      await statusIs(registry, "critical");
      application.status = 200;
      await statusIs(registry, "passing");
      application.status = 429;
      await statusIs(registry, "warning");
      await application.stop();
      await statusIs(registry, "critical");
      await application.listen(application.port);
      application.status = 200;
      await statusIs(registry, "passing");
    });

    it("comes back after the agent was restarted and remembers nothing", async () => {
      const registry = open();
      const started = await sidecar(registry, await Application.start());
      await statusIs(registry, "passing");
      for (let round = 1; round <= 3; round++) {
        await registry.restart();
        await statusIs(registry, "passing");
      }
      expect(started.isOver).toBe(false);
    });

    it("comes back when it is deregistered behind its back", async () => {
      const registry = open();
      await sidecar(registry, await Application.start());
      await statusIs(registry, "passing");
      await call(registry.url, "PUT", "agent/service/deregister/web-1");
      await statusIs(registry, "passing");
    });

    it("is gone from the catalog while the listeners still serve", async () => {
      const registry = open();
      const started = await sidecar(registry, await Application.start());
      await statusIs(registry, "passing");
      started.signal("SIGTERM");
      await started.line(({ msg, state }) => msg === "state changed" && state === "draining");
      expect(await isGone(registry)).toBe(true);
      expect(await (await fetch(`http://127.0.0.1:${started.port("front")}/`)).text()).toBe("application");
      expect(await started.end()).toBe(0);
      const order = started.log.map(({ msg }) => msg);
      expect(order.indexOf("service deregistered")).toBeGreaterThan(0);
      expect(order.indexOf("service registered")).toBeGreaterThan(order.indexOf("listening"));
    });

    it("is in maintenance after a stop that says so, and out of it after the next start", async () => {
      const registry = open();
      const application = await Application.start();
      const service = { shutdown: "maintenance" };
      const first = await sidecar(registry, application, service);
      await statusIs(registry, "passing");
      first.signal("SIGTERM");
      expect(await first.end()).toBe(0);
      const [entry] = await instances(registry);
      expect(entry?.Checks.map(({ CheckID }) => CheckID)).toContain("_service_maintenance:web-1");
      await sidecar(registry, application, service);
      await statusIs(registry, "passing");
    });

    it("turns critical by itself after the sidecar was killed", async () => {
      const registry = open();
      const started = await sidecar(registry, await Application.start());
      await statusIs(registry, "passing");
      started.signal("SIGKILL");
      await statusIs(registry, "critical");
      const [entry] = await instances(registry);
      expect(entry?.Checks.find(({ CheckID }) => CheckID.startsWith("service:"))?.Output).toContain(
        "TTL expired",
      );
    });

    it.each([
      ["consul-http", { kind: "consul-http", http: "/status", interval: "1s", fall: 1, rise: 1 }],
      ["consul-tcp", { kind: "consul-tcp", interval: "1s", fall: 1, rise: 1 }],
    ])("is probed by the agent through the listener (%s)", async (_kind, check) => {
      const registry = open();
      const started = await sidecar(registry, await Application.start(), { check });
      await statusIs(registry, "passing");
      started.signal("SIGKILL");
      await statusIs(registry, "critical");
    });

    it("changes the kind of its check and leaves no old one behind", async () => {
      const registry = open();
      const application = await Application.start();
      const http = { kind: "consul-http", http: "/status", interval: "1s" };
      const first = await sidecar(registry, application, { check: http });
      first.signal("SIGKILL");
      await first.end();
      await sidecar(registry, application);
      await statusIs(registry, "passing");
    });

    it("does not hold up a start or a stop while the agent is away", async () => {
      const registry = open();
      await registry.kill();
      closers.push(() => registry.restart());
      const started = await sidecar(registry, await Application.start());
      await started.line(({ msg }) => msg === "registration failed, trying on");
      expect(await started.metric("pilotfish_registration_up")).toBe(0);
      const startMs = performance.now();
      started.signal("SIGTERM");
      expect(await started.end()).toBe(0);
      expect(performance.now() - startMs).toBeLessThan(4_000);
    });
  });
}

describe.skipIf(isConsulMissing())("with access control", () => {
  const MASTER = "11111111-1111-4111-8111-111111111111";

  /** Who brings no token may do all, so that the test itself needs none; who brings one has its rights alone. */
  async function guarded(): Promise<RunningRegistry> {
    const tokens = { master: MASTER, agent: MASTER, default: MASTER };
    const running = await startConsul({
      config: { acl: { enabled: true, default_policy: "deny", tokens } },
    });
    closers.push(() => running.stop());
    return running;
  }

  async function acl(
    registry: RunningRegistry,
    method: string,
    path: string,
    body?: object,
  ): Promise<unknown> {
    const answer = await call(registry.url, method, `acl/${path}`, body);
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  async function makePolicy(registry: RunningRegistry, name: string, rules: string): Promise<void> {
    const make = () => acl(registry, "PUT", "policy", { Name: name, Rules: rules });
    const isMade = () =>
      make().then(
        () => true,
        () => false,
      );
    await until(isMade, SOON_MS, "access control");
  }

  async function makeToken(registry: RunningRegistry, policy: string) {
    const made = await acl(registry, "PUT", "token", { Policies: [{ Name: policy }] });
    return made as { readonly AccessorID: string; readonly SecretID: string };
  }

  it("survives a rotation of the token: the servers still hear of it when the old one is gone", async () => {
    const registry = await guarded();
    const application = await Application.start();
    await makePolicy(registry, "web", 'service "web" { policy = "write" }');
    const tokenFile = join(await folder(), "token");
    await writeFile(tokenFile, "22222222-2222-4222-8222-222222222222");
    const started = await sidecar(registry, application, {}, { tokenFile });
    await started.line(({ reason }) => /token is unknown to Consul/.test(String(reason)));

    const old = await makeToken(registry, "web");
    await writeFile(tokenFile, old.SecretID);
    await statusIs(registry, "passing");

    await writeFile(tokenFile, (await makeToken(registry, "web")).SecretID);
    await started.line(({ msg }) => msg === "token changed, registering again");
    await acl(registry, "DELETE", `token/${old.AccessorID}`);
    application.status = 500;
    await statusIs(registry, "critical");
    application.status = 200;
    await statusIs(registry, "passing");
  });

  it("says which permission is missing", async () => {
    const registry = await guarded();
    await makePolicy(registry, "reader", 'service "web" { policy = "read" }');
    const { SecretID: token } = await makeToken(registry, "reader");
    const started = await sidecar(registry, await Application.start(), {}, { token });
    const line = await started.line(({ msg }) => msg === "registration failed, trying on");
    expect(line.reason).toContain('permission denied: the token lacks service:write on "web"');
    expect(started.isOver).toBe(false);
  });
});
