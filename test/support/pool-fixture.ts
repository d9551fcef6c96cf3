import { Backend } from "../../src/core/backend.js";
import type { Balancer } from "../../src/core/balancer.js";
import { Leastconn } from "../../src/core/balancers/leastconn.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import type { Lease } from "../../src/core/lease.js";
import type { Waiter } from "../../src/core/line.js";
import type { OutlierOptions } from "../../src/core/outlier.js";
import type { OverrideTerms } from "../../src/core/override.js";
import { Pool } from "../../src/core/pool.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import type { Scoreboard } from "../../src/core/scoreboard.js";

/** An endpoint named `id`, ordinary but for what is given. */
export function endpoint(id: string, changes: Partial<Endpoint> = {}): Endpoint {
  return {
    key: `test/${id}`,
    id,
    host: "10.0.0.1",
    port: 80,
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
    ...changes,
  };
}

/** A backend outside any pool, for tests of balancers. */
export function backendOf(scoreboard: Scoreboard, id: string, weight = 1, limit = 0): Backend {
  const backend = new Backend(endpoint(id, { weight }), scoreboard.allocate(), 0);
  backend.weigh(weight * 16);
  backend.row.limit = limit;
  return backend;
}

/** Picks and counts, as the pool does. */
export function takeFrom(balancer: Balancer, avoid: readonly Backend[] = []): Backend | undefined {
  const backend = balancer.pick(avoid);
  if (backend === undefined) return undefined;
  backend.row.take(0);
  balancer.taken(backend);
  return backend;
}

/** Gives back, as the pool does. */
export function giveBackTo(balancer: Balancer, backend: Backend): void {
  backend.row.giveBack(0);
  balancer.released(backend);
}

/** Detection that fires after three failures in a row, and compares nobody. */
export const OUTLIER: OutlierOptions = {
  consecutive5xx: 3,
  consecutiveGatewayFailure: 0,
  consecutiveConnectFailure: 0,
  consecutiveLocalOriginFailure: 0,
  splitExternalLocalOriginErrors: false,
  successRateMinimumHosts: Number.POSITIVE_INFINITY,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1_900,
  failurePercentageThreshold: 0,
  failurePercentageMinimumHosts: 2,
  failurePercentageRequestVolume: 50,
  enforcing: {
    "consecutive-5xx": 100,
    "consecutive-gateway-failure": 100,
    "consecutive-connect-failure": 100,
    "consecutive-local-origin-failure": 100,
    "success-rate": 100,
    "success-rate-local-origin": 100,
    "failure-percentage": 100,
    "failure-percentage-local-origin": 100,
  },
  intervalMs: 1_000,
  baseEjectionTimeMs: 5_000,
  maxEjectionTimeMs: 20_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 50,
  minHealthyBackends: 1,
  probation: 0,
  successfulActiveHealthCheckUneject: true,
  latency: undefined,
};

/** A pool that throws when an invariant breaks; leastconn without detection but for what is given. */
export function newPool(changes: Partial<PoolOptions> = {}): Pool {
  return new Pool({
    name: "web",
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
    ...changes,
  });
}

/** Puts the endpoints in force. */
export function apply(pool: Pool, endpoints: readonly Endpoint[], nowMs = 0): void {
  pool.apply({ endpoints }, nowMs);
}

/** The one backend with this id. */
export function backendNamed(pool: Pool, id: string): Backend {
  const found = [...pool.backends()].filter((backend) => backend.endpoint.id === id);
  const [backend] = found;
  if (backend === undefined || found.length > 1) throw new Error(`${found.length} backends named ${id}`);
  return backend;
}

/** A lease, or the test fails. */
export function mustAcquire(pool: Pool, nowMs = 0, avoid: readonly Backend[] = []): Lease {
  const lease = pool.acquire(avoid, nowMs);
  if (lease === undefined) throw new Error(`no lease: ${pool.refusal()}`);
  return lease;
}

/** Someone who waits for any backend, but for what is given. */
export function waiter(granted: (lease: Lease) => void, changes: Partial<Waiter> = {}): Waiter {
  return { avoid: [], granted, stranded: () => undefined, ...changes };
}

/** The operator says so, for as long as `ttlMs`. */
export function terms(ttlMs?: number): OverrideTerms {
  return { origin: "operator", owner: "test", reason: "a test", ttlMs };
}
