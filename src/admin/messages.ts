import type { Backend as CoreBackend } from "../core/backend.js";
import { reasonsAgainst, type WeightLayers, weightLayers } from "../core/explain.js";
import type { Override as CoreOverride } from "../core/override.js";
import type { Pool as CorePool } from "../core/pool.js";
import type { WeightChange } from "../core/weight.js";
import { adaptiveMessage } from "./adaptive-limit-message.js";
import { affinityMessage, boundMessage } from "./affinity-messages.js";
import { checkFact } from "./check-messages.js";
import {
  ADMIN_STATE,
  DETECTION_STATE,
  DISCOVERY_STATE,
  DISCOVERY_STATUS,
  OVERRIDE_ORIGIN,
  SOURCE_STATE,
} from "./enums.js";
import type {
  Backend,
  Demotion,
  Override,
  Pool,
  SlowStart,
  Source,
  Weight,
  WeightOverride,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { AdminPorts, DiscoveryStatus } from "./ports.js";
import type { Timestamps } from "./timestamps.js";

/** Turns the live state into messages of the API. */
export class Messages {
  readonly #ports: AdminPorts;
  readonly #time: Timestamps;

  constructor(ports: AdminPorts, time: Timestamps) {
    this.#ports = ports;
    this.#time = time;
  }

  pool(pool: CorePool): Pool {
    const census = pool.census();
    const affinity = this.#ports.affinity(pool.name);
    let leaving = 0;
    let outByAdmin = 0;
    for (const backend of pool.backends()) {
      if (backend.isGone) leaving++;
      else if (backend.facts.admin.state !== "ready") outByAdmin++;
    }
    return {
      name: pool.name,
      algorithm: pool.algorithm,
      backends: census.present,
      eligible: census.eligible,
      ejected: census.ejected,
      leaving,
      outByAdmin,
      inFlight: pool.inFlight,
      queue: pool.queue.length,
      queueMax: pool.queue.longest,
      queueLimit: pool.options.maxQueue,
      usable: pool.tiers.state.usable,
      tier: pool.tiers.state.tier,
      panicking: pool.tiers.state.isPanicking,
      zone: pool.tiers.zoneWords,
      tiers: pool.tiers.list().map((tier) => ({ ...tier })),
      weightScale: pool.weightScale,
      applied: this.#time.at(pool.appliedMs),
      sources: this.sources(pool.name),
      affinity: affinity && affinityMessage(affinity, this.#time),
    };
  }

  sources(pool: string): Source[] {
    return this.#ports.discovery(pool).map((status) => this.#source(status));
  }

  backend(pool: CorePool, backend: CoreBackend): Backend {
    const { endpoint, facts, monitor, row } = backend;
    const time = this.#time;
    const open = this.#ports.openWork(backend);
    const adminOverride = pool.overrides.of(endpoint.key).admin;
    return {
      pool: pool.name,
      backend: backend.id,
      key: endpoint.key,
      id: endpoint.id,
      address: backend.address,
      eligible: backend.isEligible,
      reasons: reasonsAgainst(pool, backend, time.nowMs()).map(({ text }) => text),
      discovery: {
        state: DISCOVERY_STATE[facts.discovery.state],
        since: time.at(facts.discovery.sinceMs),
        why: facts.discovery.why,
        status: DISCOVERY_STATUS[endpoint.status],
      },
      check: checkFact(pool, backend, this, time),
      admin: {
        state: ADMIN_STATE[facts.admin.state],
        since: time.at(facts.admin.sinceMs),
        why: facts.admin.why,
        override: adminOverride === undefined ? undefined : this.#override(adminOverride),
      },
      detection: {
        state: DETECTION_STATE[facts.detection.state],
        since: time.at(facts.detection.sinceMs),
        why: facts.detection.why,
        until: time.at(monitor.ejectedUntilMs),
        cause: monitor.cause ?? "",
        multiplier: monitor.multiplier,
        consecutive5xx: monitor.consecutive5xx,
        consecutiveGatewayFailure: monitor.consecutiveGatewayFailure,
        consecutiveConnectFailure: monitor.consecutiveConnectFailure,
        consecutiveLocalOriginFailure: monitor.consecutiveLocalOriginFailure,
        successRate: monitor.successRate,
        latencyMs: backend.latency.quantileMs,
        probation: backend.probation.owed,
      },
      weight: this.weight(weightLayers(pool, backend)),
      inFlight: row.inFlight,
      inFlightMax: row.maxInFlight,
      inFlightLimit: row.limit,
      queue: pool.queue.at(backend)?.length ?? 0,
      queueMax: pool.queue.at(backend)?.longest ?? 0,
      queueLimit: pool.options.maxQueuePerBackend ?? 0,
      adaptive: adaptiveMessage(pool, backend),
      open: { requests: open.requests, tunnels: open.tunnels },
      joined: time.at(backend.joinedMs),
      lastUsed: time.at(backend.lastUsedMs),
      cut: time.at(backend.drainUntilMs),
      node: endpoint.node ?? "",
      datacenter: endpoint.datacenter ?? "",
      zone: endpoint.zone ?? "",
      tags: [...endpoint.tags],
      meta: { ...endpoint.meta },
      tier: pool.tiers.numberOf(backend),
      takesWork: pool.tiers.takesWork(backend),
      bound: boundMessage(pool, backend, this.#ports.affinity(pool.name), time),
    };
  }

  weight(layers: WeightLayers): Weight {
    return {
      inForce: layers.inForce,
      sixteenths: layers.sixteenths,
      discovered: layers.discovered,
      scaled: layers.scaled,
      override: layers.override === undefined ? undefined : this.weightOverride(layers.override),
      slowStart: this.#slowStart(layers.ramp),
      demotion: this.#demotion(layers.demotion),
    };
  }

  #slowStart(ramp: WeightLayers["ramp"]): SlowStart | undefined {
    if (ramp === undefined) return undefined;
    return { share: ramp.share, since: this.#time.at(ramp.sinceMs), until: this.#time.at(ramp.untilMs) };
  }

  #demotion(demotion: WeightLayers["demotion"]): Demotion | undefined {
    if (demotion === undefined) return undefined;
    return { share: demotion.share, since: this.#time.at(demotion.sinceMs), why: demotion.why };
  }

  weightOverride(override: CoreOverride<WeightChange>): WeightOverride {
    const { value } = override;
    return {
      change:
        value.kind === "weight"
          ? { $case: "weight", value: value.weight }
          : { $case: "percent", value: value.percent },
      override: this.#override(override),
    };
  }

  #override(override: CoreOverride<unknown>): Override {
    return {
      origin: OVERRIDE_ORIGIN[override.origin],
      owner: override.owner,
      reason: override.reason,
      since: this.#time.at(override.sinceMs),
      expires: this.#time.at(override.expiresMs),
    };
  }

  #source(status: DiscoveryStatus): Source {
    return {
      kind: status.kind,
      target: status.target,
      state: SOURCE_STATE[status.state],
      reason: status.reason,
      lastSuccess: this.#time.at(status.lastSuccessMs),
      lastChange: this.#time.at(status.lastChangeMs),
      age: this.#time.since(status.lastSuccessMs),
      consecutiveFailures: status.consecutiveFailures,
      queries: status.queries,
      failures: status.failures,
      endpoints: status.endpoints,
      held: status.held,
      suspicions: status.suspicions,
      saved: status.isSaved,
      details: { ...status.details },
    };
  }
}
