import type { Backend } from "../core/backend.js";
import type { Pool } from "../core/pool.js";
import { adaptiveMessage } from "./adaptive-limit-message.js";
import { backendSubjects } from "./backend-subjects.js";
import { type Family, gauge, renderFamilies } from "./exposition.js";
import type { AdminPorts } from "./ports.js";

interface Member {
  readonly pool: Pool;
  readonly backend: Backend;
}

/** What a backend alone cannot tell: its line in the queue, and what its latency grants by the options of the pool. */
const FAMILIES: readonly Family<Member>[] = [
  gauge(
    "pilotfish_backend_current_queue",
    "Waiting for this one, since they are bound to it or their key belongs to it.",
    ({ pool, backend }) => pool.queue.at(backend)?.length ?? 0,
  ),
  gauge(
    "pilotfish_backend_max_queue",
    "The most that waited for it at once since the maxima were cleared.",
    ({ pool, backend }) => pool.queue.at(backend)?.longest ?? 0,
  ),
  gauge(
    "pilotfish_backend_limit_queue",
    "Most that may wait for it; 0 for no limit but the pool's.",
    ({ pool }) => pool.options.maxQueuePerBackend ?? 0,
  ),
  gauge(
    "pilotfish_backend_adaptive_limit_sessions",
    "Most leases at once that latency grants; absent where the limit follows no latency.",
    ({ pool, backend }) => adaptiveMessage(pool, backend)?.limit,
  ),
];

/** Who waits for which backend, and the limits that follow latency; HAProxy's names where it has them. */
export function renderQueueMetrics(ports: AdminPorts): Generator<string, void, void> {
  const members = [...ports.pools.values()].flatMap((pool) =>
    backendSubjects(pool).map(([backend, labels]) => [{ pool, backend }, labels] as const),
  );
  return renderFamilies(FAMILIES, members);
}
