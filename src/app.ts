import { hostname } from "node:os";
import { join } from "node:path";
import { EventJournal } from "./admin/event-journal.js";
import { AdminHttp } from "./admin/http.js";
import type { AdminPorts, ProxyInfo, ProxyState } from "./admin/ports.js";
import { AdminServer } from "./admin/server.js";
import { touches } from "./config/difference.js";
import { type LoadResult, parseConfig } from "./config/load.js";
import type { Config } from "./config/model.js";
import { OVERRIDES_VERSION, OverrideStore } from "./control/override-store.js";
import { Registration } from "./control/registration/registration.js";
import { createResolver } from "./control/resolver.js";
import { Listeners } from "./listeners.js";
import { type Clock, systemClock } from "./platform/clock.js";
import { keepAlive } from "./platform/keep-alive.js";
import { LineSink } from "./platform/line-sink.js";
import { openStream } from "./platform/line-target.js";
import { createLog, type LogThreshold, logLinesTo, type RootLog } from "./platform/log.js";
import { type Random, systemRandom } from "./platform/random.js";
import { StateFile } from "./platform/state-file.js";
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
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: RootLog;
}

/** How long lines and calls may take to get out at the very end. */
const LAST_WORDS_MS = 1_000;
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
  readonly #overrides: OverrideStore | undefined;
  readonly #reloader: Reloader;
  readonly #budget: ConnectionBudget;
  #listeners: Listeners | undefined;
  readonly #admin: { stop(): Promise<void> }[] = [];
  #registration: Registration | undefined;
  readonly #letGo = keepAlive();
  #grpc: AdminServer | undefined;
  #grpcAddress: string | undefined;
  #accessLog: AccessLog | undefined;
  #state: ProxyState = "starting";
  #reason = "waiting for the first list of every pool";
  #invariantsBroken = 0;
  #drainDeadlineMs: number;
  #isStopping = false;
  #isAborted = false;

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
    this.#overrides = this.#openOverrides();
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
      overrides: this.#overrides,
      onPool: (pool) => this.#journal.follow(pool),
    });
    this.#registration = this.#makeRegistration();
    this.#reloader = new Reloader(this.#reloadable(), this.#clock, this.#log.child("reload"));
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
    await this.#overrides?.load();
    for (const pool of config.pools) this.#upstreams.add(pool, config.consul);
    await this.#openAdmin();
    const firstLists = [...this.#upstreams.values()].map(({ keeper }) => keeper.start());
    await this.#firstOf(Promise.all(firstLists), config.startDeadlineMs);
    this.#warnOfMissingLists();
    if (this.#isStopping || this.#isAborted) return;
    const listeners = this.#makeListeners(this.#accessLog);
    this.#listeners = listeners;
    await listeners.open(config);
    if (this.#isStopping) return;
    this.#enter("ready", "");
    this.#register();
  }

  async #openAdmin(): Promise<void> {
    const { grpc, http, probe } = this.#config.admin;
    const log = this.#log.child("admin");
    const ports = this.#ports();
    if (grpc !== undefined) {
      const server = new AdminServer(ports, grpc, log);
      this.#admin.push({ stop: () => server.stop(LAST_WORDS_MS) });
      this.#grpcAddress = (await server.start()).address;
      this.#grpc = server;
      log.info({ address: this.#grpcAddress }, "admin grpc listening");
    }
    for (const [address, probeOnly] of [
      [http, false],
      [probe, true],
    ] as const) {
      if (address === undefined) continue;
      const server = new AdminHttp(ports, address, { probeOnly }, log);
      this.#admin.push(server);
      const bound = await server.start();
      log.info({ address: bound.address, probeOnly }, "admin http listening");
    }
  }

  #makeListeners(accessLog: AccessLog): Listeners {
    return new Listeners({
      budget: this.#budget,
      accessLog,
      service: (name) => this.#upstreams.service(name),
      clock: this.#clock,
      random: this.#random,
      log: this.#log.child("listener"),
      inherited: undefined,
    });
  }

  #openOverrides(): OverrideStore | undefined {
    const { stateDir } = this.#config;
    if (stateDir === undefined) return undefined;
    const log = this.#log.child("overrides");
    const file = new StateFile({
      path: join(stateDir, "overrides.json"),
      kind: "overrides",
      version: OVERRIDES_VERSION,
      clock: this.#clock,
      log,
    });
    return new OverrideStore(file, this.#clock, log);
  }

  #makeRegistration(): Registration | undefined {
    const { service, consul } = this.#config;
    if (service === undefined) return undefined;
    const log = this.#log.child("registration");
    const { hostName, ...shared } = { hostName: hostname(), clock: this.#clock, random: this.#random, log };
    return new Registration({ service, consul, hostName, ...shared });
  }

  #register(): void {
    const advertise = this.#config.service?.advertise;
    const name = advertise?.kind === "listener" ? advertise.listener : undefined;
    const advertised = name === undefined ? undefined : this.#listeners?.get(name);
    this.#registration?.start(advertised?.addresses ?? []);
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
    this.#grpc?.announce(state);
    this.#log.info({ state, reason }, "state changed");
  }

  // ---------------------------------------------------------------- stop

  /**
   * Deregister, not ready, serve on for the grace period, close the listeners, let what is open finish until the deadline,
   * then sources and admin.
   */
  async stop(reason: string): Promise<void> {
    this.#isStopping = true;
    await this.#registration?.stop();
    this.#enter("draining", reason);
    await this.#firstOf(undefined, this.#config.shutdown.graceMs);
    this.#listeners?.drain();
    await this.#lastClientGone(this.#drainDeadlineMs);
    const left = this.#budget.open;
    if (left > 0) this.#log.warn({ connections: left }, "shutdown deadline passed, cutting what is open");
    this.#listeners?.destroyAll();
    this.#upstreams.stop();
    await Promise.all(this.#admin.map((server) => server.stop()));
    await this.#firstOf(this.#overrides?.flush(), this.#overrides === undefined ? 0 : LAST_WORDS_MS);
    this.#log.info({}, "stopped");
    await this.#accessLog?.close(LAST_WORDS_MS);
    await this.#stdout.close(LAST_WORDS_MS);
    this.#letGo();
  }

  async #lastClientGone(deadlineMs: number): Promise<void> {
    const endMs = this.#clock.nowMs() + deadlineMs;
    while (this.#budget.open > 0 && this.#clock.nowMs() < endMs)
      await this.#firstOf(undefined, DRAIN_LOOK_MS);
  }

  /** Everything is cut, at once. Safe at any time. */
  abort(): void {
    this.#isAborted = true;
    this.#registration?.abort();
    this.#listeners?.destroyAll();
    this.#upstreams.stop();
    for (const server of this.#admin) void server.stop().catch(() => {});
    void this.#stdout.close(0);
    this.#letGo();
  }

  /** SIGHUP: the access log's file is opened anew, and the configuration is read again. */
  reload(): void {
    this.#accessLog
      ?.reopen()
      .catch((error: unknown) => this.#log.error({ err: error }, "access log not reopened"));
    void this.#reloader.reload({ isDryRun: false });
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
        if (touches(changes, "service") || touches(changes, "consul")) await this.#registerAnew();
      },
      openAccessLog: (config) => this.#accessLog?.prepare(config),
    };
  }

  /** The instance is told to Consul as it is configured now; one that is the same is not taken out in between. */
  async #registerAnew(): Promise<void> {
    const previous = this.#registration;
    const { service } = this.#config;
    const next = this.#makeRegistration();
    if (service !== undefined && previous?.isOf(service) === true) previous.abort();
    else await previous?.stop();
    this.#registration = next;
    this.#register();
  }

  /** Resolves with the promise or after the delay, whichever is first. */
  #firstOf(promise: Promise<unknown> | undefined, delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(delayMs, resolve);
      promise?.then(() => {
        timer.cancel();
        resolve();
      });
    });
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
      grpcAddress: this.#grpcAddress,
      registration: this.#registration?.status(),
    };
  }

  #drainAsked(deadlineMs: number | undefined): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (deadlineMs !== undefined) this.#drainDeadlineMs = deadlineMs;
    const ask = this.#options.onDrainAsked ?? (() => process.kill(process.pid, "SIGTERM"));
    ask();
  }
}
