import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { PoolTimeouts } from "../../src/config/model.js";
import type { RetryConfig } from "../../src/config/retry-model.js";
import type { Backend } from "../../src/core/backend.js";
import type { Pool } from "../../src/core/pool.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import { Affinity } from "../../src/proxy/affinity.js";
import { startHttpProxy } from "./http-proxy.js";
import { ManualClock } from "./manual-clock.js";
import { RawClient, until } from "./raw-client.js";
import { OK } from "./recording-backend.js";
import { TcpProxy } from "./tcp-proxy.js";

export type Spoken = "http" | "tcp";

export interface WaitingOptions {
  readonly poolRules?: Partial<PoolOptions>;
  readonly timeouts?: Partial<PoolTimeouts>;
  readonly retries?: Partial<RetryConfig>;
  readonly hasFallback?: boolean;
  readonly abortOnClose?: boolean;
  /** Default 2. */
  readonly backends?: number;
}

/** A host that takes what it is sent and answers when it is told to. */
class Host {
  readonly server: Server;
  readonly #sockets = new Map<Socket, string>();

  constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.set(socket, "");
      socket.on("data", (bytes: Buffer) => {
        this.#sockets.set(socket, `${this.#sockets.get(socket)}${bytes.toString("latin1")}`);
      });
      socket.on("error", () => {});
    });
    this.server.listen(0, "127.0.0.1");
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The connection on which this client's words came. */
  socketOf(name: string): Socket | undefined {
    return [...this.#sockets].find(([, text]) => text.includes(`/${name} `))?.[0];
  }

  heard(name: string): string {
    const socket = this.socketOf(name);
    return (socket && this.#sockets.get(socket)) ?? "";
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, "close");
  }
}

/** A proxy of either protocol whose clients are bound by their address, before hosts that answer by hand; time stands. */
export class WaitingScene {
  readonly spoken: Spoken;
  readonly clock: ManualClock;
  readonly pool: Pool;
  readonly #port: number;
  readonly #hosts: readonly Host[];
  readonly #spare: Host;
  readonly #clients = new Map<string, RawClient>();
  readonly #closeProxy: () => void;

  private constructor(
    spoken: Spoken,
    clock: ManualClock,
    proxy: { readonly pool: Pool; readonly port: number; close(): void },
    hosts: readonly Host[],
    spare: Host,
  ) {
    this.spoken = spoken;
    this.clock = clock;
    this.pool = proxy.pool;
    this.#port = proxy.port;
    this.#hosts = hosts;
    this.#spare = spare;
    this.#closeProxy = () => proxy.close();
  }

  static async start(spoken: Spoken, options: WaitingOptions): Promise<WaitingScene> {
    const clock = new ManualClock();
    const hosts = Array.from({ length: options.backends ?? 2 }, () => new Host());
    const spare = new Host();
    for (const { server } of [...hosts, spare]) if (!server.listening) await once(server, "listening");
    const { poolRules = {}, timeouts = {}, retries = {}, abortOnClose = true } = options;
    const rules = { poolRules, timeouts, retries, abortOnClose };
    const common = { ...rules, clock, maxInFlightPerBackend: 1, affinity: bySource };
    const ports = hosts.map(({ port }) => port);
    const behind = options.hasFallback === true ? [spare.port] : undefined;
    const proxy =
      spoken === "http"
        ? await startHttpProxy({ ...common, backends: ports, ...(behind && { fallback: behind }) })
        : await TcpProxy.start({
            ...common,
            backends: ports.map(addressOf),
            ...(behind && { fallback: behind.map(addressOf) }),
          });
    return new WaitingScene(spoken, clock, proxy, hosts, spare);
  }

  /** The number of the backend that has this client's words, or `spare`; undefined while none has. */
  whoHas(name: string): number | "spare" | undefined {
    if (this.#spare.socketOf(name) !== undefined) return "spare";
    const index = this.#hosts.findIndex((host) => host.socketOf(name) !== undefined);
    return index < 0 ? undefined : index;
  }

  /** All that a backend has of this client's connection. */
  heard(name: string): string {
    return this.#hosts.map((host) => host.heard(name)).join("");
  }

  async servedBy(name: string): Promise<number | "spare"> {
    await until(() => this.whoHas(name) !== undefined);
    return this.whoHas(name) as number | "spare";
  }

  /** A client comes from the address 127.0.0.`from` and says what it wants. */
  arrive(name: string, from: number): RawClient {
    const client = new RawClient(this.#port, `127.0.0.${from}`);
    this.#clients.set(name, client);
    client.socket.write(`GET /${name} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return client;
  }

  /** Another comes, and waits. */
  async wait(name: string, from: number): Promise<RawClient> {
    const before = this.pool.queue.length;
    const client = this.arrive(name, from);
    await until(() => this.pool.queue.length === before + 1);
    return client;
  }

  /** Binds an address to a backend, which is free again afterwards; answers its number. */
  async bind(from: number): Promise<number> {
    this.arrive(`first-${from}`, from);
    const by = (await this.servedBy(`first-${from}`)) as number;
    await this.finish(`first-${from}`);
    await until(() => this.pool.inFlight === 0);
    return by;
  }

  /** The backend that has this client answers, and the client leaves. */
  async finish(name: string): Promise<void> {
    const socket = [...this.#hosts, this.#spare].map((host) => host.socketOf(name)).find((each) => each);
    if (this.spoken === "http") socket?.write(OK);
    else socket?.end(OK);
    const client = this.#clients.get(name);
    await client?.receives("\r\n\r\nok");
    client?.leave();
  }

  backend(index: number): Backend {
    const { port } = this.#hosts[index] as Host;
    const found = [...this.pool.backends()].find((backend) => backend.endpoint.port === port);
    if (found === undefined) throw new Error(`no backend ${index}`);
    return found;
  }

  /** The host stops: it refuses connections. */
  stop(index: number): Promise<void> {
    return (this.#hosts[index] as Host).close();
  }

  /** What a client that is turned away is told: by a reset, where words mean nothing. */
  async turnedAway(client: RawClient): Promise<void> {
    if (this.spoken === "http") {
      await client.receives("HTTP/1.1 503 ");
      await client.receives("retry-after: 1\r\n");
      return;
    }
    await client.end();
    if (client.ended !== "reset") throw new Error("ended in order");
  }

  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.leave();
    this.#closeProxy();
    for (const host of [...this.#hosts, this.#spare]) await host.close();
  }
}

function addressOf(port: number): readonly [string, number] {
  return ["127.0.0.1", port];
}

function bySource(pool: Pool, clock: ManualClock | ConstructorParameters<typeof Affinity>[3]): Affinity {
  const table = { type: "table", on: "source", name: "", size: 100, expireMs: 3_600_000 } as const;
  return new Affinity({ algorithm: "roundrobin" }, table, pool, clock);
}
