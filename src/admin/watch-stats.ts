import type { StreamMethod } from "./calls.js";
import {
  BackendStats,
  PoolStats,
  type RemovedBackend,
  type WatchStatsRequest,
  type WatchStatsResponse,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { AdminPorts } from "./ports.js";
import { invalid } from "./refusal.js";
import { collectStats } from "./stats.js";
import type { StatsBaseline } from "./stats-baseline.js";
import { fromDuration, type Timestamps } from "./timestamps.js";

const DEFAULT_INTERVAL_MS = 1000;
const SHORTEST_INTERVAL_MS = 100;
const LONGEST_INTERVAL_MS = 3_600_000;

/** WatchStats: everything once, then at each interval what has changed. */
export function watchStatsMethod(
  ports: AdminPorts,
  baseline: StatsBaseline,
  time: Timestamps,
): StreamMethod<WatchStatsRequest, WatchStatsResponse> {
  return async function* watchStats(request, watcher) {
    const intervalMs = intervalOf(request);
    const beginMs = time.nowMs();
    const firstSequence = request.fromSequence ?? 1n;
    let changes = new StatsChanges();
    let sample = 0;
    while (!watcher.isOver) {
      // Samples are due at fixed times; the ones that passed while the reader was busy are left out.
      const due = Math.floor((time.nowMs() - beginMs) / intervalMs);
      const missed = due - sample;
      if (missed > 0) changes = new StatsChanges();
      const sequence = firstSequence + BigInt(due);
      yield {
        sequence,
        time: time.now(),
        complete: changes.isFresh,
        gap: missed > 0 ? { first: sequence - BigInt(missed), last: sequence - 1n } : undefined,
        ...changes.take(collectStats(ports, baseline, time, request)),
      };
      sample = due + 1;
      await watcher.pause(Math.max(0, beginMs + sample * intervalMs - time.nowMs()));
    }
  };
}

function intervalOf(request: WatchStatsRequest): number {
  if (request.interval === undefined) return DEFAULT_INTERVAL_MS;
  const intervalMs = fromDuration(request.interval);
  if (intervalMs >= SHORTEST_INTERVAL_MS && intervalMs <= LONGEST_INTERVAL_MS) return intervalMs;
  throw invalid("interval", "must be 100 ms to 1 hour");
}

/** Remembers what was sent and leaves out what is the same. */
class StatsChanges {
  readonly #sent = new Map<string, Uint8Array>();
  #backends = new Map<string, RemovedBackend>();
  #isFresh = true;

  /** Whether nothing was sent yet, so that the next answer is complete. */
  get isFresh(): boolean {
    return this.#isFresh;
  }

  take(pools: readonly PoolStats[]): { pools: PoolStats[]; removed: RemovedBackend[] } {
    const present = new Map<string, RemovedBackend>();
    const changed: PoolStats[] = [];
    for (const pool of pools) {
      const members = pool.members.filter((member) => {
        const name = `${pool.pool}\0${member.backend}`;
        present.set(name, { pool: pool.pool, backend: member.backend });
        return this.#isChanged(name, BackendStats.encode(member).finish());
      });
      const isChanged = this.#isChanged(pool.pool, PoolStats.encode({ ...pool, members: [] }).finish());
      if (isChanged || members.length > 0) changed.push({ ...pool, members });
    }
    const removed = [...this.#backends].filter(([name]) => !present.has(name));
    for (const [name] of removed) this.#sent.delete(name);
    this.#backends = present;
    this.#isFresh = false;
    return { pools: changed, removed: removed.map(([, backend]) => backend) };
  }

  #isChanged(name: string, bytes: Uint8Array): boolean {
    const before = this.#sent.get(name);
    if (before !== undefined && Buffer.compare(before, bytes) === 0) return false;
    this.#sent.set(name, bytes);
    return true;
  }
}
