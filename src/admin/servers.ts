import type { AdminConfig } from "../config/model.js";
import type { Clock } from "../platform/clock.js";
import { firstOf } from "../platform/first-of.js";
import type { Log } from "../platform/log.js";
import { AdminHttp } from "./http.js";
import type { AdminPorts, ProxyState } from "./ports.js";
import { AdminServer } from "./server.js";

/** How long calls may take to get out when the servers close. */
const LAST_WORDS_MS = 1_000;
/** How often, and how many times, addresses are tried that another process is about to free. */
const RETRY_MS = 50;
const MOST_TRIES = 100;

/** All addresses on which the program can be asked and steered. */
export class AdminServers {
  readonly #config: AdminConfig;
  readonly #ports: AdminPorts;
  readonly #clock: Clock;
  readonly #log: Log;
  #open: { stop(): Promise<void> }[] = [];
  #grpc: AdminServer | undefined;
  #grpcAddress: string | undefined;

  constructor(config: AdminConfig, ports: AdminPorts, clock: Clock, log: Log) {
    this.#config = config;
    this.#ports = ports;
    this.#clock = clock;
    this.#log = log;
  }

  /** Where the gRPC API is bound; undefined when it is off or closed. */
  get grpcAddress(): string | undefined {
    return this.#grpcAddress;
  }

  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Binds all addresses, or rejects with what stood in the way; what was bound by then stays until `close`. */
  async open(): Promise<void> {
    const { grpc, http, probe } = this.#config;
    if (grpc !== undefined) {
      const server = new AdminServer(this.#ports, grpc, this.#log);
      this.#open.push({ stop: () => server.stop(LAST_WORDS_MS) });
      this.#grpcAddress = (await server.start()).address;
      this.#grpc = server;
      this.#log.info({ address: this.#grpcAddress }, "admin grpc listening");
    }
    for (const [address, probeOnly] of [
      [http, false],
      [probe, true],
    ] as const) {
      if (address === undefined) continue;
      const server = new AdminHttp(this.#ports, address, { probeOnly }, this.#log);
      this.#open.push(server);
      const bound = await server.start();
      this.#log.info({ address: bound.address, probeOnly }, "admin http listening");
    }
  }

  /** As `open`, where another process is about to free the addresses: tries for a few seconds. */
  async takeOver(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.open();
      } catch (error) {
        if (tries === MOST_TRIES) throw error;
        await this.close();
        await firstOf(undefined, RETRY_MS, this.#clock);
      }
    }
  }

  /** Tells gRPC health clients. */
  announce(state: ProxyState): void {
    this.#grpc?.announce(state);
  }

  /** Frees all addresses; calls under way get a moment. Never rejects. */
  async close(): Promise<void> {
    const open = this.#open;
    this.#open = [];
    this.#grpc = undefined;
    await Promise.all(open.map((server) => server.stop().catch(() => {})));
  }
}
