import type { AdminConfig, SocketAddressConfig } from "../config/model.js";
import type { Clock } from "../platform/clock.js";
import { firstOf } from "../platform/first-of.js";
import type { Log } from "../platform/log.js";
import type { AdminSocket, GivenSocket } from "./bind.js";
import { AdminHttp } from "./http.js";
import type { AdminPorts, ProxyState } from "./ports.js";
import { AdminServer } from "./server.js";

/** How often, and how many times, addresses are tried that another process is about to free. */
const RETRY_MS = 50;
const MOST_TRIES = 100;

/** The addresses on which the program can be asked and steered. */
const PARTS = ["grpc", "http", "probe"] as const;
type Part = (typeof PARTS)[number];

/** One of them, open or about to be. */
interface OpenPart {
  readonly socket: AdminSocket;
  /** Answers the address as bound. */
  start(given: GivenSocket | undefined): Promise<{ readonly address: string }>;
  stop(): Promise<void>;
}

/** What servers are made with. */
export interface AdminServersOptions {
  readonly ports: AdminPorts;
  readonly clock: Clock;
  readonly log: Log;
  /** Finds a socket that this process was given; `admin/grpc`, `admin/http` and `admin/probe` ask. */
  readonly take: (name: string, address: SocketAddressConfig) => GivenSocket | undefined;
}

/** All addresses on which the program can be asked and steered. */
export class AdminServers {
  readonly #options: AdminServersOptions;
  #config: AdminConfig;
  #open = new Map<Part, OpenPart>();
  #grpcAddress: string | undefined;

  constructor(config: AdminConfig, options: AdminServersOptions) {
    this.#config = config;
    this.#options = options;
  }

  /** Where the gRPC API is bound; undefined when it is off or closed. */
  get grpcAddress(): string | undefined {
    return this.#grpcAddress;
  }

  get isOpen(): boolean {
    return this.#open.size > 0;
  }

  /** Binds all addresses, or rejects with what stood in the way; what was bound by then stays until `close`. */
  async open(): Promise<void> {
    for (const part of PARTS) await this.#start(part, this.#config, this.#open);
  }

  /** As `open`, where another process is about to free the addresses: tries for a few seconds. */
  async takeOver(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.open();
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
        await this.close();
        await firstOf(undefined, RETRY_MS, this.#options.clock);
      }
    }
  }

  /**
   * Opens what another configuration asks for besides what is open. Rejects when one address cannot be opened; none of
   * the new ones stays open then. After `commit`, calls on the old addresses get a moment to end.
   */
  async prepare(config: AdminConfig): Promise<{ commit(): void; cancel(): void }> {
    const next = new Map<Part, OpenPart>();
    const added = new Map<Part, OpenPart>();
    const cancel = () => {
      for (const each of added.values()) void each.stop().catch(() => {});
    };
    const grpcAddress = this.#grpcAddress;
    try {
      for (const part of PARTS) {
        const present = this.#open.get(part);
        if (present !== undefined && isSame(this.#config[part], config[part])) next.set(part, present);
        else await this.#start(part, config, added);
      }
    } catch (error) {
      cancel();
      this.#grpcAddress = grpcAddress;
      throw error;
    }
    const commit = () => {
      const previous = this.#open;
      this.#config = config;
      this.#open = new Map([...next, ...added]);
      if (!this.#open.has("grpc")) this.#grpcAddress = undefined;
      for (const [part, each] of previous) if (!next.has(part)) void each.stop().catch(() => {});
    };
    return { commit, cancel };
  }

  /** Tells gRPC health clients. */
  announce(state: ProxyState): void {
    for (const each of this.#open.values()) if (each instanceof AdminServer) each.announce(state);
  }

  /** Listening sockets, for a process that takes this one's place: by name in place of a listener's, address as configured. */
  descriptors(): readonly ({ readonly listener: string; readonly address: string } & GivenSocket)[] {
    return [...this.#open].map(([part, { socket }]) => ({
      listener: nameOf(part),
      address: socket.text,
      ...socket.descriptor(),
    }));
  }

  /** Frees all addresses, to another process that listens on the same sockets. Never rejects. */
  release(): Promise<void> {
    for (const { socket } of this.#open.values()) socket.leavePath();
    return this.close();
  }

  /** Frees all addresses; calls under way get a moment. Never rejects. */
  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open = new Map();
    this.#grpcAddress = undefined;
    await Promise.all(open.map((server) => server.stop().catch(() => {})));
  }

  async #start(part: Part, config: AdminConfig, into: Map<Part, OpenPart>): Promise<void> {
    const server = this.#make(part, config);
    if (server === undefined) return;
    into.set(part, server);
    const given = this.#options.take(nameOf(part), server.socket.address);
    const { address } = await server.start(given);
    const { log } = this.#options;
    if (part !== "grpc") log.info({ address, probeOnly: part === "probe" }, "admin http listening");
    else {
      this.#grpcAddress = address;
      log.info({ address }, "admin grpc listening");
    }
  }

  #make(part: Part, config: AdminConfig): OpenPart | undefined {
    const { ports, log } = this.#options;
    if (part === "grpc") return config.grpc && new AdminServer(ports, config.grpc, log);
    const address = config[part];
    return address && new AdminHttp(ports, address, { probeOnly: part === "probe" }, log);
  }
}

function nameOf(part: Part): string {
  return `admin/${part}`;
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
