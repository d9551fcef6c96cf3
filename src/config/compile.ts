import { inspect } from "node:util";
import { compileAffinity } from "./compile-affinity.js";
import { compileBalance } from "./compile-balance.js";
import { compileOutlierDetection, compileSlowStart } from "./compile-detection.js";
import { compileDiscovery, compileFlapDamping, compileSuspicion } from "./compile-discovery.js";
import { compileAgentCheck, compileHealthCheck } from "./compile-health.js";
import { compileLimits } from "./compile-limits.js";
import type {
  AdminConfig,
  Config,
  ConsulConfig,
  ListenerConfig,
  PoolConfig,
  RouteConfig,
  ServiceCheckConfig,
  ServiceConfig,
  SocketAddressConfig,
} from "./model.js";
import { findAdvertisable, findInboundOnly, findTcpOnly } from "./pool-use.js";
import type { PriorityConfig } from "./priority-model.js";
import type { ParsedConfig } from "./schema/config.js";

type ParsedService = NonNullable<ParsedConfig["service"]>;
type ParsedListener = ParsedConfig["listeners"][number];
type ParsedRoute = ParsedListener["routes"][number];
type ParsedPool = ParsedConfig["pools"][number];

/** Gives a checked file the shape the program works with: units in the names, derived defaults in place, frozen. */
export function compileConfig(parsed: ParsedConfig): Config {
  const listeners = parsed.listeners.map(compileListener);
  const isInboundOnly = findInboundOnly(listeners);
  const isTcpOnly = findTcpOnly(listeners, parsed.pools);
  return deepFreeze<Config>({
    log: parsed.log,
    stateDir: parsed.stateDir,
    maxConnections: parsed.limits.maxConnections,
    maxChecks: parsed.limits.maxChecks,
    shutdown: { graceMs: parsed.shutdown.grace, deadlineMs: parsed.shutdown.deadline },
    trustedNetworks: parsed.trustedNetworks,
    startDeadlineMs: parsed.startDeadline,
    consul: compileConsul(parsed.consul),
    admin: compileAdmin(parsed.admin),
    service: parsed.service === undefined ? undefined : compileService(parsed.service, listeners),
    listeners,
    pools: parsed.pools.map((pool) =>
      compilePool(pool, listeners, isInboundOnly(pool.name), isTcpOnly(pool.name)),
    ),
  });
}

function compileConsul(consul: ParsedConfig["consul"]): ConsulConfig {
  return hideSecrets({
    address: consul.address,
    token: consul.token,
    tokenFile: consul.tokenFile,
    datacenter: consul.datacenter,
    namespace: consul.namespace,
    partition: consul.partition,
    tls: {
      caFile: consul.tls.ca,
      certFile: consul.tls.cert,
      keyFile: consul.tls.key,
      serverName: consul.tls.serverName,
      verify: consul.tls.verify,
    },
    auth: consul.auth,
    waitMs: consul.wait,
    emptyGraceMs: consul.emptyGrace,
    coalesceMs: consul.coalesce,
  });
}

/**
 * A configuration gets logged sooner or later. Printed as JSON or by `inspect`, the token and the password are
 * masked; read as properties they are there.
 */
function hideSecrets(consul: ConsulConfig): ConsulConfig {
  const mask = (): Record<string, unknown> => ({
    ...consul,
    token: consul.token === undefined ? undefined : "***",
    auth: consul.auth === undefined ? undefined : "***",
  });
  return Object.defineProperties(consul, { toJSON: { value: mask }, [inspect.custom]: { value: mask } });
}

function compileAdmin({ grpc, http, probe }: ParsedConfig["admin"]): AdminConfig {
  return {
    grpc:
      grpc === undefined
        ? undefined
        : compileGrpc("kind" in grpc ? { address: grpc, insecure: false } : grpc),
    http: http === undefined || "kind" in http ? http : http.address,
    probe,
  };
}

function compileGrpc(grpc: {
  readonly address: SocketAddressConfig;
  readonly tls?:
    | { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined }
    | undefined;
  readonly tokenFile?: string | undefined;
  readonly insecure: boolean;
}): AdminConfig["grpc"] {
  const { address, tls, tokenFile, insecure } = grpc;
  return {
    address,
    tls: tls === undefined ? undefined : { certFile: tls.cert, keyFile: tls.key, clientCaFile: tls.clientCa },
    tokenFile,
    insecure,
  };
}

function compileService(service: ParsedService, listeners: readonly ListenerConfig[]): ServiceConfig {
  const { name, port, id, address, tags, meta, weights, check, shutdown } = service;
  return {
    name,
    port,
    id,
    address,
    tags,
    meta,
    weights,
    advertise: compileAdvertise(service.advertise, listeners),
    check: compileServiceCheck(check),
    shutdown,
  };
}

/** Unless it is said: the inbound listener where there is exactly one, else the application. */
function compileAdvertise(
  advertise: ParsedService["advertise"],
  listeners: readonly ListenerConfig[],
): ServiceConfig["advertise"] {
  if (advertise === "application") return { kind: "application" };
  if (advertise !== undefined) return { kind: "listener", listener: advertise.listener };
  const [only, ...others] = findAdvertisable(listeners);
  return only === undefined || others.length > 0
    ? { kind: "application" }
    : { kind: "listener", listener: only.name };
}

function compileServiceCheck(check: ParsedService["check"]): ServiceCheckConfig {
  const shared = {
    httpPath: check.http,
    intervalMs: check.interval,
    timeoutMs: check.timeout,
    fall: check.fall,
    rise: check.rise,
    deregisterCriticalServiceAfterMs: check.deregisterCriticalServiceAfter,
  };
  return check.kind === "ttl-probe"
    ? { kind: check.kind, ttlMs: check.ttl, ...shared }
    : { kind: check.kind, ...shared };
}

function compileListener(listener: ParsedListener): ListenerConfig {
  return {
    name: listener.name,
    bind: listener.bind,
    protocol: listener.protocol,
    direction: listener.direction,
    timeouts: {
      clientMs: listener.timeouts.client,
      httpRequestMs: listener.timeouts.httpRequest,
      httpKeepAliveMs: listener.timeouts.httpKeepAlive,
    },
    limits: listener.limits,
    allowConnect: listener.allowConnect,
    pool: listener.pool,
    priority: compilePriority(listener.priority),
    routes: listener.routes.map(compileRoute),
  };
}

function compileRoute(route: ParsedRoute): RouteConfig {
  const { host, path, pathPrefix, method, headers } = route.match;
  return {
    match: {
      host,
      path,
      pathPrefix,
      method,
      headers: Object.entries(headers).map(([name, value]) => ({ name: name.toLowerCase(), value })),
    },
    pools: route.pools ?? (route.pool === undefined ? [] : [{ pool: route.pool, weight: 1 }]),
    timeouts: { requestTotalMs: route.timeouts.requestTotal, serverMs: route.timeouts.server },
    retries: { max: route.retries.max, perTryMs: route.retries.perTryTimeout, on: route.retries.on },
    priority: compilePriority(route.priority),
  };
}

function compilePriority(priority: ParsedListener["priority"]): PriorityConfig | undefined {
  if (priority === undefined) return undefined;
  return {
    class: priority.class,
    offsetMs: priority.offset,
    header: priority.header?.toLowerCase(),
  };
}

function compilePool(
  pool: ParsedPool,
  listeners: readonly ListenerConfig[],
  isInboundOnly: boolean,
  isTcpOnly: boolean,
): PoolConfig {
  return {
    name: pool.name,
    discovery: compileDiscovery(pool.discovery),
    suspicion: compileSuspicion(pool.suspicion),
    flapDamping: compileFlapDamping(pool.flapDamping),
    savedList: pool.savedList && { maxAgeMs: pool.savedList.maxAge },
    balance: compileBalance(pool.balance),
    affinity: compileAffinity(pool.affinity),
    timeouts: {
      connectMs: pool.timeouts.connect,
      serverMs: pool.timeouts.server,
      queueMs: pool.timeouts.queue,
      awaitBackendMs: pool.timeouts.awaitBackend,
      tunnelMs: pool.timeouts.tunnel,
      requestTotalMs: pool.timeouts.requestTotal,
      upstreamIdleMs: pool.timeouts.upstreamIdle,
    },
    retries: {
      max: pool.retries.max,
      redispatch: pool.retries.redispatch,
      redispatchInterval: pool.retries.redispatchInterval,
      perTryMs: pool.retries.perTryTimeout,
      on: pool.retries.on,
      nonIdempotent: pool.retries.nonIdempotent,
      maxBodyBytes: pool.retries.maxBodyBytes,
      expectContinueMs: pool.retries.expectContinue,
      backoff: { baseMs: pool.retries.backoff.base, maxMs: pool.retries.backoff.max },
      hedge: pool.retries.hedge,
      budget: pool.retries.budget,
    },
    reuse: { mode: pool.reuse, safeForMs: pool.reuseSafeFor },
    healthCheck: compileHealthCheck(pool.healthCheck),
    agentCheck: compileAgentCheck(pool),
    outlierDetection: compileOutlierDetection(pool.outlierDetection, isInboundOnly, pool.balance.algorithm),
    slowStart: compileSlowStart(pool.slowStart),
    limits: compileLimits(pool, listeners, isTcpOnly),
    allBackups: pool.allBackups,
    panicThreshold: pool.panicThreshold,
    zone: pool.zone,
    persist: pool.persist,
    abortOnClose: pool.abortOnClose,
    fallback: pool.fallback,
    drainDeadlineMs: pool.drainDeadline,
  };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
