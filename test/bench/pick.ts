/**
 * What balancing costs: microseconds per pick and release of each balancer, and per acquire and release through
 * a pool, at 10, 1,000 and 10,000 backends. At last the same for tunnels of TCP listeners while every backend is at
 * its limit of requests.
 *
 *     node --import tsx test/bench/pick.ts                  # over src
 *     node --import tsx test/bench/pick.ts dist             # over what `npm run build` made
 *     node --import tsx test/bench/pick.ts --limit 1        # fails above 1 us of leastconn at 1,000 and 10,000
 *
 * The mix: weights 1 to 10, on average two leases open per backend, given back in random order, and each step
 * takes one and gives one back. Processor time, garbage collection included. Every figure is the median of seven runs, with the least and the greatest.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Backend as BackendType } from "../../src/core/backend.js";
import type { Balancer } from "../../src/core/balancer.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import type { Lease } from "../../src/core/lease.js";
import type { Pool as PoolType } from "../../src/core/pool.js";
import { OUTLIER } from "../support/pool-fixture.js";
import { seededRandom } from "../support/seeded-random.js";

const RUNS = 7;
const STEPS = 300_000;
const SIZES = [10, 1_000, 10_000];
const OPEN_PER_BACKEND = 2;

const { values, positionals } = parseArgs({ options: { limit: { type: "string" } }, allowPositionals: true });
const limitUs = values.limit === undefined ? undefined : Number(values.limit);
const root = resolve(positionals[0] ?? "src");

async function load<Module>(file: string): Promise<Module> {
  return import(pathToFileURL(resolve(root, "core", `${file}${root.endsWith("dist") ? ".js" : ".ts"}`)).href);
}

const { Backend } = await load<typeof import("../../src/core/backend.js")>("backend");
const { Scoreboard } = await load<typeof import("../../src/core/scoreboard.js")>("scoreboard");
const { Pool } = await load<typeof import("../../src/core/pool.js")>("pool");
const { Leastconn } =
  await load<typeof import("../../src/core/balancers/leastconn.js")>("balancers/leastconn");
const { RoundRobin } =
  await load<typeof import("../../src/core/balancers/roundrobin.js")>("balancers/roundrobin");
const { RandomDraws } = await load<typeof import("../../src/core/balancers/random.js")>("balancers/random");

const { First } = await load<typeof import("../../src/core/balancers/first.js")>("balancers/first");
const { ConsistentHash } =
  await load<typeof import("../../src/core/balancers/consistent-hash.js")>("balancers/consistent-hash");
const { Maglev } = await load<typeof import("../../src/core/balancers/maglev.js")>("balancers/maglev");
const { Ewma } = await load<typeof import("../../src/core/balancers/ewma.js")>("balancers/ewma");

const NOBODY: readonly BackendType[] = [];

const BALANCERS: Readonly<Record<string, () => Balancer>> = {
  "leastconn, idle weighted": () => new Leastconn({ idle: "weighted" }),
  "leastconn, idle haproxy": () => new Leastconn({ idle: "haproxy" }),
  roundrobin: () => new RoundRobin(),
  "random, 2 draws": () => new RandomDraws({ draws: 2 }, seededRandom(2)),
  first: () => new First(),
  "consistent-hash, keys at random": () =>
    new ConsistentHash({ virtualNodes: 128, loadFactor: 1.25 }, seededRandom(2)),
  "maglev, keys at random": () => new Maglev({ tableSize: 65_537, loadFactor: 1.25 }, seededRandom(2)),
  ewma: () => new Ewma({ decayMs: 10_000, defaultRttMs: 30 }, seededRandom(2)),
};

function endpointAt(index: number): Endpoint {
  const id = `b${index}`;
  return {
    key: id,
    id,
    host: "10.0.0.1",
    port: 1024 + index,
    weight: 1 + (index % 10),
    status: "passing",
    admitted: true,
    reason: "",
    tags: [],
    meta: {},
    node: undefined,
    datacenter: undefined,
    zone: undefined,
    priority: 0,
  };
}

/** One run: `STEPS` times a pick and a release; answers microseconds for the pair. */
type Run = () => number;

function microsecondsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/** Which of the open ones is given back at each step, drawn beforehand so that drawing is not measured. */
function choices(open: number): Int32Array {
  const random = seededRandom(open);
  return Int32Array.from({ length: STEPS }, () => Math.floor(random() * open));
}

function balancerRun(balancer: Balancer, size: number): Run {
  const scoreboard = new Scoreboard();
  for (let index = 0; index < size; index++) {
    const endpoint = endpointAt(index);
    const backend = new Backend(endpoint, scoreboard.allocate(), 0);
    backend.weigh(endpoint.weight * 16);
    balancer.add(backend);
  }
  const take = (): BackendType => {
    const backend = balancer.pick(NOBODY);
    if (backend === undefined) throw new Error("nothing to pick");
    backend.row.take(0);
    balancer.taken(backend);
    return backend;
  };
  const open = Array.from({ length: size * OPEN_PER_BACKEND }, take);
  const which = choices(open.length);
  return () => {
    const start = process.cpuUsage();
    for (let step = 0; step < STEPS; step++) {
      const at = which[step] as number;
      const backend = open[at] as BackendType;
      backend.row.giveBack(0);
      balancer.released(backend);
      open[at] = take();
    }
    return microsecondsSince(start) / STEPS;
  };
}

function poolOf(balancer: Balancer, size: number, maxRequestsPerBackend: number): PoolType {
  const pool = new Pool({
    name: "bench",
    balancer: () => balancer,
    tiers: { allBackups: false, panicThreshold: 50 },
    outlier: OUTLIER,
    maxInFlightPerBackend: 100,
    maxRequestsPerBackend,
    maxQueue: 1000,
    drainDeadlineMs: 30_000,
    random: () => 0,
    onInvariantBroken: (what) => {
      throw new Error(what);
    },
  });
  pool.apply({ endpoints: Array.from({ length: size }, (_, index) => endpointAt(index)) }, 0);
  return pool;
}

function poolRun(balancer: Balancer, size: number): Run {
  const pool = poolOf(balancer, size, 0);
  return leaseRun(size, () => pool.acquire(NOBODY, 1));
}

function tunnelRun(balancer: Balancer, size: number): Run {
  const pool = poolOf(balancer, size, 1);
  const tunnel = { avoid: NOBODY, isTunnel: true };
  for (let requests = 0; requests < size; requests++) pool.acquire(NOBODY, 1);
  return leaseRun(size, () => pool.acquireFor(tunnel, 1));
}

function leaseRun(size: number, acquire: () => Lease | undefined): Run {
  const take = (): Lease => {
    const lease = acquire();
    if (lease === undefined) throw new Error("nothing to acquire");
    return lease;
  };
  const open = Array.from({ length: size * OPEN_PER_BACKEND }, take);
  const which = choices(open.length);
  return () => {
    const start = process.cpuUsage();
    for (let step = 0; step < STEPS; step++) {
      const at = which[step] as number;
      const lease = open[at] as Lease;
      lease.release("success", 200, step);
      open[at] = take();
    }
    return microsecondsSince(start) / STEPS;
  };
}

/** Least, median and greatest of the runs, after one to warm up. */
function measure(run: Run): { least: number; median: number; greatest: number } {
  run();
  const sorted = Array.from({ length: RUNS }, run).sort((a, b) => a - b);
  return {
    least: sorted[0] as number,
    median: sorted[RUNS >> 1] as number,
    greatest: sorted[RUNS - 1] as number,
  };
}

function print(cells: readonly string[]): void {
  const [name = "", size = "", ...figures] = cells;
  console.log([name.padEnd(38), size.padStart(8), ...figures.map((each) => each.padStart(9))].join(" "));
}

console.log(
  `microseconds of processor time per pair, ${RUNS} runs of ${STEPS}, node ${process.version}, ${root}`,
);
print(["", "backends", "median", "least", "greatest"]);
let isTooSlow = false;

/** Prints one row, and answers its median. */
function row(what: string, size: number, run: Run): number {
  const { least, median, greatest } = measure(run);
  print([what, String(size), ...[median, least, greatest].map((figure) => figure.toFixed(3))]);
  return median;
}

for (const [name, make] of Object.entries(BALANCERS)) {
  for (const size of SIZES) {
    const median = row(`${name}: pick+release`, size, balancerRun(make(), size));
    const isBound = name.startsWith("leastconn") && size >= 1_000;
    if (isBound && limitUs !== undefined && median > limitUs) isTooSlow = true;
  }
  for (const size of SIZES) row(`${name}: lease`, size, poolRun(make(), size));
}
for (const size of SIZES)
  row("leastconn: tunnel's lease", size, tunnelRun(new Leastconn({ idle: "weighted" }), size));
if (isTooSlow) {
  console.error(`leastconn took more than ${limitUs} us per pick and release`);
  process.exitCode = 1;
}
