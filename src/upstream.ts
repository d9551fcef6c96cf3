import type { ConsulConfig, PoolConfig } from "./config/model.js";
import { GuardedSource } from "./control/guarded-source.js";
import { MergedSource } from "./control/merged-source.js";
import { PoolKeeper } from "./control/pool-keeper.js";
import { logPoolEvents } from "./control/pool-log.js";
import { Prober } from "./control/prober.js";
import type { PoolSource, SourceDeps } from "./control/source.js";
import { Pool } from "./core/pool.js";
import { createBalancer, createProbe, createSource } from "./extensions.js";
import type { Log } from "./platform/log.js";
import { UpstreamConnections } from "./proxy/http1/upstream-connections.js";
import { OpenWork } from "./proxy/open-work.js";
import type { UpstreamService } from "./proxy/upstream-service.js";

/** A pool with all that works on it: the control plane's keeper, and the data plane's view. */
export interface Upstream {
  readonly keeper: PoolKeeper;
  readonly service: UpstreamService;
}

/** What upstreams are built with besides their own configuration. */
export interface UpstreamParts {
  readonly consul: ConsulConfig;
  readonly deps: SourceDeps;
  /** Of this pool. */
  readonly log: Log;
  readonly onInvariantBroken: (what: string) => void;
}

/** Builds one pool and wires both planes to it. Nothing runs before its keeper is started. */
export function buildUpstream(config: PoolConfig, parts: UpstreamParts): Upstream {
  const { clock, random } = parts.deps;
  const { limits } = config;
  const pool = new Pool({
    name: config.name,
    balancer: createBalancer(config.balance, random),
    outlier: config.outlierDetection,
    maxInFlightPerBackend: leastLimit(limits.maxConnectionsPerBackend, limits.maxRequestsPerBackend),
    maxQueue: limits.maxQueue,
    drainDeadlineMs: config.drainDeadlineMs,
    onInvariantBroken: parts.onInvariantBroken,
  });
  logPoolEvents(pool, parts.log);
  const service = buildService(config, pool, parts);
  pool.subscribe((event) => {
    if (event.type === "drain-deadline") service.work.cut(event.backend);
  });
  const source = buildSource(config, pool, parts);
  const { healthCheck } = config;
  const prober = healthCheck && new Prober(pool, createProbe(healthCheck, clock), healthCheck, clock, random);
  return { keeper: new PoolKeeper({ pool, source, prober, clock }), service };
}

function buildSource(config: PoolConfig, pool: Pool, parts: UpstreamParts): PoolSource {
  const { deps, log } = parts;
  const guarded = config.discovery.map(
    (discovery) =>
      new GuardedSource({
        source: createSource(discovery, parts.consul, deps),
        pool,
        rules: config.suspicion,
        clock: deps.clock,
        log,
      }),
  );
  return new MergedSource(guarded, deps.clock, log);
}

function buildService(config: PoolConfig, pool: Pool, parts: UpstreamParts): UpstreamService {
  const { timeouts, retries, reuse, limits } = config;
  const connections = new UpstreamConnections(
    pool,
    {
      idleMs: timeouts.upstreamIdleMs,
      maxPerBackend: limits.maxConnectionsPerBackend,
      isReusing: reuse.mode !== "never",
    },
    parts.deps.clock,
  );
  return { pool, timeouts, retries, reuse, work: new OpenWork(), connections };
}

/** The smaller of two limits of which 0 means none. */
function leastLimit(a: number, b: number): number {
  return a === 0 ? b : b === 0 ? a : Math.min(a, b);
}
