import type { Backend } from "../core/backend.js";
import { EJECTION_CAUSES } from "../core/outlier.js";
import type { Pool } from "../core/pool.js";
import { COUNTER, type CounterName } from "../core/scoreboard.js";
import { renderAffinityMetrics } from "./affinity-metrics.js";
import { CHECK_CODES, STATUSES, statusOf } from "./backend-status.js";
import { backendSubjects } from "./backend-subjects.js";
import { counter, type Family, gauge, label, renderFamilies, type Subjects } from "./exposition.js";
import type { AdminPorts, DiscoveryStatus, ListenerInfo, RegistrationInfo } from "./ports.js";
import { renderQueueMetrics } from "./queue-metrics.js";

/**
 * The state and the counters as Prometheus text (format 0.0.4), some hundred lines at a time, so that a large
 * answer can be sent as it is made. Names follow HAProxy's exporter: `haproxy_server_*` is
 * `pilotfish_backend_*`, `haproxy_backend_*` is `pilotfish_pool_*`, `haproxy_frontend_*` is
 * `pilotfish_listener_*`.
 */
export function* renderMetrics(ports: AdminPorts): Generator<string, void, void> {
  const { listeners, registration, ...info } = ports.info();
  yield* renderFamilies(PROCESS_FAMILIES, [
    [{ isReady: info.state === "ready", invariantsBroken: ports.invariantsBroken() }, ""],
  ]);
  const version = `${label("version", info.version)},${label("node_version", info.nodeVersion)}`;
  yield* renderFamilies(BUILD_FAMILIES, [[undefined, version]]);
  yield* renderFamilies(
    REGISTRATION_FAMILIES,
    registration === undefined ? [] : [[registration, label("service", registration.service)]],
  );
  yield* renderFamilies(
    LISTENER_FAMILIES,
    listeners.map((listener) => [listener, label("listener", listener.name)]),
  );
  yield* renderFamilies(SOURCE_FAMILIES, sourcesOf(ports));
  yield* renderFamilies(
    POOL_FAMILIES,
    [...ports.pools.values()].map((pool) => [pool, label("pool", pool.name)]),
  );
  yield* renderAffinityMetrics(ports);
  yield* renderFamilies(BACKEND_FAMILIES, backendsOf(ports));
  yield* renderQueueMetrics(ports);
}

function backendsOf(ports: AdminPorts): Subjects<Backend> {
  return [...ports.pools.values()].flatMap(backendSubjects);
}

function sourcesOf(ports: AdminPorts): Subjects<SourceAge> {
  const nowMs = ports.clock.nowMs();
  return [...ports.pools.keys()].flatMap((pool) =>
    ports.discovery(pool).map((source, index) => {
      const ageMs = source.lastSuccessMs === undefined ? undefined : nowMs - source.lastSuccessMs;
      // Two sources may watch the same, by different tags.
      const place = `${label("pool", pool)},${label("source", String(index))}`;
      const labels = `${place},${label("kind", source.kind)},${label("target", source.target)}`;
      return [{ source, ageMs }, labels] as const;
    }),
  );
}

interface SourceAge {
  readonly source: DiscoveryStatus;
  readonly ageMs: number | undefined;
}

interface ProcessState {
  readonly isReady: boolean;
  readonly invariantsBroken: number;
}

const PROCESS_FAMILIES: readonly Family<ProcessState>[] = [
  gauge("pilotfish_ready", "1 while listeners are open and nothing drains.", ({ isReady }) =>
    Number(isReady),
  ),
  counter(
    "pilotfish_invariants_broken_total",
    "Things that must never happen and did.",
    ({ invariantsBroken }) => invariantsBroken,
  ),
];

const BUILD_FAMILIES: readonly Family<undefined>[] = [
  gauge("pilotfish_build_info", "Always 1; the labels say what runs.", () => 1),
];

const REGISTRATION_FAMILIES: readonly Family<RegistrationInfo>[] = [
  gauge(
    "pilotfish_registration_up",
    "1 while the agent holds the instance beside this program.",
    ({ isUp }) => Number(isUp),
  ),
];

const LISTENER_FAMILIES: readonly Family<ListenerInfo>[] = [
  gauge("pilotfish_listener_current_sessions", "Open client connections.", (each) => each.openConnections),
  gauge(
    "pilotfish_listener_limit_sessions",
    "Most client connections; 0 for no limit.",
    (each) => each.maxConnections,
  ),
  gauge("pilotfish_listener_waiting_connections", "Accepted and waiting for room.", (each) => each.waiting),
  gauge(
    "pilotfish_listener_limit_waiting_connections",
    "Most that may wait for room; beyond it connections are reset.",
    (each) => each.maxWaiting,
  ),
  counter(
    "pilotfish_listener_connections_total",
    "Client connections accepted, those that waited or were reset included.",
    (each) => each.connectionsTotal,
  ),
  {
    name: "pilotfish_listener_refused_total",
    type: "counter",
    help: "Client connections reset: no room and none to wait, or their address had its share.",
    parts: [
      { labels: label("reason", "full"), value: (each) => each.refusedFull },
      { labels: label("reason", "per-address"), value: (each) => each.refusedPerAddress },
    ],
  },
  counter("pilotfish_listener_http_requests_total", "Requests received.", (each) => each.requestsTotal),
  counter("pilotfish_listener_bytes_in_total", "Bytes from clients.", (each) => each.bytesIn),
  counter("pilotfish_listener_bytes_out_total", "Bytes to clients.", (each) => each.bytesOut),
];

const SOURCE_FAMILIES: readonly Family<SourceAge>[] = [
  gauge(
    "pilotfish_discovery_up",
    "1 while the last query succeeded and its answer is believed.",
    ({ source }) => Number(source.state === "live"),
  ),
  gauge("pilotfish_discovery_age_seconds", "Since the last good answer.", ({ ageMs }) => seconds(ageMs)),
  gauge("pilotfish_discovery_endpoints", "Endpoints in the list in force.", ({ source }) => source.endpoints),
  gauge(
    "pilotfish_discovery_suspect",
    "1 while an answer is not believed and the list before it stays.",
    ({ source }) => Number(source.state === "suspect"),
  ),
  gauge(
    "pilotfish_discovery_saved",
    "1 while the list in force is a saved one, since the source has none yet.",
    ({ source }) => Number(source.isSaved),
  ),
  gauge(
    "pilotfish_discovery_held_endpoints",
    "Endpoints kept in force though the last answer lacks them.",
    ({ source }) => source.held,
  ),
  counter(
    "pilotfish_discovery_suspicions_total",
    "Answers that were held because what they lack lives.",
    ({ source }) => source.suspicions,
  ),
  counter("pilotfish_discovery_queries_total", "Queries.", ({ source }) => source.queries),
  counter("pilotfish_discovery_failures_total", "Queries that failed.", ({ source }) => source.failures),
];

/** What is counted of a backend and of a pool alike. */
const COUNTED: readonly (readonly [name: string, help: string, counter: CounterName])[] = [
  ["sessions_total", "Leases taken: requests (each try) and tunnels.", "served"],
  ["loadbalanced_total", "Times the balancer picked it.", "served"],
  ["bytes_in_total", "Bytes from clients.", "bytesIn"],
  ["bytes_out_total", "Bytes to clients.", "bytesOut"],
  ["connection_attempts_total", "Upstream connections opened.", "connectionsOpened"],
  ["connection_reuses_total", "Requests on a connection that was open already.", "connectionsReused"],
  ["connection_errors_total", "Connections that did not come about.", "connectFailure"],
  ["response_errors_total", "Connections that broke before the answer was whole.", "reset"],
  ["response_timeouts_total", "Answers that did not come in time.", "timeout"],
  ["retry_warnings_total", "Tries after the first.", "retries"],
  ["redispatch_warnings_total", "Tries that went to another backend.", "redispatches"],
  ["hedges_total", "Second tries beside one that was silent, charged to the silent one.", "hedges"],
  ["hedges_won_total", "Second tries that answered first.", "hedgesWon"],
  ["check_failures_total", "Active checks that failed.", "checksFailed"],
  ["check_successes_total", "Active checks that passed.", "checksPassed"],
  ["check_up_down_total", "Times active checks took it down.", "timesDown"],
];

const TIMES: readonly (readonly [name: string, help: string, counter: CounterName])[] = [
  ["queue_time", "in the queue", "queueMs"],
  ["connect_time", "to connect", "connectMs"],
  ["response_time", "to the first byte of the answer", "responseMs"],
  ["total_time", "from the request to the end of its answer", "totalMs"],
];

const STATUS_CLASSES = [
  ["1xx", "status1xx"],
  ["2xx", "status2xx"],
  ["3xx", "status3xx"],
  ["4xx", "status4xx"],
  ["5xx", "status5xx"],
] as const;

const EJECTION_KINDS = [
  ["detected", "ejectionsDetected"],
  ["enforced", "ejectionsEnforced"],
  ["overflowed", "ejectionsOverflowed"],
] as const;

/** Families for anything that has counters. */
function countedFamilies<Subject>(
  prefix: string,
  read: (subject: Subject, counter: CounterName) => number,
): readonly Family<Subject>[] {
  const split = (
    name: string,
    by: string,
    help: string,
    parts: readonly (readonly [string, CounterName])[],
  ): Family<Subject> => ({
    name: `${prefix}_${name}`,
    type: "counter",
    help,
    parts: parts.map(([value, each]) => ({ labels: label(by, value), value: (of) => read(of, each) })),
  });
  return [
    ...COUNTED.map(([name, help, each]) =>
      counter(`${prefix}_${name}`, help, (of: Subject) => read(of, each)),
    ),
    split("http_responses_total", "code", "Answers by the class of their status.", STATUS_CLASSES),
    split(
      "ejections_total",
      "kind",
      "Outlier ejections: detected, enforced, left out by the cap.",
      EJECTION_KINDS,
    ),
    counter(`${prefix}_timed_total`, "Requests whose times were measured.", (of: Subject) =>
      read(of, "timed"),
    ),
    ...TIMES.flatMap(([name, help, each]) => [
      gauge(`${prefix}_${name}_average_seconds`, `Mean time ${help}.`, (of: Subject) => {
        const timed = read(of, "timed");
        return timed === 0 ? undefined : read(of, each) / timed / 1000;
      }),
      counter(
        `${prefix}_${name}_seconds_total`,
        `Time ${help}, summed.`,
        (of: Subject) => read(of, each) / 1000,
      ),
    ]),
  ];
}

function countSuppressed(pool: Pool): number {
  let count = 0;
  for (const { facts } of pool.backends()) if (facts.discovery.state === "suppressed") count++;
  return count;
}

const POOL_FAMILIES: readonly Family<Pool>[] = [
  gauge("pilotfish_pool_status", "1 while something takes new work.", (pool) =>
    Number(pool.tiers.state.usable > 0),
  ),
  gauge("pilotfish_pool_active_servers", "Backends that take new work.", (pool) => pool.tiers.state.usable),
  gauge(
    "pilotfish_pool_healthy_servers",
    "Backends fit for work, backups included.",
    (pool) => pool.eligibleCount,
  ),
  gauge("pilotfish_pool_tier", "Tier that takes the work, 0 for actives.", (pool) => pool.tiers.state.tier),
  gauge("pilotfish_pool_panic", "1 while too few are healthy and health is ignored.", (pool) =>
    Number(pool.tiers.state.isPanicking),
  ),
  counter("pilotfish_pool_panic_picks_total", "Leases taken while health was ignored.", (pool) =>
    pool.total("panicPicks"),
  ),
  counter("pilotfish_pool_own_zone_picks_total", "Leases taken in the own zone.", (pool) =>
    pool.total("ownZonePicks"),
  ),
  counter("pilotfish_pool_other_zone_picks_total", "Leases taken in other zones than the own.", (pool) =>
    pool.total("otherZonePicks"),
  ),
  gauge("pilotfish_pool_servers", "Backends discovery lists.", (pool) => pool.census().present),
  gauge("pilotfish_pool_ejected_servers", "Backends that are ejected.", (pool) => pool.census().ejected),
  gauge(
    "pilotfish_pool_leaving_servers",
    "Backends that left discovery and finish their work.",
    (pool) => pool.size - pool.census().present,
  ),
  gauge("pilotfish_pool_suppressed_servers", "Backends held back because they come and go.", countSuppressed),
  gauge("pilotfish_pool_current_sessions", "Leases open.", (pool) => pool.inFlight),
  gauge("pilotfish_pool_current_queue", "Waiting for a slot.", (pool) => pool.queue.length),
  gauge(
    "pilotfish_pool_max_queue",
    "The longest the queue has been since the maxima were cleared.",
    (pool) => pool.queue.longest,
  ),
  gauge("pilotfish_pool_limit_queue", "Most that may wait.", (pool) => pool.options.maxQueue),
  counter("pilotfish_pool_queued_total", "Had to wait for a slot.", (pool) => pool.total("queued")),
  counter("pilotfish_pool_retries_denied_total", "Tries the retry budget had no room for.", (pool) =>
    pool.total("retriesDenied"),
  ),
  {
    name: "pilotfish_pool_refused_total",
    type: "counter",
    help: "Turned away: nothing usable, queue full, waited too long.",
    parts: [
      { labels: label("reason", "no-usable-backend"), value: (pool) => pool.total("refusedNoBackend") },
      { labels: label("reason", "queue-full"), value: (pool) => pool.total("refusedQueueFull") },
      { labels: label("reason", "queue-timeout"), value: (pool) => pool.total("queueTimeouts") },
    ],
  },
  counter(
    "pilotfish_pool_passed_over_total",
    "Left to its fallback, since nothing here was healthy.",
    (pool) => pool.total("passedOver"),
  ),
  {
    name: "pilotfish_pool_ejections_by_cause_total",
    type: "counter",
    help: "Outlier ejections by cause: detected, enforced, left out by the cap.",
    parts: EJECTION_CAUSES.flatMap((cause) =>
      EJECTION_KINDS.map(([kind]) => ({
        labels: `${label("cause", cause)},${label("kind", kind)}`,
        value: (pool: Pool) => pool.ejectionCounts.of(cause)[kind],
      })),
    ),
  },
  ...countedFamilies<Pool>("pilotfish_pool", (pool, name) => pool.total(name)),
];

const BACKEND_FAMILIES: readonly Family<Backend>[] = [
  {
    name: "pilotfish_backend_status",
    type: "gauge",
    help: "1 for the state it is in, 0 for the others.",
    parts: STATUSES.map((state) => ({
      labels: label("state", state),
      value: (backend) => Number(statusOf(backend) === state),
    })),
  },
  gauge(
    "pilotfish_backend_check_up",
    "1 while its active checks say up, 0 while not; absent unchecked.",
    (backend) =>
      backend.facts.check.state === "unchecked" ? undefined : Number(backend.facts.check.state === "up"),
  ),
  {
    name: "pilotfish_backend_check_status",
    type: "gauge",
    help: "1 for the result of the last health check, 0 for the others; absent before the first.",
    parts: CHECK_CODES.map((code) => ({
      labels: label("code", code),
      value: ({ reports }) => reports.health && Number(reports.health.code === code),
    })),
  },
  gauge("pilotfish_backend_check_duration_seconds", "Of the last health check.", ({ reports }) =>
    seconds(reports.health?.durationMs),
  ),
  gauge("pilotfish_backend_agent_check_duration_seconds", "Of the last agent check.", ({ reports }) =>
    seconds(reports.agent?.durationMs),
  ),
  gauge("pilotfish_backend_weight", "Weight in force.", (backend) => backend.weight),
  gauge(
    "pilotfish_backend_slow_start_share",
    "Share of weight and limit that slow start grants; 1 when it is over.",
    (backend) => backend.ramp,
  ),
  gauge(
    "pilotfish_backend_demotion_share",
    "Share of its weight that is left to a backend that is slow; 1 when it is not.",
    (backend) => backend.demotion,
  ),
  gauge("pilotfish_backend_compared_latency_seconds", "The time that backends are compared by.", (backend) =>
    seconds(backend.latency.quantileMs),
  ),
  gauge("pilotfish_backend_current_sessions", "Leases open.", (backend) => backend.inFlight),
  gauge(
    "pilotfish_backend_max_sessions",
    "Most leases open since the maxima were cleared.",
    (backend) => backend.row.maxInFlight,
  ),
  gauge(
    "pilotfish_backend_limit_sessions",
    "Most leases at once; 0 for no limit.",
    (backend) => backend.row.limit,
  ),
  gauge(
    "pilotfish_backend_adaptive_min_rtt_seconds",
    "Latency at little load that the limit goes by; absent where it follows no latency.",
    ({ adaptive }) => seconds(adaptive?.minRttMs),
  ),
  gauge(
    "pilotfish_backend_adaptive_latency_seconds",
    "Latency of late that the limit goes by; absent where it follows no latency.",
    ({ adaptive }) => seconds(adaptive?.sampleMs),
  ),
  gauge(
    "pilotfish_backend_adaptive_measuring",
    "1 while the latency at little load is measured; absent where the limit follows no latency.",
    ({ adaptive }) => adaptive && Number(adaptive.isMeasuring),
  ),
  ...countedFamilies<Backend>("pilotfish_backend", (backend, name) => backend.row.read(COUNTER[name])),
];

/** To the whole microsecond: more digits are noise of the clock. */
function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 1000) / 1_000_000;
}
