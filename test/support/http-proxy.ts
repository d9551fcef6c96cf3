import type { ListenerLimits, ListenerTimeouts, PoolTimeouts, RouteConfig } from "../../src/config/model.js";
import type { RetryConfig, ReuseConfig } from "../../src/config/retry-model.js";
import type { AdaptiveLimitOptions } from "../../src/core/adaptive-limit.js";
import { RoundRobin } from "../../src/core/balancers/roundrobin.js";
import { type Endpoint, formatAddress } from "../../src/core/endpoint.js";
import { HedgeDelay } from "../../src/core/hedge-delay.js";
import { Pool } from "../../src/core/pool.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import { RetryBudget } from "../../src/core/retry-budget.js";
import { type Clock, systemClock } from "../../src/platform/clock.js";
import type { Log } from "../../src/platform/log.js";
import { AccessRecord, type AccessSink } from "../../src/proxy/access-record.js";
import type { Affinity } from "../../src/proxy/affinity.js";
import { ConnectionBudget } from "../../src/proxy/connection-limits.js";
import type { ConnectionMode } from "../../src/proxy/connection-mode.js";
import { TrustedNetworks } from "../../src/proxy/headers.js";
import { Http1Protocol } from "../../src/proxy/http1/http1-protocol.js";
import { UpstreamConnections } from "../../src/proxy/http1/upstream-connections.js";
import { Listener } from "../../src/proxy/listener.js";
import { OpenWork } from "../../src/proxy/open-work.js";
import { Router } from "../../src/proxy/router.js";
import type { UpstreamService } from "../../src/proxy/upstream-service.js";
import { RawClient, until } from "./raw-client.js";
import { retryConfig } from "./retry-config.js";

const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };

export interface HttpProxyOptions {
  /** Ports on 127.0.0.1. */
  readonly backends: readonly number[];
  readonly clock?: Clock;
  readonly limits?: Partial<ListenerLimits>;
  readonly allowConnect?: boolean;
  readonly clientTimeouts?: Partial<ListenerTimeouts>;
  readonly timeouts?: Partial<PoolTimeouts>;
  readonly retries?: Partial<RetryConfig>;
  readonly reuse?: Partial<ReuseConfig>;
  readonly affinity?: (pool: Pool, clock: Clock) => Affinity;
  readonly routes?: readonly RouteConfig[];
  /** Without it, what no route matches gets 404. Default `web`. */
  readonly pool?: string | undefined;
  readonly maxInFlightPerBackend?: number;
  readonly maxRequestsPerBackend?: number;
  readonly maxConnectionsPerBackend?: number;
  readonly adaptiveLimit?: AdaptiveLimitOptions;
  readonly maxQueue?: number;
  /** What else the pool goes by. */
  readonly poolRules?: Partial<PoolOptions>;
  /** Default true. */
  readonly abortOnClose?: boolean;
  /** Ports of the backends of a pool behind the first. */
  readonly fallback?: readonly number[];
  readonly retryAfterMs?: number;
  readonly trusted?: readonly string[];
  readonly connectionMode?: ConnectionMode;
}

/** An HTTP listener in front of a static pool, with its access records and whatever broke an invariant. */
export interface HttpProxy {
  readonly port: number;
  readonly pool: Pool;
  /** The pool as listeners use it. */
  readonly service: UpstreamService;
  readonly work: OpenWork;
  readonly connections: UpstreamConnections;
  readonly listener: Listener;
  /** Copies of the access records, in order. */
  readonly records: AccessRecord[];
  /** Must stay empty: leases released twice and the like. */
  readonly broken: string[];
  /** A client's connection, from an address of the loopback network. */
  dial(localAddress?: string): RawClient;
  /** The access record with this number, once it is written. */
  record(index: number): Promise<AccessRecord>;
  /** Waits until nothing is under way. Fails where an invariant broke. */
  settled(): Promise<void>;
  close(): void;
}

/** Builds and binds it on a free port of 127.0.0.1. */
export async function startHttpProxy(options: HttpProxyOptions): Promise<HttpProxy> {
  const clock = options.clock ?? systemClock;
  const broken: string[] = [];
  const pool = new Pool({
    name: "web",
    balancer: () => new RoundRobin(),
    tiers: { allBackups: false, panicThreshold: 0 },
    outlier: undefined,
    maxInFlightPerBackend: options.maxInFlightPerBackend ?? 0,
    maxRequestsPerBackend: options.maxRequestsPerBackend,
    adaptiveLimit: options.adaptiveLimit,
    maxQueue: options.maxQueue ?? 10,
    drainDeadlineMs: 30_000,
    random: () => 0,
    // Kept as well as thrown: a throw inside a socket's callback may be caught on its way.
    onInvariantBroken: (what) => {
      broken.push(what);
      throw new Error(what);
    },
    ...options.poolRules,
  });
  pool.apply({ endpoints: options.backends.map(endpointAt) }, clock.nowMs());
  const connections = new UpstreamConnections(
    pool,
    {
      idleMs: options.timeouts?.upstreamIdleMs ?? 60_000,
      maxPerBackend: options.maxConnectionsPerBackend ?? 0,
      isReusing: options.reuse?.mode !== "never",
      isBinding: options.affinity !== undefined,
    },
    clock,
  );
  const service: UpstreamService = {
    pool,
    timeouts: {
      connectMs: 5_000,
      serverMs: 30_000,
      queueMs: 5_000,
      awaitBackendMs: 0,
      tunnelMs: 3_600_000,
      requestTotalMs: 0,
      upstreamIdleMs: 60_000,
      ...options.timeouts,
    },
    retries: retryConfig(options.retries),
    fallback: options.fallback === undefined ? undefined : "spare",
    retryBudget: new RetryBudget(),
    affinity: options.affinity?.(pool, clock),
    hedgeDelay: new HedgeDelay(),
    reuse: { mode: "safe", safeForMs: 1_000, ...options.reuse },
    retryAfterMs: options.retryAfterMs ?? 1_000,
    abortOnClose: options.abortOnClose ?? true,
    work: new OpenWork(),
    connections,
  };
  const spare = new Pool({ ...pool.options, name: "spare" });
  spare.apply({ endpoints: (options.fallback ?? []).map(endpointAt) }, clock.nowMs());
  const spareConnections = new UpstreamConnections(
    spare,
    { idleMs: 60_000, maxPerBackend: 0, isReusing: true, isBinding: false },
    clock,
  );
  const behind: UpstreamService = {
    ...service,
    pool: spare,
    fallback: undefined,
    affinity: undefined,
    work: new OpenWork(),
    connections: spareConnections,
  };
  const records: AccessRecord[] = [];
  const accessLog: AccessSink = {
    write: (record) => void records.push(Object.assign(new AccessRecord("http", record.listener), record)),
  };
  const config = {
    name: "front",
    bind: [{ kind: "tcp", host: "127.0.0.1", port: 0 }],
    protocol: "http",
    direction: "outbound",
    timeouts: { clientMs: 30_000, httpRequestMs: 10_000, httpKeepAliveMs: 60_000, ...options.clientTimeouts },
    limits: {
      maxConnections: 1_000,
      maxWaiting: 1_000,
      backlog: 4_096,
      maxConnectionsPerAddress: 0,
      maxHeadBytes: 16_384,
      maxHeaders: 128,
      maxBodyBytes: 0,
      ...options.limits,
    },
    allowConnect: options.allowConnect ?? false,
    pool: "pool" in options ? options.pool : "web",
    priority: undefined,
    routes: options.routes ?? [],
  } as const;
  const listener = new Listener({
    config,
    protocol: new Http1Protocol({
      config,
      router: new Router(
        config.routes,
        config.pool,
        (name) => (name === "spare" ? behind : service),
        () => 0,
      ),
      trusted: new TrustedNetworks(options.trusted ?? []),
      clock,
      random: () => 0.5,
      accessLog,
    }).begin,
    budget: new ConnectionBudget(1_000),
    log: SILENT_LOG,
    connectionMode: options.connectionMode ?? "handle",
  });
  await listener.bind();
  const [address] = listener.addresses;
  if (address?.kind !== "tcp") throw new Error("not listening on TCP");
  const clients: RawClient[] = [];
  return {
    port: address.port,
    pool,
    service,
    work: service.work,
    connections,
    listener,
    records,
    broken,
    dial(localAddress) {
      const client = new RawClient(address.port, localAddress);
      clients.push(client);
      return client;
    },
    async record(index) {
      await until(() => records[index] !== undefined);
      return records[index] as AccessRecord;
    },
    async settled() {
      await until(() => broken.length > 0 || (pool.inFlight === 0 && service.work.size === 0));
      if (broken.length > 0) throw new Error(broken.join("; "));
    },
    close() {
      for (const client of clients) client.leave();
      listener.stopAccepting();
      listener.destroyAll();
      connections.stop();
      spareConnections.stop();
    },
  };
}

function endpointAt(port: number, index: number): Endpoint {
  return {
    key: `static/${index}`,
    id: formatAddress("127.0.0.1", port),
    host: "127.0.0.1",
    port,
    weight: 1,
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
