import { EventJournal } from "../../../src/admin/event-journal.js";
import type {
  AdminPorts,
  AffinityPort,
  ConfigProblem,
  DiscoveryStatus,
  ProxyInfo,
  ReloadReport,
} from "../../../src/admin/ports.js";
import type { Backend } from "../../../src/core/backend.js";
import { Leastconn } from "../../../src/core/balancers/leastconn.js";
import type { Endpoint } from "../../../src/core/endpoint.js";
import { Pool } from "../../../src/core/pool.js";
import type { PoolOptions } from "../../../src/core/pool-options.js";
import { type Clock, systemClock } from "../../../src/platform/clock.js";
import type { Log, LogThreshold } from "../../../src/platform/log.js";

/** A log that keeps nothing. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** An endpoint of a catalog, all well unless told otherwise. */
export function endpointOf(id: string, port: number, change: Partial<Endpoint> = {}): Endpoint {
  return {
    key: `consul/dc1///node/${id}`,
    id,
    host: "10.0.0.1",
    port,
    weight: 1,
    status: "passing",
    admitted: true,
    reason: "",
    tags: ["v2"],
    meta: { color: "blue" },
    node: "node",
    datacenter: "dc1",
    zone: undefined,
    priority: 0,
    ...change,
  };
}

/** A leastconn pool; a broken invariant fails the test. */
export function poolOf(name: string, change: Partial<PoolOptions> = {}): Pool {
  return new Pool({
    name,
    balancer: () => new Leastconn({ idle: "weighted" }),
    tiers: { allBackups: false, panicThreshold: 0 },
    outlier: undefined,
    maxInFlightPerBackend: 0,
    maxQueue: 10,
    drainDeadlineMs: 30_000,
    random: () => 0,
    onInvariantBroken: (what) => {
      throw new Error(what);
    },
    ...change,
  });
}

/** Everything admin sees of a proxy, over real pools and without any traffic of its own. */
export class Scene implements AdminPorts {
  readonly clock: Clock;
  readonly pools = new Map<string, Pool>();
  readonly journal: EventJournal;
  readonly drained: (number | undefined)[] = [];
  level: LogThreshold = "info";
  broken = 0;
  proxy: ProxyInfo = {
    version: "1.2.3",
    nodeVersion: "20.20.2",
    pid: 42,
    startedWallMs: 1_700_000_000_000,
    configFile: "/etc/pilotfish.yaml",
    state: "ready",
    reason: "",
    listeners: [
      {
        name: "front",
        protocol: "http",
        addresses: ["127.0.0.1:6000"],
        openConnections: 3,
        maxConnections: 100,
        waiting: 4,
        maxWaiting: 50,
        connectionsTotal: 30,
        refusedFull: 5,
        refusedPerAddress: 6,
        requestsTotal: 300,
        bytesIn: 1000,
        bytesOut: 5_000_000_000,
      },
    ],
    grpcAddress: "127.0.0.1:7070",
  };

  constructor(options: { readonly clock?: Clock; readonly journalCapacity?: number } = {}) {
    this.clock = options.clock ?? systemClock;
    this.journal = new EventJournal({ capacity: options.journalCapacity ?? 4096 });
  }

  /** Adds a pool that lists the endpoints. */
  add(pool: Pool, endpoints: readonly Endpoint[]): Pool {
    this.pools.set(pool.name, pool);
    this.journal.follow(pool);
    pool.apply({ endpoints }, this.clock.nowMs());
    return pool;
  }

  info(): ProxyInfo {
    return this.proxy;
  }

  discovery(pool: string): readonly DiscoveryStatus[] {
    if (!this.pools.has(pool)) return [];
    return [
      {
        kind: "consul",
        target: `service ${pool}`,
        state: "stale",
        reason: "connection refused",
        lastSuccessMs: this.clock.nowMs() - 5000,
        lastChangeMs: this.clock.nowMs() - 9000,
        consecutiveFailures: 2,
        queries: 12,
        failures: 2,
        endpoints: 3,
        held: 0,
        suspicions: 1,
        isSaved: false,
        details: { index: "17" },
      },
    ];
  }

  /** By pool. */
  readonly affinities = new Map<string, AffinityPort>();

  affinity(pool: string): AffinityPort | undefined {
    return this.affinities.get(pool);
  }

  /** Those that a TCP listener uses. */
  readonly tunnelPools = new Set<string>();

  takesTunnels(pool: string): boolean {
    return this.tunnelPools.has(pool);
  }

  openWork(backend: Backend): { requests: number; tunnels: number } {
    return { requests: backend.inFlight, tunnels: 0 };
  }

  logLevel(): LogThreshold {
    return this.level;
  }

  setLogLevel(level: LogThreshold): void {
    this.level = level;
  }

  checkConfig(text: string) {
    const problem = { line: 3, column: 5, path: "pools[0].nmae", message: "unknown key; did you mean name?" };
    return { problems: text.includes("nmae") ? [problem] : [] };
  }

  /** Changes nothing where `obstacle` says why. */
  obstacle: ConfigProblem | undefined;

  async reloadConfig(isDryRun: boolean): Promise<ReloadReport> {
    const change = { path: "pools[web].timeouts.connectMs", from: "5000", to: undefined };
    const problems = this.obstacle === undefined ? [] : [this.obstacle];
    return { problems, changes: [change], isApplied: !isDryRun && problems.length === 0 };
  }

  drainProxy(deadlineMs: number | undefined): void {
    this.drained.push(deadlineMs);
    this.proxy = { ...this.proxy, state: "draining", reason: "asked to stop" };
  }

  invariantsBroken(): number {
    return this.broken;
  }
}

/** The backend of a pool with this service id. */
export function backendOf(pool: Pool, id: string): Backend {
  for (const backend of pool.backends()) if (backend.endpoint.id === id) return backend;
  throw new Error(`no backend ${id}`);
}
