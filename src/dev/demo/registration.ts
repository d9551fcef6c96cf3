import { request } from "node:http";

/** How a backend presents itself in the catalog. */
export interface Registration {
  /** `http://host:port` of the catalog. */
  readonly catalogUrl: string;
  readonly service: string;
  readonly id: string;
  readonly port: number;
}

const TTL = "3s";
/** How often the TTL check is passed; also how soon a catalog that forgot the backend hears of it again. */
const HEARTBEAT_MS = 500;
const CALL_MS = 1_000;

/**
 * Keeps a backend in a catalog through Consul's HTTP API: registers it with a TTL check and passes the check until
 * told to leave. A catalog that is away is asked again; one that lost the backend gets it anew.
 */
export class CatalogEntry {
  readonly #registration: Registration;
  readonly #onRegistered: (isAgain: boolean) => void;
  #timer: NodeJS.Timeout | undefined;
  #hasLeft = false;
  #beating: Promise<void> | undefined;

  /** @param onRegistered called with the answer to each registration */
  constructor(registration: Registration, onRegistered: (isAgain: boolean) => void) {
    this.#registration = registration;
    this.#onRegistered = onRegistered;
  }

  /** Rejects when the catalog refuses or is not there. */
  async register(): Promise<void> {
    await this.#register(false);
    this.#timer = setInterval(() => {
      this.#beating ??= this.#beat().finally(() => {
        this.#beating = undefined;
      });
    }, HEARTBEAT_MS);
  }

  /** Takes the backend out of the catalog; a catalog that is away has forgotten it anyway. */
  async leave(): Promise<void> {
    this.#hasLeft = true;
    clearInterval(this.#timer);
    await this.#beating;
    await this.#put(`/v1/agent/service/deregister/${this.#registration.id}`).catch(() => {});
  }

  async #beat(): Promise<void> {
    try {
      const status = await this.#put(`/v1/agent/check/pass/service:${this.#registration.id}`);
      // Consul answers 404 or 500, by version, to the pass of a check it does not know.
      if (status >= 400 && !this.#hasLeft) await this.#register(true);
    } catch {
      // The catalog is away: the next beat asks again.
    }
  }

  async #register(isAgain: boolean): Promise<void> {
    const { service, id, port } = this.#registration;
    const status = await this.#put("/v1/agent/service/register", {
      Name: service,
      ID: id,
      Address: "127.0.0.1",
      Port: port,
      // It listens already, so there is no reason to begin as critical.
      Check: { TTL, Status: "passing", DeregisterCriticalServiceAfter: "1m" },
    });
    if (status !== 200) throw new Error(`the catalog answered ${status} to the registration of ${id}`);
    this.#onRegistered(isAgain);
  }

  #put(path: string, body?: object): Promise<number> {
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#registration.catalogUrl + path, { method: "PUT" }, (response) => {
        response.resume();
        response.on("error", reject);
        response.on("end", () => resolve(response.statusCode ?? 0));
      });
      outgoing.setTimeout(CALL_MS, () => outgoing.destroy(new Error("the catalog does not answer")));
      outgoing.on("error", reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
