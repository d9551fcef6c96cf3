import { adaptiveLimitSchema } from "./adaptive-limit.js";
import { affinitySchema } from "./affinity.js";
import { balanceSchema } from "./balance.js";
import { discoverySchema } from "./discovery.js";
import { choice, duration, flag, integer, isAbove, isAnyMap, strictMap } from "./field.js";
import { agentCheckSchema, healthCheckSchema } from "./health-check.js";
import { flapDampingSchema, savedListSchema, suspicionSchema } from "./lists.js";
import { outlierDetectionSchema } from "./outlier-detection.js";
import { retriesSchema } from "./retries.js";
import { nameField } from "./route.js";
import { slowStartSchema } from "./slow-start.js";
import { zoneSchema } from "./zone.js";

/** The smaller of two limits of which 0 means none; 0 for neither. */
function mostOf(limits: {
  readonly maxConnectionsPerBackend: number;
  readonly maxRequestsPerBackend: number;
}): number {
  const set = [limits.maxConnectionsPerBackend, limits.maxRequestsPerBackend].filter((limit) => limit > 0);
  return set.length === 0 ? 0 : Math.min(...set);
}

const shared = {
  suspicion: suspicionSchema
    .prefault("on")
    .describe(
      "An answer of discovery that would take everything away is held while the missing instances live, or off.",
    ),
  balance: balanceSchema
    .prefault("leastconn")
    .describe("The name of an algorithm, or { algorithm, ... } with its options."),
  affinity: affinitySchema
    .optional()
    .describe("What keeps a client at its backend: cookie, source, header, path or table. Off by default."),
  savedList: savedListSchema
    .prefault("on")
    .describe("With stateDir, the last good list is kept for a start without discovery, or off."),
  flapDamping: flapDampingSchema
    .prefault("on")
    .describe("Instances that leave and rejoin again and again take no work for a while, or off."),
  timeouts: strictMap({
    connect: duration("Longest time to open a connection to a backend.", { min: "1ms" }).prefault("5s"),
    server: duration("Longest silence of a backend that is waited for; 0 for no limit.").prefault("30s"),
    queue: duration("Longest wait for a free slot.", { min: "1ms" }).prefault("5s"),
    awaitBackend: duration(
      "How long requests wait for a pool without a usable backend to have one again, from when it lost the last one; 0 to turn them away at once.",
    ).prefault("0s"),
    tunnel: duration("Longest silence of both sides of a tunnel; 0 for no limit.").prefault("1h"),
    requestTotal: duration(
      "From a request's arrival to the end of its answer, all tries together; 0 for no limit.",
    ).prefault("0s"),
    upstreamIdle: duration("A connection to a backend idle for longer is closed; 0 for no limit.").prefault(
      "60s",
    ),
  })
    .prefault({})
    .describe("HAProxy's names and meaning where it has them."),
  retries: retriesSchema,
  reuse: choice(
    "Which connections to a backend are used again. safe: a request that may not be sent twice travels on a fresh or just used one.",
    ["safe", "always", "never"],
  ).prefault("safe"),
  reuseSafeFor: duration(
    "Just used means idle for less than this, and for less than half of the shortest time after which the backend closed an idle connection lately.",
  ).prefault("1s"),
  healthCheck: healthCheckSchema
    .optional()
    .describe("Active checks by this proxy, besides Consul's own verdict. Off by default."),
  agentCheck: agentCheckSchema
    .optional()
    .describe("Asks an agent beside each backend for weight, limit, admin state and health. Off by default."),
  outlierDetection: outlierDetectionSchema
    .optional()
    .describe(
      "Ejection of backends that answer badly. On by default, off for a pool that only inbound listeners use.",
    ),
  slowStart: slowStartSchema
    .optional()
    .describe(
      "How a backend that joins or returns gets to its full share of weight and limit. Off by default; not used at the start, nor when most of a list is new.",
    ),
  limits: strictMap({
    maxConnectionsPerBackend: integer(
      "Most requests and tunnels open on one backend, each of which has a connection; 0 for no limit.",
      {
        min: 0,
        max: 1_000_000,
      },
    ).prefault(0),
    maxRequestsPerBackend: integer(
      "Most requests open on one backend, upgraded ones included; tunnels of tcp listeners do not count. 0 for no limit.",
      {
        min: 0,
        max: 1_000_000,
      },
    ).prefault(0),
    minConnectionsPerBackend: integer(
      "The limit falls to this while the pool has little to do and grows with its load; 0 for a fixed limit.",
      { min: 0, max: 1_000_000 },
    ).prefault(0),
    fullConnections: integer(
      "Open and waiting requests of the pool at which its backends have their whole limit; a tenth of what the listeners before it take when left out.",
      { min: 1, max: 1_000_000 },
    ).optional(),
    adaptive: adaptiveLimitSchema
      .optional()
      .describe(
        "Lets the limit of each backend follow its latency, below the limits beside it. Off by default; tunnels of tcp listeners have no latency.",
      ),
    retryAfter: duration(
      "How long clients that are turned away for want of room or of a backend are told to wait; 0 to say nothing.",
    ).prefault("1s"),
    maxQueue: integer("Most requests that wait for a slot; beyond it 503 at once. 0 when none may wait.", {
      min: 0,
      max: 1_000_000,
    }).prefault(1_000),
    maxQueuePerBackend: integer(
      "Most of them that wait for the one backend they are bound to; beyond it they go elsewhere, or get 503 without redispatch. 0 for no limit but maxQueue.",
      { min: 0, max: 1_000_000 },
    ).prefault(0),
  })
    .refine((limits) => !isAbove(limits.minConnectionsPerBackend, mostOf(limits)), {
      path: ["minConnectionsPerBackend"],
      error: "at most maxConnectionsPerBackend and maxRequestsPerBackend, one of which has to be set",
      when: isAnyMap,
    })
    .prefault({})
    .describe("What one backend and the queue before them take."),
  allBackups: flag("All usable backups share the work, rather than the first of them alone.").prefault(false),
  panicThreshold: integer(
    "Percent of healthy backends below which health is ignored rather than work concentrated; 0 never ignores it.",
    { min: 0, max: 100 },
  ).prefault(50),
  zone: zoneSchema
    .optional()
    .describe(
      "Prefers the backends of the own zone while they can carry it. Off by default: zones make no difference.",
    ),
  persist: flag(
    "Sessions bound to a backend are sent there also while it is down or ejected (HAProxy's option persist).",
  ).prefault(false),
  abortOnClose: flag(
    "A client that will send no more has left if it waits in the queue (HAProxy's option abortonclose). false serves also clients that half-close and then wait.",
  ).prefault(true),
  fallback: nameField("The pool that is used while this one has nothing healthy.").optional(),
  drainDeadline: duration("How long a backend that left discovery may finish its open work.").prefault("30s"),
};

/** One entry of `pools`, after `defaults.pool` was laid below it. */
export const poolSchema = strictMap({
  name: nameField("Name of the pool, unique among pools."),
  discovery: discoverySchema,
  ...shared,
});

/** `defaults.pool`: what every pool begins with. */
export const poolDefaultsSchema = strictMap(shared).partial();
