import { call } from "./registry-client.js";

/** One instance as it is written into a catalog. */
export interface CatalogInstance {
  readonly id: string;
  readonly port: number;
  readonly meta?: Readonly<Record<string, string>>;
}

/** Writes sent at the same time where there are many. */
const AT_ONCE = 16;

/** Writes straight into a catalog, real or embedded, without an agent that would put its own view back. */
export class CatalogDriver {
  readonly #url: string;

  /** @param url of the agent that is told */
  constructor(url: string) {
    this.#url = url;
  }

  /** Lists instances on a node, which is made where it is new; those it lists already are changed. */
  async add(node: string, service: string, instances: readonly CatalogInstance[]): Promise<void> {
    const waiting = [...instances];
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { id, port, meta = {} } = next;
        await this.#put("catalog/register", {
          Node: node,
          Address: "127.0.0.1",
          Service: { Service: service, ID: id, Address: "127.0.0.1", Port: port, Meta: meta },
        });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  }

  remove(node: string, id: string): Promise<void> {
    return this.#put("catalog/deregister", { Node: node, ServiceID: id });
  }

  /** Takes everything off the list that stands on a node, in one write. */
  removeNode(node: string): Promise<void> {
    return this.#put("catalog/deregister", { Node: node });
  }

  async #put(path: string, body: object): Promise<void> {
    const answer = await call(this.#url, "PUT", path, body);
    if (answer.status !== 200) throw new Error(`PUT ${path}: ${answer.status} ${answer.text}`);
  }
}
