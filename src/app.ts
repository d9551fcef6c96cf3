import { hostname } from "node:os";
import { EventJournal } from "./admin/event-journal.js";
import { AdminHttp } from "./admin/http.js";
import type { AdminPorts, ListenerInfo, ProxyInfo, ProxyState } from "./admin/ports.js";
import { AdminServer } from "./admin/server.js";
import { parseConfig } from "./config/load.js";
import type { Config, PoolConfig } from "./config/model.js";
import { Registration } from "./control/registration/registration.js";
import { createResolver } from "./control/resolver.js";
import type { SourceDeps } from "./control/source.js";
import type { Pool } from "./core/pool.js";
import { createProtocol } from "./extensions.js";
import { type Clock, systemClock } from "./platform/clock.js";
import { keepAlive } from "./platform/keep-alive.js";
import { LineSink } from "./platform/line-sink.js";
import { openStream } from "./platform/line-target.js";
import { createLog, type LogThreshold, logLinesTo, type RootLog } from "./platform/log.js";
import { type Random, systemRandom } from "./platform/random.js";
import { AccessLog } from "./proxy/access-log.js";
import { formatSocketAddress } from "./proxy/bind.js";
import { ConnectionBudget } from "./proxy/connection-limits.js";
import { TrustedNetworks } from "./proxy/headers.js";
import { Listener } from "./proxy/listener.js";
import { ListenerTraffic } from "./proxy/listener-traffic.js";
import type { UpstreamService } from "./proxy/upstream-service.js";
import { buildUpstream, type Upstream } from "./upstream.js";

/** What the program is built with besides its configuration. */
export interface AppOptions {
  readonly configFile: string;
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

interface OpenListener {
  readonly listener: Listener;
  readonly traffic: ListenerTraffic;
}

/**
 * The composition root: builds the parts, wires them, and knows the order of start and stop. Nothing else knows
 * both planes.
 */
export class App {
  readonly #config: Config;
  readonly #options: AppOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  /** The log and, unless told otherwise, the access log; a reader that hangs stops neither. */
  readonly #stdout: LineSink;
  readonly #log: RootLog;
  readonly #startedWallMs: number;
  readonly #journal = new EventJournal();
  readonly #upstreams = new Map<string, Upstream>();
  readonly #pools = new Map<string, Pool>();
  readonly #budget: ConnectionBudget;
  readonly #listeners: OpenListener[] = [];
  readonly #admin: { stop(): Promise<void> }[] = [];
  readonly #registration: Registration | undefined;
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
    const deps: SourceDeps = {
      clock: this.#clock,
      random: this.#random,
      resolver: createResolver({ clock: this.#clock, random: this.#random }),
      log: this.#log.child("discovery"),
    };
    for (const pool of config.pools) this.#addPool(pool, deps);
    this.#registration =
      config.service &&
      new Registration({
        service: config.service,
        consul: config.consul,
        hostName: hostname(),
        clock: this.#clock,
        random: this.#random,
        log: this.#log.child("registration"),
      });
  }

  /** Where the listeners are bound, by name; ports the system chose are filled in. */
  addresses(): ReadonlyMap<string, readonly string[]> {
    return new Map(
      this.#listeners.map(({ listener }) => [listener.name, listener.addresses.map(formatSocketAddress)]),
    );
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
    await this.#openAdmin();
    const firstLists = [...this.#upstreams.values()].map(({ keeper }) => keeper.start());
    await this.#firstOf(Promise.all(firstLists), config.startDeadlineMs);
    this.#warnOfMissingLists();
    if (this.#isStopping || this.#isAborted) return;
    await this.#openListeners(this.#accessLog);
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

  async #openListeners(accessLog: AccessLog): Promise<void> {
    const trusted = new TrustedNetworks(this.#config.trustedNetworks);
    for (const config of this.#config.listeners) {
      const traffic = new ListenerTraffic(accessLog);
      const protocol = createProtocol(config, {
        service: (name) => this.#service(name),
        trusted,
        clock: this.#clock,
        random: this.#random,
        accessLog: traffic,
      });
      const listener = new Listener({
        config,
        protocol,
        budget: this.#budget,
        log: this.#log.child("listener"),
      });
      this.#listeners.push({ listener, traffic });
      await listener.bind();
    }
  }

  #register(): void {
    const advertise = this.#config.service?.advertise;
    const name = advertise?.kind === "listener" ? advertise.listener : undefined;
    const advertised = this.#listeners.find(({ listener }) => listener.name === name);
    this.#registration?.start(advertised?.listener.addresses ?? []);
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
    for (const { listener } of this.#listeners) {
      listener.stopAccepting();
      listener.drain();
    }
    await this.#lastClientGone(this.#drainDeadlineMs);
    const left = this.#budget.open;
    if (left > 0) this.#log.warn({ connections: left }, "shutdown deadline passed, cutting what is open");
    for (const { listener } of this.#listeners) listener.destroyAll();
    this.#closeUpstreams();
    await Promise.all(this.#admin.map((server) => server.stop()));
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

  #closeUpstreams(): void {
    for (const { keeper, service } of this.#upstreams.values()) {
      keeper.stop();
      service.connections.stop();
    }
  }

  /** Everything is cut, at once. Safe at any time. */
  abort(): void {
    this.#isAborted = true;
    this.#registration?.abort();
    for (const { listener } of this.#listeners) {
      listener.stopAccepting();
      listener.destroyAll();
    }
    this.#closeUpstreams();
    for (const server of this.#admin) void server.stop().catch(() => {});
    void this.#stdout.close(0);
    this.#letGo();
  }

  /** SIGHUP: the access log's file is opened anew. The configuration is read at start only. */
  reload(): void {
    this.#log.info({}, "reload asked for, only the access log is reopened");
    this.#accessLog
      ?.reopen()
      .catch((error: unknown) => this.#log.error({ err: error }, "access log not reopened"));
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

  // ---------------------------------------------------------------- pools

  #addPool(config: PoolConfig, deps: SourceDeps): void {
    const log = this.#log.child("pool", { pool: config.name });
    const onInvariantBroken = (what: string) => this.#invariantBroken(what);
    const upstream = buildUpstream(config, { consul: this.#config.consul, deps, log, onInvariantBroken });
    this.#journal.follow(upstream.service.pool);
    this.#pools.set(config.name, upstream.service.pool);
    this.#upstreams.set(config.name, upstream);
  }

  #service(name: string): UpstreamService {
    const upstream = this.#upstreams.get(name);
    if (upstream === undefined) throw new Error(`no pool ${name}`);
    return upstream.service;
  }

  #invariantBroken(what: string): void {
    this.#invariantsBroken++;
    this.#log.error({ what }, "an invariant is broken");
  }

  // ---------------------------------------------------------------- what admin sees

  #ports(): AdminPorts {
    return {
      clock: this.#clock,
      pools: this.#pools,
      journal: this.#journal,
      info: () => this.#info(),
      discovery: (pool) => this.#upstreams.get(pool)?.keeper.statuses() ?? [],
      openWork: (backend) => this.#openWork(backend),
      logLevel: () => this.#log.level(),
      setLogLevel: (level: LogThreshold) => this.#log.setLevel(level),
      checkConfig: (text) => {
        const result = parseConfig(text, { file: "request", env: process.env });
        return { problems: result.ok ? [] : result.problems };
      },
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
      listeners: this.#listeners.map(listenerInfo),
      grpcAddress: this.#grpcAddress,
      registration: this.#registration?.status(),
    };
  }

  #openWork(backend: Parameters<AdminPorts["openWork"]>[0]): ReturnType<AdminPorts["openWork"]> {
    let requests = 0;
    let tunnels = 0;
    for (const { service } of this.#upstreams.values()) {
      const open = service.work.count(backend);
      requests += open.requests;
      tunnels += open.tunnels;
    }
    return { requests, tunnels };
  }

  #drainAsked(deadlineMs: number | undefined): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (deadlineMs !== undefined) this.#drainDeadlineMs = deadlineMs;
    const ask = this.#options.onDrainAsked ?? (() => process.kill(process.pid, "SIGTERM"));
    ask();
  }
}

function listenerInfo({ listener, traffic }: OpenListener): ListenerInfo {
  return {
    name: listener.name,
    protocol: listener.config.protocol,
    addresses: listener.isListening ? listener.addresses.map(formatSocketAddress) : [],
    openConnections: listener.open,
    maxConnections: listener.config.limits.maxConnections,
    connectionsTotal: listener.counts.accepted,
    requestsTotal: traffic.served,
    bytesIn: traffic.bytesIn,
    bytesOut: traffic.bytesOut,
  };
}
