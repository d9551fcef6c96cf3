import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { ListenerConfig, PoolTimeouts, SocketAddressConfig } from "../../src/config/model.js";
import type { RetryConfig } from "../../src/config/retry-model.js";
import { RoundRobin } from "../../src/core/balancers/roundrobin.js";
import { type Endpoint, formatAddress } from "../../src/core/endpoint.js";
import type { Priority } from "../../src/core/line.js";
import { Pool } from "../../src/core/pool.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import { type Clock, systemClock } from "../../src/platform/clock.js";
import type { Log } from "../../src/platform/log.js";
import { formatJson } from "../../src/proxy/access-log-json.js";
import type { AccessSink } from "../../src/proxy/access-record.js";
import type { Affinity } from "../../src/proxy/affinity.js";
import { ConnectionBudget } from "../../src/proxy/connection-limits.js";
import type { ConnectionMode } from "../../src/proxy/connection-mode.js";
import { Listener, type ListenerOptions } from "../../src/proxy/listener.js";
import { OpenWork } from "../../src/proxy/open-work.js";
import { tcpProtocol } from "../../src/proxy/tcp/tcp-session.js";
import { refusedPort } from "./refused-port.js";
import { retryConfig } from "./retry-config.js";

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

export function endpoint(host: string, port: number): Endpoint {
  const id = formatAddress(host, port);
  return {
    key: `static/${id}`,
    id,
    host,
    port,
    weight: 1,
    status: "passing",
    admitted: true,
    reason: "",
    tags: [],
    meta: {},
    node: undefined,
    datacenter: undefined,
    zone: undefined,
    priority: 0,
  };
}

export function listenerConfig(changes: {
  bind?: readonly SocketAddressConfig[];
  limits?: Partial<ListenerConfig["limits"]>;
}): ListenerConfig {
  return {
    name: "front",
    bind: changes.bind ?? [{ kind: "tcp", host: "127.0.0.1", port: 0 }],
    protocol: "tcp",
    direction: "outbound",
    timeouts: { clientMs: 30_000, httpRequestMs: 10_000, httpKeepAliveMs: 60_000 },
    limits: {
      maxConnections: 100,
      maxWaiting: 1_000,
      backlog: 4_096,
      maxConnectionsPerAddress: 0,
      maxHeadBytes: 16_384,
      maxHeaders: 128,
      maxBodyBytes: 0,
      ...changes.limits,
    },
    allowConnect: false,
    pool: "web",
    priority: undefined,
    routes: [],
  };
}

export interface TcpProxyOptions {
  readonly backends: readonly (readonly [host: string, port: number])[];
  readonly clock?: Clock;
  readonly bind?: readonly SocketAddressConfig[];
  readonly limits?: Partial<ListenerConfig["limits"]>;
  readonly timeouts?: Partial<PoolTimeouts>;
  readonly retries?: Partial<RetryConfig>;
  readonly affinity?: (pool: Pool, clock: Clock) => Affinity;
  readonly maxInFlightPerBackend?: number;
  readonly maxRequestsPerBackend?: number;
  readonly maxQueue?: number;
  /** What else the pool goes by. */
  readonly poolRules?: Partial<PoolOptions>;
  /** Backends of a pool behind the first. */
  readonly fallback?: readonly (readonly [host: string, port: number])[];
  readonly priority?: Priority;
  /** Default true. */
  readonly abortOnClose?: boolean;
  readonly connectionMode?: ConnectionMode;
}

function endpointAt([host, port]: readonly [host: string, port: number]): Endpoint {
  return endpoint(host, port);
}

/** Throws where an invariant breaks. */
function poolNamed(name: string, options: Partial<TcpProxyOptions>): Pool {
  return new Pool({
    name,
    balancer: () => new RoundRobin(),
    tiers: { allBackups: false, panicThreshold: 0 },
    outlier: undefined,
    maxInFlightPerBackend: options.maxInFlightPerBackend ?? 0,
    maxRequestsPerBackend: options.maxRequestsPerBackend,
    maxQueue: options.maxQueue ?? 10,
    drainDeadlineMs: 30_000,
    random: () => 0,
    onInvariantBroken: (what) => {
      throw new Error(what);
    },
    ...options.poolRules,
  });
}

/** A TCP listener in front of a pool, and what it wrote to its access log. */
export class TcpProxy {
  readonly pool: Pool;
  /** The pool behind it, which is empty unless asked for. */
  readonly spare: Pool;
  readonly work = new OpenWork();
  readonly listener: Listener;
  readonly budget = new ConnectionBudget(1000);
  /** Access lines, parsed. */
  readonly lines: Record<string, unknown>[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #clock: Clock;

  private constructor(options: TcpProxyOptions) {
    const clock = options.clock ?? systemClock;
    this.pool = poolNamed("web", options);
    this.spare = poolNamed("spare", {});
    this.#clock = clock;
    this.apply(options.backends);
    this.spare.apply({ endpoints: (options.fallback ?? []).map(endpointAt) }, clock.nowMs());
    const timeouts = {
      connectMs: 5000,
      serverMs: 30_000,
      queueMs: 5000,
      awaitBackendMs: 0,
      tunnelMs: 3_600_000,
      requestTotalMs: 0,
      upstreamIdleMs: 60_000,
      ...options.timeouts,
    };
    const retries = retryConfig(options.retries);
    const accessLog: AccessSink = {
      write: (record) => {
        this.lines.push(JSON.parse(formatJson(record)));
        for (const resolve of this.#waiting.splice(0)) resolve();
      },
    };
    const affinity = options.affinity?.(this.pool, clock);
    const { abortOnClose = true } = options;
    const common = { timeouts, retries, retryAfterMs: 1_000, abortOnClose, work: this.work };
    const spare = { service: { ...common, pool: this.spare, affinity: undefined }, fallback: undefined };
    const destination = {
      service: { ...common, pool: this.pool, affinity },
      fallback: options.fallback === undefined ? undefined : spare,
    };
    const { priority } = options;
    const listenerOptions: ListenerOptions = {
      config: listenerConfig(options),
      protocol: tcpProtocol({ listener: "front", destination, priority, clock, accessLog }),
      budget: this.budget,
      log: silentLog,
      connectionMode: options.connectionMode ?? "handle",
    };
    this.listener = new Listener(listenerOptions);
  }

  static async start(options: TcpProxyOptions): Promise<TcpProxy> {
    const proxy = new TcpProxy(options);
    await proxy.listener.bind();
    return proxy;
  }

  /** Puts another list of backends in force. */
  apply(backends: TcpProxyOptions["backends"]): void {
    this.pool.apply({ endpoints: backends.map(endpointAt) }, this.#clock.nowMs());
  }

  get port(): number {
    const [address] = this.listener.addresses;
    if (address?.kind !== "tcp") throw new Error("not listening on TCP");
    return address.port;
  }

  /** The access line with this number, as soon as it was written. */
  async line(index: number): Promise<Record<string, unknown>> {
    for (;;) {
      const line = this.lines[index];
      if (line !== undefined) return line;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** A client's connection to it, from an address of the loopback network. */
  dial(localAddress = "127.0.0.1"): Client {
    const { port } = this;
    return new Client(connect({ host: "127.0.0.1", port, localAddress, allowHalfOpen: true }));
  }

  close(): void {
    this.listener.stopAccepting();
    this.listener.destroyAll();
  }
}

/** One end of a connection, with everything that came and how it ended. */
export class Client {
  readonly socket: Socket;
  text = "";
  #isReading = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** Waits until exactly this has come. */
  async receives(expected: string): Promise<void> {
    this.#read();
    while (this.text.length < expected.length) await once(this.socket, "data");
    if (this.text !== expected) throw new Error(`expected ${expected}, got ${this.text}`);
  }

  /** Resolves when the other side will send no more, or `reset`. */
  ended(): Promise<"end" | "reset"> {
    this.#read();
    return new Promise((resolve) => {
      if (this.socket.readableEnded) resolve("end");
      else if (this.socket.destroyed) resolve("reset");
      this.socket.once("end", () => resolve("end"));
      this.socket.once("error", () => resolve("reset"));
    });
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk.toString("latin1");
    });
  }
}

/** A backend that hands its connections to the test. */
export class Backend {
  readonly server: Server;
  readonly accepted: Client[] = [];
  readonly #waiting: (() => void)[] = [];

  private constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.accepted.push(new Client(socket));
      for (const resolve of this.#waiting.splice(0)) resolve();
    });
  }

  static async start(): Promise<Backend> {
    const backend = new Backend();
    backend.server.listen(0, "127.0.0.1");
    await once(backend.server, "listening");
    return backend;
  }

  get address(): readonly [string, number] {
    return ["127.0.0.1", (this.server.address() as AddressInfo).port];
  }

  /** The connection with this number, as soon as it came. */
  async connection(index: number): Promise<Client> {
    for (;;) {
      const accepted = this.accepted[index];
      if (accepted !== undefined) return accepted;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(): void {
    for (const { socket } of this.accepted) socket.destroy();
    this.server.close();
  }
}

/** An address where nobody listens. */
export async function refusedAddress(): Promise<readonly [string, number]> {
  return ["127.0.0.1", await refusedPort()];
}

/** Lets the event loop turn until something holds; the test's own time limit bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
