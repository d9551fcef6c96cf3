import type { Config, ConsulConfig, PoolConfig } from "./config/model.js";
import { CheckStarts } from "./control/check-starts.js";
import { learntOf, recall } from "./control/learnt-health.js";
import { ListStore } from "./control/list-store.js";
import type { OverrideStore } from "./control/override-store.js";
import { ProbeSlots } from "./control/probe-slots.js";
import type { SourceDeps } from "./control/source.js";
import type { KeptTable } from "./control/table-store.js";
import type { Backend } from "./core/backend.js";
import type { Pool } from "./core/pool.js";
import type { Clock } from "./platform/clock.js";
import type { RootLog } from "./platform/log.js";
import type { OpenCount } from "./proxy/open-work.js";
import type { UpstreamService } from "./proxy/upstream-service.js";
import { Upstream, type UpstreamParts } from "./upstream.js";

/** What all upstreams share. */
export interface UpstreamsOptions {
  readonly deps: SourceDeps;
  readonly clock: Clock;
  readonly log: RootLog;
  readonly onInvariantBroken: (what: string) => void;
  /** Keeps what operators say; undefined where nothing is kept. */
  readonly overrides: OverrideStore | undefined;
  /** Where last good lists are kept (undefined for nowhere), and how many probes may be under way at first. */
  readonly config: Pick<Config, "stateDir" | "maxChecks">;
  /** Hears of each new pool before anything happens in it. Answers what to do when the pool is no more. */
  readonly onPool: (pool: Pool) => () => void;
}

/** Removed pools that still finish their work are looked at this often. */
const RETIRED_LOOK_MS = 1_000;

/** All pools of the process, by name. */
export class Upstreams {
  readonly #options: UpstreamsOptions;
  readonly #byName = new Map<string, Upstream>();
  readonly #pools = new Map<string, Pool>();
  readonly #farewells = new Map<Upstream, () => void>();
  readonly #retired = new Set<Upstream>();
  readonly #lists: ListStore | undefined;
  readonly #probeSlots: ProbeSlots;
  readonly #checkStarts: CheckStarts;
  #isStopped = false;

  constructor(options: UpstreamsOptions) {
    const { clock } = options;
    const { stateDir, maxChecks } = options.config;
    this.#options = options;
    this.#probeSlots = new ProbeSlots(maxChecks);
    this.#checkStarts = new CheckStarts(clock);
    this.#lists = stateDir === undefined ? undefined : new ListStore(stateDir, clock);
  }

  /** By name, those that are configured now. */
  get pools(): ReadonlyMap<string, Pool> {
    return this.#pools;
  }

  values(): IterableIterator<Upstream> {
    return this.#byName.values();
  }

  get(name: string): Upstream | undefined {
    return this.#byName.get(name);
  }

  /** Of a pool that configuration checking made sure of. */
  service(name: string): UpstreamService {
    const upstream = this.#byName.get(name);
    if (upstream === undefined) throw new Error(`no pool ${name}`);
    return upstream.service;
  }

  /** Adds a pool. Nothing runs before its keeper is started. */
  add(config: PoolConfig, consul: ConsulConfig): Upstream {
    const upstream = new Upstream(config, this.#parts(config, consul));
    const { pool } = upstream.service;
    this.#farewells.set(upstream, this.#options.onPool(pool));
    this.#options.overrides?.follow(pool);
    this.#byName.set(config.name, upstream);
    this.#pools.set(config.name, pool);
    return upstream;
  }

  /** Puts another configuration of a pool in force. */
  reconfigure(config: PoolConfig, consul: ConsulConfig, isSourceChanged: boolean): void {
    this.#byName.get(config.name)?.reconfigure(config, this.#parts(config, consul), isSourceChanged);
  }

  /** Most probes under way at once, over all pools. */
  limitChecks(most: number): void {
    this.#probeSlots.limitTo(most);
  }

  /** Takes a pool out: nobody finds it any more, and it ends with its last work. */
  remove(name: string): void {
    const upstream = this.#byName.get(name);
    if (upstream === undefined) return;
    this.#options.overrides?.unfollow(upstream.service.pool);
    this.#byName.delete(name);
    this.#pools.delete(name);
    upstream.retire();
    this.#retired.add(upstream);
    this.#awaitEnd(upstream);
  }

  /** What was found out about backends, for a process that takes this one's place. */
  learnt(): readonly object[] {
    const nowMs = this.#options.clock.nowMs();
    return [...this.#pools.values()].flatMap((pool) => learntOf(pool, nowMs));
  }

  /** Takes up what the process before found out about the backends that are there. */
  recall(learnt: unknown): void {
    const nowMs = this.#options.clock.nowMs();
    for (const { service, config } of this.#byName.values())
      recall(service.pool, learnt, config.healthCheck !== undefined, nowMs);
  }

  /** The stick tables of all pools that have one. */
  tables(): readonly KeptTable[] {
    return [...this.#byName.values()].flatMap(({ service: { pool, affinity } }) => {
      const { table, tableKey } = affinity ?? {};
      return table === undefined || tableKey === undefined ? [] : [{ pool: pool.name, table, key: tableKey }];
    });
  }

  /** What the data plane has open towards a backend of any pool. */
  openWork(backend: Backend): OpenCount {
    let requests = 0;
    let tunnels = 0;
    for (const { service } of [...this.#byName.values(), ...this.#retired]) {
      const open = service.work.count(backend);
      requests += open.requests;
      tunnels += open.tunnels;
    }
    return { requests, tunnels };
  }

  stop(): void {
    this.#isStopped = true;
    for (const upstream of [...this.#byName.values(), ...this.#retired]) upstream.stop();
    this.#retired.clear();
  }

  /** After `stop`: resolves when the last good lists are on disk, or could not be written. */
  async flush(): Promise<void> {
    await this.#lists?.flush();
  }

  #awaitEnd(upstream: Upstream): void {
    this.#options.clock.after(RETIRED_LOOK_MS, () => {
      if (this.#isStopped) return;
      if (upstream.service.pool.size > 0 || upstream.service.work.size > 0) {
        this.#awaitEnd(upstream);
        return;
      }
      upstream.stop();
      this.#retired.delete(upstream);
      this.#farewells.get(upstream)?.();
      this.#farewells.delete(upstream);
    });
  }

  #parts(config: PoolConfig, consul: ConsulConfig): UpstreamParts {
    const { deps, log, onInvariantBroken } = this.#options;
    return {
      consul,
      deps,
      probeSlots: this.#probeSlots,
      checkStarts: this.#checkStarts,
      lists: this.#lists,
      log: log.child("pool", { pool: config.name }),
      onInvariantBroken,
    };
  }
}
