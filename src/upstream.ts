import type { ConsulConfig, PoolConfig } from "./config/model.js";
import { AgentWatches } from "./control/agent-watch.js";
import type { CheckStarts } from "./control/check-starts.js";
import { DampedSource } from "./control/damped-source.js";
import { FlapBook } from "./control/flap-book.js";
import { GuardedSource } from "./control/guarded-source.js";
import { HealthWatches } from "./control/health-watch.js";
import type { ListStore } from "./control/list-store.js";
import { MergedSource } from "./control/merged-source.js";
import { PoolKeeper } from "./control/pool-keeper.js";
import { logPoolEvents } from "./control/pool-log.js";
import type { ProbeSlots } from "./control/probe-slots.js";
import { Prober, type WatchKind } from "./control/prober.js";
import type { SavedList } from "./control/saved-list.js";
import type { PoolSource, SourceDeps } from "./control/source.js";
import type { Balancer } from "./core/balancer.js";
import { HedgeDelay } from "./core/hedge-delay.js";
import { Pool } from "./core/pool.js";
import type { PoolOptions } from "./core/pool-options.js";
import { RetryBudget } from "./core/retry-budget.js";
import { createAgentProbe, createBalancer, createProbe, createSource } from "./extensions.js";
import type { Clock } from "./platform/clock.js";
import type { Log } from "./platform/log.js";
import { Affinity } from "./proxy/affinity.js";
import { UpstreamConnections, type UpstreamConnectionsOptions } from "./proxy/http1/upstream-connections.js";
import { MarkedCuts } from "./proxy/marked-cuts.js";
import { OpenWork } from "./proxy/open-work.js";
import type { UpstreamRules, UpstreamService } from "./proxy/upstream-service.js";

/** What upstreams are built with besides their own configuration. */
export interface UpstreamParts {
  readonly consul: ConsulConfig;
  readonly deps: SourceDeps;
  /** Of the whole process. */
  readonly probeSlots: ProbeSlots;
  readonly checkStarts: CheckStarts;
  /** Where last good lists are kept; undefined for nowhere. */
  readonly lists: ListStore | undefined;
  /** Of this pool. */
  readonly log: Log;
  readonly onInvariantBroken: (what: string) => void;
}

/** Events after which other backends may bear the names that cookies hold. */
const MEMBERSHIP: ReadonlySet<string> = new Set([
  "backend-added",
  "backend-removed",
  "backend-leaving",
  "backend-returned",
  "endpoint-changed",
]);

/**
 * A pool with all that works on it: the control plane's keeper, and the data plane's view. Built from its
 * configuration, wired to both planes, and told of another configuration while it runs.
 */
export class Upstream {
  readonly keeper: PoolKeeper;
  readonly service: UpstreamService;
  /** Who came and went lately; by key, so that it holds for whichever source lists the same instances. */
  readonly #flaps = new FlapBook();
  #config: PoolConfig;
  #parts: UpstreamParts;

  /** Nothing runs before the keeper is started. */
  constructor(config: PoolConfig, parts: UpstreamParts) {
    const { clock, random } = parts.deps;
    this.#config = config;
    this.#parts = parts;
    const balancer = () => createBalancer(config.balance, config.affinity, random);
    const pool = new Pool(poolOptions(config, balancer, parts));
    logPoolEvents(pool, parts.log);
    this.service = {
      pool,
      ...rulesOf(config, affinityOf(config, pool, clock)),
      retryBudget: new RetryBudget(),
      hedgeDelay: new HedgeDelay(),
      work: new OpenWork(),
      connections: new UpstreamConnections(pool, connectionOptions(config), clock),
    };
    const { work } = this.service;
    const markedCuts = new MarkedCuts(pool, work, () => this.#config.healthCheck);
    pool.subscribe((event) => {
      if (event.type === "drain-deadline") work.cut(event.backend, "cut");
      markedCuts.hear(event);
      if (MEMBERSHIP.has(event.type)) this.service.affinity?.membershipChanged();
    });
    const source = buildSource(config, pool, this.#flaps, parts);
    this.keeper = new PoolKeeper({ pool, source, prober: buildProber(config, pool, parts), clock });
  }

  get config(): PoolConfig {
    return this.#config;
  }

  /**
   * Puts another configuration in force. Only what differs is replaced, and nothing that was learnt is forgotten.
   *
   * @param isSourceChanged whether its endpoints come from elsewhere now, for reasons outside of its own configuration too
   */
  reconfigure(config: PoolConfig, parts: UpstreamParts, isSourceChanged: boolean): void {
    const { pool, connections } = this.service;
    const previous = this.#config;
    const { clock, random } = parts.deps;
    this.#config = config;
    this.#parts = parts;
    const balancer = isSame([previous.balance, previous.affinity], [config.balance, config.affinity])
      ? pool.options.balancer
      : () => createBalancer(config.balance, config.affinity, random);
    pool.reconfigure(poolOptions(config, balancer, parts), clock.nowMs());
    Object.assign(this.service, rulesOf(config, affinityOf(config, pool, clock, this.service.affinity)));
    connections.reconfigure(connectionOptions(config));
    if (!isSame(checkConfig(previous), checkConfig(config))) {
      this.keeper.replaceProber(buildProber(config, pool, parts));
    }
    if (isSourceChanged || !isSame(sourceConfig(previous), sourceConfig(config))) {
      this.keeper.replaceSource(buildSource(config, pool, this.#flaps, parts));
    }
  }

  /** No configuration names it any more: its backends drain, then nothing of it is left. */
  retire(): void {
    const { pool, connections } = this.service;
    const { clock } = this.#parts.deps;
    this.keeper.retire();
    pool.apply({ endpoints: [] }, clock.nowMs());
    connections.stop();
  }

  /** At once. */
  stop(): void {
    this.keeper.stop();
    this.service.connections.stop();
  }
}

function poolOptions(config: PoolConfig, balancer: () => Balancer, parts: UpstreamParts): PoolOptions {
  const { limits } = config;
  return {
    name: config.name,
    balancer,
    tiers: { allBackups: config.allBackups, panicThreshold: config.panicThreshold, zone: config.zone },
    outlier: config.outlierDetection,
    slowStart: config.slowStart,
    verdict: config.healthCheck?.verdict,
    random: parts.deps.random,
    maxInFlightPerBackend: limits.maxConnectionsPerBackend,
    maxRequestsPerBackend: limits.maxRequestsPerBackend,
    growingLimit:
      limits.minConnectionsPerBackend === 0
        ? undefined
        : { least: limits.minConnectionsPerBackend, fullLoad: limits.fullConnections },
    adaptiveLimit: limits.adaptive,
    maxQueue: limits.maxQueue,
    maxQueuePerBackend: limits.maxQueuePerBackend,
    redispatch: config.retries.redispatch,
    persist: config.persist,
    awaitBackendMs: config.timeouts.awaitBackendMs,
    drainDeadlineMs: config.drainDeadlineMs,
    onInvariantBroken: parts.onInvariantBroken,
  };
}

function rulesOf(config: PoolConfig, affinity: Affinity | undefined): UpstreamRules {
  const { timeouts, retries, reuse, limits, fallback, abortOnClose } = config;
  return { timeouts, retries, reuse, affinity, fallback, abortOnClose, retryAfterMs: limits.retryAfterMs };
}

/** What keeps clients at their backends; the one in force as long as it does what is asked for. */
function affinityOf(config: PoolConfig, pool: Pool, clock: Clock, inForce?: Affinity): Affinity | undefined {
  const { balance, affinity } = config;
  if (affinity === undefined && !("on" in balance)) return undefined;
  if (inForce?.isAs(balance, affinity) === true) return inForce;
  return new Affinity(balance, affinity, pool, clock, inForce);
}

function connectionOptions({ timeouts, limits, reuse, affinity }: PoolConfig): UpstreamConnectionsOptions {
  return {
    idleMs: timeouts.upstreamIdleMs,
    maxPerBackend: limits.maxConnectionsPerBackend,
    isReusing: reuse.mode !== "never",
    isBinding: affinity?.type === "cookie" || affinity?.type === "table",
  };
}

function buildProber(config: PoolConfig, pool: Pool, parts: UpstreamParts): Prober | undefined {
  const { healthCheck, agentCheck } = config;
  const { clock, random } = parts.deps;
  const check = { clock, random, slots: parts.probeSlots, starts: parts.checkStarts };
  const kinds: WatchKind[] = [];
  if (healthCheck !== undefined)
    kinds.push(new HealthWatches(pool, createProbe(healthCheck, clock), healthCheck, check));
  if (agentCheck !== undefined)
    kinds.push(new AgentWatches(pool, createAgentProbe(agentCheck, clock), agentCheck, check));
  return kinds.length === 0 ? undefined : new Prober(pool, kinds);
}

function checkConfig({ healthCheck, agentCheck }: PoolConfig): object {
  return { healthCheck, agentCheck };
}

function sourceConfig({ discovery, suspicion, flapDamping, savedList }: PoolConfig): object {
  return { discovery, suspicion, flapDamping, savedList };
}

function buildSource(config: PoolConfig, pool: Pool, book: FlapBook, parts: UpstreamParts): PoolSource {
  const { deps, log } = parts;
  const guarded = config.discovery.map(
    (discovery, index) =>
      new GuardedSource({
        source: createSource(discovery, parts.consul, deps),
        pool,
        rules: config.suspicion,
        saved: openSavedList(config, index, parts),
        clock: deps.clock,
        log,
      }),
  );
  const merged = new MergedSource(guarded, deps.clock, log);
  const rules = config.flapDamping;
  return rules === undefined
    ? merged
    : new DampedSource({ source: merged, pool, rules, book, clock: deps.clock, log });
}

function openSavedList(config: PoolConfig, index: number, parts: UpstreamParts): SavedList | undefined {
  const { savedList } = config;
  if (savedList === undefined || parts.lists === undefined) return undefined;
  const discovery = config.discovery[index];
  const { address, datacenter, namespace, partition } = parts.consul;
  const consul = discovery?.type === "consul" ? { address, datacenter, namespace, partition } : undefined;
  const origin = JSON.stringify({ discovery, consul });
  return parts.lists.open({ pool: config.name, source: index, origin }, savedList.maxAgeMs, parts.log);
}

/** Two parts of a configuration that say the same; configurations are plain data. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
