import { type Registry, startRegistry } from "../registry-server.js";
import { preferPort } from "./free-port.js";

const HOST = "127.0.0.1";
const CONSUL_PORT = 8_500;

/** The embedded catalog, which can be taken away and brought back at the same address, empty. */
export class Catalog {
  readonly url: string;
  readonly #port: number;
  #registry: Registry | undefined;

  private constructor(registry: Registry) {
    this.url = registry.url;
    this.#port = registry.port;
    this.#registry = registry;
  }

  /** On Consul's port if that is free. */
  static async start(): Promise<Catalog> {
    return new Catalog(
      await startRegistry({ host: HOST, port: await preferPort(CONSUL_PORT), nodeName: "demo" }),
    );
  }

  get isUp(): boolean {
    return this.#registry !== undefined;
  }

  /** Refuses connections from now on and forgets everything. */
  async stop(): Promise<void> {
    const registry = this.#registry;
    this.#registry = undefined;
    await registry?.close();
  }

  /** Comes back knowing nobody. */
  async restart(): Promise<void> {
    this.#registry ??= await startRegistry({ host: HOST, port: this.#port, nodeName: "demo" });
  }
}
