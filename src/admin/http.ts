import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { SocketAddressConfig } from "../config/model.js";
import { firstOf } from "../platform/first-of.js";
import type { Log } from "../platform/log.js";
import { AdminSocket, type GivenSocket } from "./bind.js";
import { renderMetrics } from "./metrics.js";
import type { AdminPorts } from "./ports.js";
import { processMetrics } from "./process-metrics.js";

const SERVER_LIMITS = {
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 1000,
} as const;
const MOST_CONNECTIONS = 256;
/** A reader that takes nothing for this long is cut off. */
const IDLE_MS = 30_000;

/** A connection that came just now may have its request on the way. */
const UNDER_WAY_MS = 50;
/** How long answers may take to get out when the server closes. */
const LAST_WORDS_MS = 1_000;

const TEXT = "text/plain; charset=utf-8";
const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** What an instance serves. */
export interface AdminHttpOptions {
  /** Leaves out everything that is not for probes and scrapers. */
  readonly probeOnly: boolean;
}

/** Metrics, health and readiness over HTTP. Read only: it answers GET and HEAD. */
export class AdminHttp {
  readonly #ports: AdminPorts;
  readonly #options: AdminHttpOptions;
  readonly #log: Log;
  readonly #server: Server;
  readonly socket: AdminSocket;

  constructor(ports: AdminPorts, address: SocketAddressConfig, options: AdminHttpOptions, log: Log) {
    this.#ports = ports;
    this.#options = options;
    this.#log = log;
    this.#server = createServer(SERVER_LIMITS, (request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        log.error({ err: error, path: request.url }, "admin request failed");
        response.destroy();
      });
    });
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.timeout = IDLE_MS;
    this.socket = new AdminSocket(this.#server, address);
  }

  /** Binds; answers the address as bound. Port 0 takes a free one. @throws Error when it is taken. */
  async start(given?: GivenSocket): Promise<{ readonly address: string }> {
    const address = await this.socket.open(given);
    this.#server.on("error", (error) => this.#log.error({ err: error }, "admin http listener failed"));
    return { address };
  }

  /** Takes no more connections; what was asked already is answered, if that takes no longer than a moment. */
  async stop(): Promise<void> {
    const { clock } = this.#ports;
    const closed = this.socket.close();
    await firstOf(closed, UNDER_WAY_MS, clock);
    this.#server.close();
    await firstOf(closed, LAST_WORDS_MS, clock);
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader("cache-control", "no-store");
    response.setHeader("x-content-type-options", "nosniff");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return this.#answer(request, response, 405, "only GET and HEAD are answered here\n");
    }
    const path = (request.url ?? "/").split("?", 1)[0];
    switch (path) {
      case "/healthz":
        return this.#answer(request, response, 200, "ok\n");
      case "/readyz":
        return this.#ready(request, response);
      case "/metrics":
        return this.#metrics(request, response);
      case "/":
        return this.#answer(request, response, 200, this.#index());
      default:
        return this.#answer(request, response, 404, `nothing at ${path}; / lists what there is\n`);
    }
  }

  #ready(request: IncomingMessage, response: ServerResponse): void {
    const { state, reason } = this.#ports.info();
    const text = reason === "" ? state : `${state}: ${reason}`;
    this.#answer(request, response, state === "ready" ? 200 : 503, `${text}\n`);
  }

  /** A family at a time, so that thousands of backends neither fill memory nor hold up traffic in one piece. */
  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.writeHead(200, { "content-type": PROMETHEUS_TEXT });
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    for (const part of renderMetrics(this.#ports)) {
      if (response.destroyed) return;
      if (part !== "" && !response.write(part)) await drained(response);
    }
    response.end(await processMetrics());
  }

  #answer(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
    response.writeHead(status, { "content-type": TEXT, "content-length": Buffer.byteLength(text) });
    response.end(request.method === "HEAD" ? undefined : text);
  }

  #index(): string {
    const { version, grpcAddress } = this.#ports.info();
    const lines = [
      `pilotfish ${version}`,
      "",
      "/healthz   200 while the process lives",
      "/readyz    200 while it takes traffic, otherwise 503 and why",
      "/metrics   Prometheus",
    ];
    if (!this.#options.probeOnly && grpcAddress !== undefined) {
      const grpcurl = `grpcurl -plaintext ${grpcurlTarget(grpcAddress)}`;
      lines.push(
        "",
        "The admin API speaks gRPC and describes itself:",
        "",
        `${grpcurl} list pilotfish.admin.v1.Admin`,
        `${grpcurl} describe pilotfish.admin.v1.Admin.SetWeight`,
        `${grpcurl} pilotfish.admin.v1.Admin/ListPools`,
        `${grpcurl} pilotfish.admin.v1.Admin/ListBackends`,
        `${grpcurl} pilotfish.admin.v1.Admin/WatchEvents`,
      );
    }
    return `${lines.join("\n")}\n`;
  }
}

/** grpcurl names unix sockets by an option of its own. */
function grpcurlTarget(address: string): string {
  return address.startsWith("unix:") ? `-unix ${address.slice("unix:".length)}` : address;
}

async function drained(response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  response.once("close", leave);
  try {
    await once(response, "drain", { signal: gone.signal });
  } catch {
    // The reader left; the caller sees it by the destroyed response.
  } finally {
    response.off("close", leave);
  }
}
