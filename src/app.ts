import { EventJournal } from "./admin/event-journal.js";
import type { AdminPorts, ProxyInfo, ProxyState } from "./admin/ports.js";
import { AdminServers } from "./admin/servers.js";
import { touches } from "./config/difference.js";
import { type LoadResult, parseConfig } from "./config/load.js";
import type { Config } from "./config/model.js";
import { poolsUsedBy } from "./config/pool-use.js";
import { InstanceKeeper } from "./control/registration/instance-keeper.js";
import { createResolver } from "./control/resolver.js";
import type { Inherited } from "./handover/inherited.js";
import type { Predecessor } from "./handover/predecessor.js";
import { type Restartable, Restarter } from "./handover/restarter.js";
import { notifySystemd } from "./handover/systemd.js";
import { KeptState } from "./kept-state.js";
import { Listeners } from "./listeners.js";
import { type Clock, systemClock } from "./platform/clock.js";
import { firstOf } from "./platform/first-of.js";
import { keepAlive } from "./platform/keep-alive.js";
import { LineSink } from "./platform/line-sink.js";
import { openStream } from "./platform/line-target.js";
import { createLog, type LogThreshold, logLinesTo, type RootLog } from "./platform/log.js";
import { type Random, systemRandom } from "./platform/random.js";
import { AccessLog } from "./proxy/access-log.js";
import { ConnectionBudget } from "./proxy/connection-limits.js";
import { type Reloadable, Reloader } from "./reloader.js";
import { Upstreams } from "./upstreams.js";

/** What the program is built with besides its configuration. */
export interface AppOptions {
  readonly configFile: string;
  /** Reads the configuration again as it was read for this one; without it there is no reload. */
  readonly readConfig?: () => Promise<LoadResult>;
  readonly version: string;
  /** The admin API asked for the end. Default: SIGTERM to the own process, so that both ways are one. */
  readonly onDrainAsked?: () => void;
  /** Listening sockets that this process was given. */
  readonly inherited?: Inherited;
  /** The process whose place this one takes. */
  readonly predecessor?: Predecessor;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: RootLog;
}

/** How long lines and calls may take to get out at the very end. */
const LAST_WORDS_MS = 1_000;
/** Longest wait for a process that takes this one's place, besides `startDeadline`. */
const TAKE_OVER_MS = 30_000;
/** How often a stop looks whether the last client has gone. */
const DRAIN_LOOK_MS = 20;

/**
 * The composition root: builds the parts, wires them, and knows the order of start and stop. Nothing else knows
 * both planes.
 */
export class App {
  #config: Config;
  readonly #options: AppOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  /** The log and, unless told otherwise, the access log; a reader that hangs stops neither. */
  readonly #stdout: LineSink;
  readonly #log: RootLog;
  readonly #startedWallMs: number;
  readonly #journal = new EventJournal();
  readonly #upstreams: Upstreams;
  readonly #kept: KeptState;
  readonly #reloader: Reloader;
  readonly #restarter: Restarter;
  readonly #budget: ConnectionBudget;
  #listeners: Listeners | undefined;
  readonly #admin: AdminServers;
  readonly #instance: InstanceKeeper;
  readonly #letGo = keepAlive();
  #accessLog: AccessLog | undefined;
  #state: ProxyState = "starting";
  #reason = "waiting for the first list of every pool";
  #invariantsBroken = 0;
  #drainDeadlineMs: number;
  #isStopping = false;
  #isAborted = false;
  /** SIGHUP came before there was anything to change. */
  #isReloadAwaited = false;
  /** Another process has taken this one's place. */
  #isSucceeded = false;

  constructor(config: Config, options: AppOptions) {
    this.#config = config;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#stdout = new LineSink(openStream(1), { clock: this.#clock, onFailure: () => {} });
    this.#log = options.log ?? createLog(config.log.level, logLinesTo(this.#stdout));
    this.#startedWallMs = this.#clock.wallMs();
    this.#budget = new ConnectionBudget(config.maxConnections);
    this.#drainDeadlineMs = config.shutdown.deadlineMs;
    this.#kept = new KeptState({
      stateDir: config.stateDir,
      upstreams: () => this.#upstreams,
      clock: this.#clock,
      log: this.#log,
    });
    this.#upstreams = new Upstreams({
      deps: {
        clock: this.#clock,
        random: this.#random,
        resolver: createResolver({ clock: this.#clock, random: this.#random }),
        log: this.#log.child("discovery"),
      },
      clock: this.#clock,
      log: this.#log,
      onInvariantBroken: (what) => this.#invariantBroken(what),
      overrides: this.#kept.overrides,
      config,
      onPool: (pool) => this.#journal.follow(pool),
    });
    this.#instance = new InstanceKeeper({
      clock: this.#clock,
      random: this.#random,
      log: this.#log.child("registration"),
      bound: (listener) => this.#listeners?.get(listener)?.addresses ?? [],
    });
    this.#admin = new AdminServers(config.admin, {
      ports: this.#ports(),
      clock: this.#clock,
      log: this.#log.child("admin"),
      take: (name, address) => options.inherited?.take(name, address),
    });
    this.#reloader = new Reloader(this.#reloadable(), this.#clock, this.#log.child("reload"));
    this.#restarter = new Restarter(this.#restartable(), this.#clock, this.#log.child("restart"));
  }

  /** Where the listeners are bound, by name; ports the system chose are filled in. */
  addresses(): ReadonlyMap<string, readonly string[]> {
    return new Map((this.#listeners?.infos() ?? []).map(({ name, addresses }) => [name, addresses]));
  }

  // ---------------------------------------------------------------- start

  /**
   * Admin first, then discovery; listeners open once every pool has its first list or the deadline passed; only then
   * others are told of the instance beside us.
   */
  async start(): Promise<void> {
    const config = this.#config;
    this.#log.info(
      { version: this.#options.version, node: process.versions.node, config: this.#options.configFile },
      "starting",
    );
    this.#accessLog = await AccessLog.open(config.log.access, {
      clock: this.#clock,
      stdout: this.#stdout,
      onFailure: (error) => this.#log.error({ err: error }, "access log cannot be written"),
    });
    const { predecessor, inherited } = this.#options;
    await this.#kept.load();
    const learnt = await predecessor?.hello();
    for (const pool of config.pools) this.#upstreams.add(pool, config.consul);
    await this.#kept.recall(learnt);
    if (predecessor === undefined) await this.#admin.open();
    const firstLists = [...this.#upstreams.values()].map(({ keeper }) => keeper.start());
    await firstOf(Promise.all(firstLists), config.startDeadlineMs, this.#clock);
    this.#warnOfMissingLists();
    if (learnt !== undefined) this.#upstreams.recall(learnt.health);
    if (this.#isStopping || this.#isAborted) return;
    const listeners = this.#makeListeners(this.#accessLog);
    this.#listeners = listeners;
    await listeners.open(config);
    if (predecessor !== undefined) await this.#takeOver(predecessor);
    const unused = inherited?.closeRest() ?? [];
    if (unused.length > 0) this.#log.warn({ sockets: unused }, "inherited sockets that no listener asks for");
    if (this.#isStopping) return;
    this.#enter("ready", "");
    void notifySystemd("READY=1");
    this.#instance.start(this.#config);
    if (this.#isReloadAwaited) this.reload();
  }

  /** The listeners accept beside those of the process before; the admin addresses come once it has freed them. */
  async #takeOver(predecessor: Predecessor): Promise<void> {
    this.#kept.adopt(await predecessor.serving());
    // The listeners accept already: whoever asks first shall hear so.
    this.#state = "ready";
    this.#reason = "";
    await this.#admin.takeOver();
    predecessor.settled();
  }

  #makeListeners(accessLog: AccessLog): Listeners {
    return new Listeners({
      budget: this.#budget,
      accessLog,
      service: (name) => this.#upstreams.service(name),
      clock: this.#clock,
      random: this.#random,
      log: this.#log.child("listener"),
      inherited: this.#options.inherited,
    });
  }

  #warnOfMissingLists(): void {
    for (const { keeper } of this.#upstreams.values()) {
      if (keeper.pool.appliedMs !== undefined) continue;
      for (const { target, reason } of keeper.statuses()) {
        const fields = { pool: keeper.pool.name, target, reason };
        this.#log.warn(fields, "no list before the start deadline, starting without");
      }
    }
  }

  #enter(state: ProxyState, reason: string): void {
    this.#state = state;
    this.#reason = reason;
    this.#admin.announce(state);
    this.#log.info({ state, reason }, "state changed");
  }

  // ---------------------------------------------------------------- stop

  /**
   * Deregister, not ready, serve on for the grace period, close the listeners, let what is open finish until the deadline,
   * then sources and admin.
   */
  async stop(reason: string): Promise<void> {
    this.#isStopping = true;
    if (!this.#isSucceeded) {
      void notifySystemd("STOPPING=1");
      await this.#instance.stop();
      this.#enter("draining", reason);
      await firstOf(undefined, this.#config.shutdown.graceMs, this.#clock);
    }
    this.#listeners?.drain();
    await this.#lastClientGone(this.#drainDeadlineMs);
    const left = this.#budget.open;
    if (left > 0) this.#log.warn({ connections: left }, "shutdown deadline passed, cutting what is open");
    this.#listeners?.destroyAll();
    this.#upstreams.stop();
    await this.#admin.close();
    const kept = Promise.all([this.#kept.flush(this.#isSucceeded), this.#upstreams.flush()]);
    await firstOf(kept, LAST_WORDS_MS, this.#clock);
    this.#log.info({}, "stopped");
    await this.#accessLog?.close(LAST_WORDS_MS);
    await this.#stdout.close(LAST_WORDS_MS);
    this.#letGo();
  }

  async #lastClientGone(deadlineMs: number): Promise<void> {
    const endMs = this.#clock.nowMs() + deadlineMs;
    while (this.#budget.open > 0 && this.#clock.nowMs() < endMs)
      await firstOf(undefined, DRAIN_LOOK_MS, this.#clock);
  }

  /** Everything is cut, at once. Safe at any time. */
  abort(): void {
    this.#isAborted = true;
    this.#instance.abort();
    this.#listeners?.destroyAll();
    this.#upstreams.stop();
    void this.#admin.close();
    void this.#stdout.close(0);
    this.#letGo();
  }

  /** SIGHUP: the access log's file is opened anew, and the configuration is read again. */
  reload(): void {
    this.#accessLog
      ?.reopen()
      .catch((error: unknown) => this.#log.error({ err: error }, "access log not reopened"));
    // What is read at the start may be older than the signal.
    if (this.#state === "starting") this.#isReloadAwaited = true;
    else void this.#reloadAloud();
  }

  async #reloadAloud(): Promise<void> {
    await notifySystemd("RELOADING=1");
    await this.#reloader.reload({ isDryRun: false });
    await notifySystemd("READY=1");
  }

  /**
   * SIGUSR2: another process of the same command takes this one's place, with the same listening sockets. Whatever
   * goes wrong, this one serves on.
   */
  restart(): void {
    this.#restarter.restart();
  }

  #restartable(): Restartable {
    return {
      obstacle: () => (this.#state === "ready" ? undefined : `the proxy is ${this.#state}`),
      sockets: () => [...(this.#listeners?.descriptors() ?? []), ...this.#admin.descriptors()],
      learnt: (toldMs) => this.#kept.learnt(toldMs),
      deadlineMs: () => this.#config.startDeadlineMs + TAKE_OVER_MS,
      release: () => this.#admin.release(),
      resume: async () => {
        if (!this.#isStopping) await this.#admin.open();
      },
      succeeded: () => this.#succeeded(),
    };
  }

  /** What is open here finishes; the instance stays registered, by the other process. */
  #succeeded(): void {
    this.#isSucceeded = true;
    this.#listeners?.leavePaths();
    this.#instance.abort();
    this.#enter("draining", "another process has taken over");
    this.#askToStop();
  }

  #reloadable(): Reloadable {
    return {
      read: this.#options.readConfig,
      config: () => this.#config,
      isReady: () => this.#state === "ready",
      upstreams: this.#upstreams,
      listeners: () => this.#listeners,
      accept: async (config, changes) => {
        this.#config = config;
        this.#drainDeadlineMs = config.shutdown.deadlineMs;
        this.#budget.max = config.maxConnections;
        if (touches(changes, "log.level")) this.#log.setLevel(config.log.level);
        if (touches(changes, "service") || touches(changes, "consul")) await this.#instance.renew(config);
      },
      openAdmin: (config) => this.#admin.prepare(config),
      openAccessLog: (config) => this.#accessLog?.prepare(config),
    };
  }

  #invariantBroken(what: string): void {
    this.#invariantsBroken++;
    this.#log.error({ what }, "an invariant is broken");
  }

  // ---------------------------------------------------------------- what admin sees

  #ports(): AdminPorts {
    return {
      clock: this.#clock,
      pools: this.#upstreams.pools,
      journal: this.#journal,
      info: () => this.#info(),
      discovery: (pool) => this.#upstreams.get(pool)?.keeper.statuses() ?? [],
      affinity: (pool) => this.#upstreams.get(pool)?.service.affinity,
      takesTunnels: (pool) => poolsUsedBy("tcp", this.#config.listeners, this.#config.pools).has(pool),
      openWork: (backend) => this.#upstreams.openWork(backend),
      logLevel: () => this.#log.level(),
      setLogLevel: (level: LogThreshold) => this.#log.setLevel(level),
      checkConfig: (text) => {
        const result = parseConfig(text, { file: "request", env: process.env });
        return { problems: result.ok ? [] : result.problems };
      },
      reloadConfig: (isDryRun) => this.#reloader.reload({ isDryRun }),
      drainProxy: (deadlineMs) => this.#drainAsked(deadlineMs),
      invariantsBroken: () => this.#invariantsBroken,
    };
  }

  #info(): ProxyInfo {
    return {
      version: this.#options.version,
      nodeVersion: process.versions.node,
      pid: process.pid,
      startedWallMs: this.#startedWallMs,
      configFile: this.#options.configFile,
      state: this.#state,
      reason: this.#reason,
      listeners: this.#listeners?.infos() ?? [],
      grpcAddress: this.#admin.grpcAddress,
      registration: this.#instance.status(),
    };
  }

  #drainAsked(deadlineMs: number | undefined): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (deadlineMs !== undefined) this.#drainDeadlineMs = deadlineMs;
    this.#askToStop();
  }

  #askToStop(): void {
    const ask = this.#options.onDrainAsked ?? (() => process.kill(process.pid, "SIGTERM"));
    ask();
  }
}
