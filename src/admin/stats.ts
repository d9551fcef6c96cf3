import type { Backend } from "../core/backend.js";
import { EJECTION_CAUSES } from "../core/outlier.js";
import type { Pool } from "../core/pool.js";
import type { Log } from "../platform/log.js";
import { adaptiveMessage } from "./adaptive-limit-message.js";
import type { UnaryMethod } from "./calls.js";
import type {
  BackendStats,
  Counters,
  EjectionCount,
  GetStatsRequest,
  GetStatsResponse,
  PoolStats,
  ResetStatsRequest,
  ResetStatsResponse,
} from "./generated/pilotfish/admin/v1/admin.js";
import { backendNamed, poolsNamed } from "./naming.js";
import type { AdminPorts } from "./ports.js";
import type { CounterValues, StatsBaseline } from "./stats-baseline.js";
import type { Timestamps } from "./timestamps.js";

/** GetStats and ResetStats. */
export interface StatsMethods {
  readonly getStats: UnaryMethod<GetStatsRequest, GetStatsResponse>;
  readonly resetStats: UnaryMethod<ResetStatsRequest, ResetStatsResponse>;
}

/** Builds the methods that read counters once and begin them anew. */
export function statsMethods(
  ports: AdminPorts,
  baseline: StatsBaseline,
  time: Timestamps,
  log: Log,
): StatsMethods {
  return {
    getStats: (request) => ({
      time: time.now(),
      pools: collectStats(ports, baseline, time, request),
    }),
    resetStats: (request) => {
      const pools = poolsNamed(ports.pools, request.pool);
      for (const pool of pools) {
        if (!request.maximaOnly) baseline.reset(pool, time.nowMs());
        pool.clearMaxima();
      }
      const names = pools.map(({ name }) => name);
      log.info({ pools: names, maximaOnly: request.maximaOnly }, "operator reset statistics");
      return { time: time.now(), pools: names };
    },
  };
}

/** What a question about statistics selects. */
export interface StatsQuestion {
  readonly pool: string;
  readonly backend: string;
  readonly poolsOnly: boolean;
}

/** The numbers of this moment. @throws AdminRefusal for unknown names. */
export function collectStats(
  ports: AdminPorts,
  baseline: StatsBaseline,
  time: Timestamps,
  question: StatsQuestion,
): PoolStats[] {
  if (question.backend !== "") {
    return backendNamed(ports.pools, question).map(({ pool, backends }) =>
      poolStats(pool, question.poolsOnly ? [] : backends, baseline, time),
    );
  }
  return poolsNamed(ports.pools, question.pool).map((pool) =>
    poolStats(pool, question.poolsOnly ? [] : [...pool.backends()], baseline, time),
  );
}

function poolStats(
  pool: Pool,
  members: readonly Backend[],
  baseline: StatsBaseline,
  time: Timestamps,
): PoolStats {
  const census = pool.census();
  return {
    pool: pool.name,
    since: time.at(baseline.sinceMs(pool)),
    counters: countersMessage(baseline.ofPool(pool)),
    inFlight: pool.inFlight,
    queue: pool.queue.length,
    queueMax: pool.queue.longest,
    queueLimit: pool.options.maxQueue,
    backends: census.present,
    eligible: census.eligible,
    ejected: census.ejected,
    ejections: ejectionCounts(pool),
    members: members.map((backend) => backendStats(pool, backend, baseline)),
  };
}

function ejectionCounts(pool: Pool): EjectionCount[] {
  return EJECTION_CAUSES.flatMap((cause) => {
    const count = pool.ejectionCounts.of(cause);
    return count.detected + count.enforced === 0 ? [] : [{ cause, ...count }];
  });
}

function backendStats(pool: Pool, backend: Backend, baseline: StatsBaseline): BackendStats {
  return {
    backend: backend.id,
    id: backend.endpoint.id,
    address: backend.address,
    eligible: backend.isEligible,
    weight: backend.weight,
    inFlight: backend.inFlight,
    inFlightMax: backend.row.maxInFlight,
    inFlightLimit: backend.row.limit,
    queue: pool.queue.at(backend)?.length ?? 0,
    queueMax: pool.queue.at(backend)?.longest ?? 0,
    queueLimit: pool.options.maxQueuePerBackend ?? 0,
    adaptive: adaptiveMessage(pool, backend),
    counters: countersMessage(baseline.ofBackend(pool, backend)),
  };
}

function countersMessage(values: CounterValues): Counters {
  const { bytesIn, bytesOut, timed, queueMs, connectMs, responseMs, totalMs, ...counts } = values;
  const mean = (sumMs: number): number | undefined => (timed > 0 ? sumMs / timed : undefined);
  return {
    ...counts,
    bytesIn: BigInt(Math.round(bytesIn)),
    bytesOut: BigInt(Math.round(bytesOut)),
    queueMsMean: mean(queueMs),
    connectMsMean: mean(connectMs),
    responseMsMean: mean(responseMs),
    totalMsMean: mean(totalMs),
  };
}
