import { readFile } from "node:fs/promises";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { type ConnectionInjector, Server, ServerCredentials, type ServerInterceptor } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { AdminGrpcConfig } from "../config/model.js";
import type { Log } from "../platform/log.js";
import { BearerToken, tokenInterceptor } from "./bearer-token.js";
import { AdminSocket, type GivenSocket } from "./bind.js";
import { Calls } from "./calls.js";
import { changeMethods } from "./changes.js";
import { ownContract } from "./contract.js";
import { drainBackendMethod } from "./drain-backend.js";
import { AdminService, type AdminServer as Methods } from "./generated/pilotfish/admin/v1/admin.js";
import { insightMethods } from "./insight.js";
import { listingMethods } from "./listing.js";
import { Messages } from "./messages.js";
import type { AdminPorts, ProxyState } from "./ports.js";
import { processMethods } from "./process.js";
import { REFLECTION_SERVICES, Reflection } from "./reflection.js";
import { statsMethods } from "./stats.js";
import { StatsBaseline } from "./stats-baseline.js";
import { tableMethods } from "./tables.js";
import { Timestamps } from "./timestamps.js";
import { watchEventsMethod } from "./watch-events.js";
import { watchStatsMethod } from "./watch-stats.js";

const ADMIN_SERVICE = "pilotfish.admin.v1.Admin";
const HEALTH_SERVICE = "grpc.health.v1.Health";

/** Connections of all clients; further ones are closed at once. */
const MOST_CONNECTIONS = 64;

/** How long calls may take to get out when the server closes. */
const LAST_WORDS_MS = 1_000;

const SERVER_OPTIONS = {
  "grpc.max_concurrent_streams": 100,
  // The largest request is a configuration to check.
  "grpc.max_receive_message_length": 1024 * 1024,
  // A client that vanished is found within the sum of both, one that never speaks HTTP/2 too.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.enable_channelz": 0,
};

/**
 * The gRPC admin API on one address, with health and reflection. With a token file every call needs the token,
 * whichever service it is for.
 */
export class AdminServer {
  readonly #ports: AdminPorts;
  readonly #config: AdminGrpcConfig;
  readonly #log: Log;
  readonly #calls: Calls;
  readonly #health = new HealthImplementation();
  readonly #sockets = new Set<Socket>();
  readonly #acceptor: NetServer;
  readonly socket: AdminSocket;
  #server: Server | undefined;
  #injector: ConnectionInjector | undefined;

  constructor(ports: AdminPorts, config: AdminGrpcConfig, log: Log) {
    this.#ports = ports;
    this.#config = config;
    this.#log = log;
    this.#calls = new Calls(ports.clock, log);
    this.#acceptor = createServer((socket) => this.#accept(socket));
    this.#acceptor.maxConnections = MOST_CONNECTIONS;
    this.socket = new AdminSocket(this.#acceptor, config.address);
  }

  /**
   * Binds; answers the address as bound. Port 0 takes a free one.
   *
   * @throws Error when the address is taken, or token or certificate cannot be read.
   */
  async start(given?: GivenSocket): Promise<{ readonly address: string }> {
    const { tokenFile, tls } = this.#config;
    const interceptors: ServerInterceptor[] = [];
    if (tokenFile !== undefined) {
      interceptors.push(tokenInterceptor(await BearerToken.load(tokenFile, this.#log)));
    }
    const credentials = tls === undefined ? ServerCredentials.createInsecure() : await tlsCredentials(tls);
    const server = new Server({ ...SERVER_OPTIONS, interceptors });
    server.addService(AdminService, this.#methods());
    this.#health.addToServer(server);
    new Reflection(ownContract(), [ADMIN_SERVICE, HEALTH_SERVICE, ...REFLECTION_SERVICES]).addTo(server);
    this.#health.setStatus(ADMIN_SERVICE, "SERVING");
    this.announce(this.#ports.info().state);
    this.#server = server;
    this.#injector = server.createConnectionInjector(credentials);
    const bound = await this.socket.open(given);
    this.#acceptor.on("error", (error) => this.#log.error({ err: error }, "admin listener failed"));
    return { address: bound };
  }

  /** Tells those who watch grpc.health.v1: the empty service name serves while the proxy is ready. */
  announce(state: ProxyState): void {
    this.#health.setStatus("", state === "ready" ? "SERVING" : "NOT_SERVING");
  }

  /** Ends streams, lets calls finish for `graceMs`, then closes whatever is left. */
  async stop(graceMs = LAST_WORDS_MS): Promise<void> {
    this.#calls.stop();
    this.#health.setStatus("", "NOT_SERVING");
    this.#health.setStatus(ADMIN_SERVICE, "NOT_SERVING");
    const closed = this.socket.close();
    const server = this.#server;
    if (server !== undefined) {
      await new Promise<void>((resolve) => {
        const timer = this.#ports.clock.after(graceMs, resolve);
        server.tryShutdown(() => {
          timer.cancel();
          resolve();
        });
      });
      server.forceShutdown();
      this.#injector?.destroy();
    }
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Errors before the handshake is over reach nobody else; unheard they would end the process.
    socket.on("error", (error) => this.#log.debug({ err: error }, "admin connection failed"));
    if (this.#injector === undefined) socket.destroy();
    else this.#injector.injectConnection(socket);
  }

  #methods(): Methods {
    const ports = this.#ports;
    const calls = this.#calls;
    const log = this.#log;
    const time = new Timestamps(ports.clock);
    const messages = new Messages(ports, time);
    const baseline = new StatsBaseline(ports.clock.nowMs());
    const listing = listingMethods(ports, messages);
    const change = changeMethods(ports, messages, log);
    const stats = statsMethods(ports, baseline, time, log);
    const insight = insightMethods(ports, messages, time);
    const tables = tableMethods(ports, time, log);
    const about = processMethods(ports, time, log);
    return {
      getInfo: calls.unary(about.getInfo),
      listPools: calls.unary(listing.listPools),
      listBackends: calls.unary(listing.listBackends),
      setWeight: calls.unary(change.setWeight),
      setState: calls.unary(change.setState),
      drainBackend: calls.stream(drainBackendMethod(ports, time, log)),
      ejectBackend: calls.unary(change.ejectBackend),
      unejectBackend: calls.unary(change.unejectBackend),
      getStats: calls.unary(stats.getStats),
      watchStats: calls.stream(watchStatsMethod(ports, baseline, time)),
      resetStats: calls.unary(stats.resetStats),
      watchEvents: calls.stream(watchEventsMethod(ports, messages, time)),
      getDiscovery: calls.unary(insight.getDiscovery),
      explainPick: calls.unary(insight.explainPick),
      listTableEntries: calls.unary(tables.listTableEntries),
      setTableEntry: calls.unary(tables.setTableEntry),
      clearTableEntries: calls.unary(tables.clearTableEntries),
      setLogLevel: calls.unary(about.setLogLevel),
      checkConfig: calls.unary(about.checkConfig),
      reloadConfig: calls.slow(about.reloadConfig),
      drainProxy: calls.unary(about.drainProxy),
    };
  }
}

async function tlsCredentials(tls: NonNullable<AdminGrpcConfig["tls"]>): Promise<ServerCredentials> {
  const [certificate, key, clientCa] = await Promise.all([
    readFile(tls.certFile),
    readFile(tls.keyFile),
    tls.clientCaFile === undefined ? null : readFile(tls.clientCaFile),
  ]);
  return ServerCredentials.createSsl(
    clientCa,
    [{ cert_chain: certificate, private_key: key }],
    clientCa !== null,
  );
}
