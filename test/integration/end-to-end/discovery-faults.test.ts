import { afterEach, describe, expect, it } from "vitest";
import { SourceState } from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { CatalogDriver } from "../../support/catalog-driver.js";
import {
  isConsulMissing,
  leaderOf,
  type RunningRegistry,
  startConsul,
  startConsulCluster,
} from "../../support/consul.js";
import { distribution } from "../../support/distribution.js";
import { FaultyLink, type LinkFault } from "../../support/faulty-link.js";
import { until } from "../../support/promised.js";
import { startEmbedded } from "../../support/registry.js";
import { seededRandom } from "../../support/seeded-random.js";
import { CatalogScene, numbered, type SceneOptions } from "./catalog-scene.js";
import { Stage, show } from "./stage.js";

const RESTARTS = 10;
/** Damaged answers of each kind. */
const DAMAGED = 8;
const FLAPS = 9;
/** New instances before and after, of which each is measured. */
const CHANGES = 16;
const SERVICES = 100;
/** Short, so that a query whose answer was lost is given up soon: six seconds with what it has beyond its wait. */
const SHORT_WAIT = { wait: "1s" };

let stage: Stage;

afterEach(() => stage.close());

interface CatalogKind {
  readonly name: string;
  readonly start: () => Promise<RunningRegistry>;
}

/** Both keep everything in memory: a restart comes back with an empty list. */
const embedded: CatalogKind = { name: "embedded catalog", start: () => startEmbedded() };
const real: CatalogKind = { name: "Consul", start: () => startConsul() };

async function openCatalog(kind: CatalogKind): Promise<RunningRegistry> {
  stage = await Stage.open();
  const catalog = await kind.start();
  stage.defer(() => catalog.stop());
  return catalog;
}

async function openScene(
  kind: CatalogKind,
  title: string,
  options: Partial<SceneOptions> = {},
): Promise<{ catalog: RunningRegistry; scene: CatalogScene }> {
  const catalog = await openCatalog(kind);
  const scene = await CatalogScene.open(stage, {
    title: `${kind.name}: ${title}`,
    address: catalog.url,
    ...options,
  });
  return { catalog, scene };
}

function faultsOfAgentAndNetwork(kind: CatalogKind): void {
  it("its agent is killed and comes back empty, ten times: no request fails, and each time changes come through", async () => {
    const { catalog, scene } = await openScene(kind, "agent killed ten times", {
      consul: { emptyGrace: "20s" },
    });
    for (let number = 0; number < RESTARTS; number++) {
      await catalog.kill();
      await scene.isStale();
      await scene.load.more(50);
      await catalog.restart();
      await scene.list();
      await scene.isLive();
      await scene.arrives();
    }
    await scene.close();
  }, 120_000);

  it("the network cuts, delays, truncates, corrupts and swallows its answers: no request fails, and it recovers", async () => {
    const catalog = await openCatalog(kind);
    const link = await FaultyLink.start(catalog.port, seededRandom(4));
    stage.defer(() => link.stop());
    const scene = await CatalogScene.open(stage, {
      title: `${kind.name}: bad network`,
      address: link.url,
      writeTo: catalog.url,
      consul: SHORT_WAIT,
    });
    let changes = 0;
    const stirUntil = (holds: () => boolean, what: string) =>
      until(
        async () => {
          await scene.stir(++changes);
          return holds();
        },
        30_000,
        what,
      );
    const under = async (fault: LinkFault, act: () => Promise<unknown>): Promise<void> => {
      link.set(fault);
      await act();
      await scene.load.more(50);
      link.set({ kind: "none" });
      await scene.arrives();
      await scene.isLive();
    };
    await under({ kind: "cut" }, () => scene.isStale());
    await under({ kind: "delay", ms: 300 }, () => {
      const before = link.answers;
      return stirUntil(() => link.answers >= before + 4, "four delayed answers");
    });
    for (const damage of ["truncate", "corrupt"] as const) {
      const before = link.damaged;
      await under({ kind: damage }, () => stirUntil(() => link.damaged >= before + DAMAGED, damage));
    }
    // What the sidecar does about silence is the same whoever is silent, and takes the whole of its patience.
    if (kind === real) await under({ kind: "swallow" }, () => scene.isStale());
    await scene.close();
  }, 120_000);
}

function massChanges(kind: CatalogKind): void {
  it("1,000 instances, of which 900 leave at once, then all: no request fails, and changes come through", async () => {
    const { scene } = await openScene(kind, "1,000 instances", {
      instances: [
        ["most", numbered("most", 900)],
        ["rest", numbered("rest", 100)],
      ],
    });
    const lists = async (count: number) => (await scene.admin.source()).endpoints === count;
    await until(() => lists(1000), 20_000, "1,000 instances");
    await scene.load.more(1000);
    await scene.arrive(CHANGES);
    await scene.catalog.removeNode("most");
    await until(() => lists(100 + CHANGES), 10_000, "what is left");
    await scene.load.more(300);
    // Only what has worked of late is known to live, and held for it.
    await scene.catalog.removeNode("fresh");
    await until(() => lists(100), 10_000, "100 instances");
    await scene.load.more(300);
    await scene.catalog.removeNode("rest");
    const suspect = await scene.admin.sourceIs(SourceState.SOURCE_STATE_SUSPECT);
    expect(suspect.reason).toContain("the answer leaves 0 of 100 that took work");
    expect(suspect.held).toBe(100);
    await scene.load.more(500);
    await scene.list();
    await scene.isLive();
    await until(() => lists(1000), 20_000, "1,000 instances again");
    await scene.arrive(CHANGES);
    await scene.close();
  }, 120_000);

  it("half of 100 instances come and go together, and then all of them: no request fails", async () => {
    const { scene } = await openScene(kind, "mass flap", {
      instances: [
        ["firm", numbered("firm", 50)],
        ["loose", numbered("loose", 50)],
      ],
      pool: { flapDamping: { halfLife: "1s", suppress: 1800, maxSuppress: "4s" } },
    });
    const suppressed: number[] = [];
    for (let number = 0; number < FLAPS; number++) {
      await scene.catalog.removeNode("loose");
      if (number % 3 === 2) await scene.catalog.removeNode("firm");
      await scene.load.more(60);
      await scene.list();
      await scene.load.more(60);
      suppressed.push(await scene.sidecar.metric("pilotfish_pool_suppressed_servers"));
    }
    expect(Math.max(...suppressed)).toBeGreaterThan(0);
    expect(await scene.sidecar.metric("pilotfish_discovery_suspicions_total")).toBeGreaterThan(0);
    await scene.isLive();
    const all = [...numbered("firm", 50), ...numbered("loose", 50)];
    await scene.admin.settles(...all);
    await scene.arrive(2);
    await scene.close();
  }, 120_000);

  it("100 services at once, each of which moves to another instance: no request fails", async () => {
    const catalog = await openCatalog(kind);
    const driver = new CatalogDriver(catalog.url);
    const names = numbered("service", SERVICES);
    const [before, after] = await Promise.all([
      stage.backend("before", { ports: SERVICES }),
      stage.backend("after", { ports: SERVICES }),
    ]);
    for (const backend of [before, after]) backend.set({ delayMs: 10 });
    for (const [index, name] of names.entries())
      await driver.add("steady", name, [{ id: name, port: before.ports[index] ?? 0 }]);
    const sidecar = await stage.sidecar({
      consul: { address: catalog.url },
      listeners: [
        {
          name: "web",
          bind: "127.0.0.1:0",
          protocol: "http",
          routes: names.map((name) => ({ match: { path: `/${name}` }, pool: name })),
        },
      ],
      pools: names.map((name) => ({ name, discovery: { type: "consul", service: name } })),
    });
    const path = names.map((name) => `/${name}`);
    const load = stage.load("services", { port: sidecar.port(), open: 8, methods: ["GET", "POST"], path });
    await load.more(2 * SERVICES);
    const samplesMs = await Promise.all(
      names.map(async (name, index) => {
        const port = after.ports[index] ?? 0;
        const first = after.firstRequestNs(port);
        const changedNs = process.hrtime.bigint();
        await driver.add("moved", name, [{ id: `moved-${name}`, port }]);
        const tookMs = Number((await first) - changedNs) / 1e6;
        await driver.remove("steady", name);
        return tookMs;
      }),
    );
    const movedAt = load.results.length;
    await load.more(4 * SERVICES);
    const admin = stage.admin(sidecar);
    const pools = Object.fromEntries(names.map((name) => [name, [`moved-${name}`]]));
    await admin.settlesByPool(pools);
    await load.more(2 * SERVICES);
    const report = await load.stop();
    show(`discovery faults, ${kind.name}: 100 services`, {
      requests: report.results.length,
      failed: report.failed.length,
    });
    show(`100 services changed at once, each asked for every ${SERVICES}th time, ms`, {
      ...distribution(samplesMs),
    });
    expect(report.problems()).toEqual({});
    expect(report.results.length).toBeGreaterThan(movedAt);
    expect(report.results.at(-1)?.backend).toBe("after");
  }, 120_000);
}

for (const kind of [embedded, real]) {
  describe.skipIf(kind === real && isConsulMissing())(
    `under load, a sidecar whose catalog is the ${kind.name}`,
    () => {
      faultsOfAgentAndNetwork(kind);
      massChanges(kind);
    },
  );
}

describe.skipIf(isConsulMissing())("under load, a sidecar whose Consul", () => {
  it("stops answering and goes on again: no request fails", async () => {
    stage = await Stage.openWithConsul();
    const { url, pid } = stage.consul;
    const scene = await CatalogScene.open(stage, { title: "agent paused", address: url, consul: SHORT_WAIT });
    process.kill(pid, "SIGSTOP");
    await scene.isStale();
    await scene.load.more(200);
    process.kill(pid, "SIGCONT");
    await scene.isLive();
    await scene.arrives();
    await scene.close();
  }, 60_000);

  it("loses its leader, and then its majority: no request fails, and changes come through after each", async () => {
    stage = await Stage.open();
    const servers = await startConsulCluster(stage.folder);
    stage.defer(() => Promise.all(servers.map((server) => server.stop())));
    const leader = await leaderOf(servers);
    const [asked, written] = servers.filter((server) => server !== leader);
    if (leader === undefined || asked === undefined || written === undefined) throw new Error("no leader");
    const scene = await CatalogScene.open(stage, {
      title: "leader lost",
      address: asked.url,
      writeTo: written.url,
      // A blocked query does not notice that its server lost the majority.
      consul: SHORT_WAIT,
    });
    await scene.arrives();
    const hasLeader = async () => (await leaderOf([asked, written])) !== undefined;

    await leader.kill();
    await scene.load.more(100);
    await until(hasLeader, 20_000, "another leader");
    await scene.isLive();
    await scene.arrives();

    // The server that is left answers from what it has, and says that nobody leads it.
    await written.kill();
    const knowsNoLeader = async () => (await scene.admin.source()).details.knownLeader === "false";
    await until(knowsNoLeader, 20_000, "an answer without a leader");
    expect((await scene.admin.source()).state).toBe(SourceState.SOURCE_STATE_STALE);
    await scene.load.more(200);
    await Promise.all([leader.restart(), written.restart()]);
    await until(async () => !(await knowsNoLeader()), 20_000, "an answer with a leader");
    await scene.arrives();
    await scene.close();
  }, 90_000);
});
