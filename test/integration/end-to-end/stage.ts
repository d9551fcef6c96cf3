import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ClientOptions, credentials, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll } from "vitest";
import {
  AdminClient,
  type Backend,
  type Source,
  type SourceState,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { type BackendPorts, BackendProcess } from "../../support/backend-process.js";
import { isConsulMissing, type RunningConsul, startConsul } from "../../support/consul.js";
import { Load, type LoadOptions } from "../../support/load.js";
import { until } from "../../support/promised.js";
import { Sidecar } from "../../support/sidecar.js";

/** Longest wait for what should take a moment. */
const SOON_MS = 10_000;

/**
 * One Consul agent for the tests of a file, where there is a Consul. Each test opens a stage on what it answers.
 */
export function sharedConsul(): () => RunningConsul {
  let consul: RunningConsul | undefined;
  beforeAll(async () => {
    if (isConsulMissing()) return;
    consul = await startConsul();
  });
  afterAll(() => consul?.stop());
  return () => {
    if (consul === undefined) throw new Error("no Consul");
    return consul;
  };
}

/** What stands on it is closed with it, whatever became of the test. */
export class Stage {
  readonly folder: string;
  readonly #undo: (() => unknown)[] = [];
  #consul: RunningConsul | undefined;

  private constructor(folder: string) {
    this.folder = folder;
    this.defer(() => rm(folder, { recursive: true, force: true }));
  }

  static async open(): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "pilotfish-end-to-end-")));
  }

  /** With a Consul agent on it: the given one, which stays, or one of its own. */
  static async openWithConsul(shared?: RunningConsul): Promise<Stage> {
    const stage = await Stage.open();
    stage.#consul = shared;
    if (shared !== undefined) return stage;
    try {
      const consul = await startConsul();
      stage.#consul = consul;
      stage.defer(() => consul.stop());
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  /** To be done at the end, last first. */
  defer(undo: () => unknown): void {
    this.#undo.push(undo);
  }

  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "not all could be closed");
  }

  get consul(): RunningConsul {
    if (this.#consul === undefined) throw new Error("no Consul on this stage");
    return this.#consul;
  }

  /** The part of a sidecar's configuration that names this Consul. */
  get consulConfig(): object {
    return { address: this.consul.url };
  }

  async backend(id: string, options: BackendPorts = {}): Promise<BackendProcess> {
    const backend = await BackendProcess.start(id, this.folder, options);
    this.defer(() => backend.stop());
    return backend;
  }

  backends(...ids: readonly string[]): Promise<BackendProcess[]> {
    return Promise.all(ids.map((id) => this.backend(id)));
  }

  async launch(config: object): Promise<Sidecar> {
    const sidecar = await Sidecar.launch(config, this.folder);
    this.defer(() => sidecar.stop());
    return sidecar;
  }

  /** A sidecar that is ready. */
  async sidecar(config: object): Promise<Sidecar> {
    const sidecar = await this.launch(config);
    await sidecar.ready();
    return sidecar;
  }

  /** A sidecar in front of one service of this Consul. */
  sidecarFor(
    service: string,
    more: { pool?: object; listener?: object; process?: object } = {},
  ): Promise<Sidecar> {
    return this.sidecar(configFor(service, { consul: this.consulConfig, ...more.process }, more));
  }

  load(name: string, options: LoadOptions): Load {
    const load = new Load(name, options);
    this.defer(() => load.stop());
    return load;
  }

  // ---------------------------------------------------------------- the catalog

  async put(path: string, body: unknown = {}): Promise<void> {
    const answer = await fetch(`${this.consul.url}/v1${path}`, { method: "PUT", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`);
    await answer.text();
  }

  /** Told to the agent; taken back at the end. */
  async register(service: string, backend: BackendProcess, more: object = {}): Promise<void> {
    await this.put("/agent/service/register", {
      Name: service,
      ID: backend.id,
      Address: "127.0.0.1",
      Port: backend.port,
      ...more,
    });
    // Gone already, or its Consul is.
    this.defer(() => this.deregister(backend).catch(() => {}));
  }

  deregister(backend: BackendProcess): Promise<void> {
    return this.put(`/agent/service/deregister/${backend.id}`);
  }

  // ---------------------------------------------------------------- what a sidecar knows

  /** Asks one question after another of a sidecar. */
  admin(sidecar: Sidecar): Admin {
    const admin = new Admin(sidecar.grpc);
    this.defer(() => admin.close());
    return admin;
  }
}

/** A configuration with one HTTP listener and one pool, both named `web`. */
export function configFor(
  service: string,
  process: object,
  more: { pool?: object; listener?: object } = {},
): object {
  return {
    shutdown: { grace: "200ms", deadline: "5s" },
    listeners: [{ name: "web", bind: "127.0.0.1:0", protocol: "http", pool: "web", ...more.listener }],
    pools: [{ name: "web", discovery: { type: "consul", service }, ...more.pool }],
    ...process,
  };
}

/** The admin API over its generated client: quick enough to be asked while something happens. */
export class Admin {
  readonly #client: AdminClient;

  constructor(address: string) {
    const options: Partial<ClientOptions> = {};
    this.#client = new AdminClient(address, credentials.createInsecure(), options);
  }

  backends(): Promise<readonly Backend[]> {
    const request = { pool: "", backend: "", eligible: undefined, pageSize: 1000, pageToken: "" };
    return new Promise((resolve, reject) => {
      this.#client.listBackends(request, (error: ServiceError | null, answer) => {
        if (error !== null) reject(error);
        else resolve(answer.backends);
      });
    });
  }

  /** Ids of the backends that take new work, sorted. */
  async eligible(): Promise<string[]> {
    return (await this.backends())
      .filter(({ eligible }) => eligible)
      .map(({ id }) => id)
      .sort();
  }

  /** Waits until exactly these take new work. */
  async settles(...ids: readonly string[]): Promise<number> {
    const wanted = [...ids].sort().join(" ");
    let seen = "";
    try {
      const isSettled = async () => {
        seen = (await this.eligible()).join(" ");
        return seen === wanted;
      };
      return await until(isSettled, SOON_MS, wanted);
    } catch (error) {
      throw new Error(`eligible are [${seen}], not [${wanted}]`, { cause: error });
    }
  }

  /** Waits until exactly these take new work, of each pool. */
  async settlesByPool(pools: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const wanted = Object.entries(pools)
      .flatMap(([pool, ids]) => ids.map((id) => `${pool}/${id}`))
      .sort()
      .join(" ");
    const isSettled = async () => {
      const eligible = (await this.backends()).filter((each) => each.eligible);
      const found = eligible.map(({ pool, id }) => `${pool}/${id}`).sort();
      return found.join(" ") === wanted;
    };
    await until(isSettled, SOON_MS, wanted);
  }

  /** Waits until a backend is in the pool no more, not even to finish its work. */
  gone(id: string): Promise<number> {
    const isGone = async () => (await this.backends()).every((backend) => backend.id !== id);
    return until(isGone, SOON_MS, `the end of ${id}`);
  }

  /** The first pool's source. */
  source(): Promise<Source> {
    return new Promise((resolve, reject) => {
      this.#client.getDiscovery({ pool: "" }, (error: ServiceError | null, answer) => {
        const source = answer?.pools[0]?.sources[0];
        if (source === undefined) reject(error ?? new Error("no source"));
        else resolve(source);
      });
    });
  }

  /** Waits until the first pool's source is in this state. */
  async sourceIs(state: SourceState): Promise<Source> {
    await until(async () => (await this.source()).state === state, SOON_MS, `source state ${state}`);
    return this.source();
  }

  close(): void {
    this.#client.close();
  }
}

/** Prints a figure of the run, where the runner shows it. */
export function show(title: string, figures: Readonly<Record<string, string | number>>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`  [end to end] ${title}: ${parts.join(", ")}\n`);
}
