import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BackendProcess, executions } from "../support/backend-process.js";
import { until } from "../support/promised.js";
import type { Listed, ProxyUnderTrial, TrialPeer } from "./peers/proxy-under-trial.js";
import { Traffic, type TrafficKind } from "./traffic.js";
import { type Verdict, verdictOf } from "./verdict.js";

/** What a trial begins with. */
export interface SceneOptions {
  /** Ids of the backends; those that begin with `backup` are backups. */
  readonly backends: readonly string[];
  readonly kinds: readonly TrafficKind[];
  readonly isChecked?: boolean;
  /** Whether the proxy is set for backends that go wrong. */
  readonly isWary?: boolean;
  /** What every backend takes for an answer. Default 4 ms. */
  readonly delayMs?: number;
}

const TRAFFIC_MS = 30_000;

/** One proxy with backends behind it and traffic through it. Everything is ended by `close`. */
export class Scene {
  readonly proxy: ProxyUnderTrial;
  /** Every backend there ever was. */
  readonly #all: BackendProcess[];
  readonly #live = new Map<string, BackendProcess>();
  readonly #folder: string;
  readonly #options: SceneOptions;
  readonly #traffic: Traffic;

  private constructor(
    proxy: ProxyUnderTrial,
    backends: readonly BackendProcess[],
    folder: string,
    options: SceneOptions,
  ) {
    this.proxy = proxy;
    this.#all = [...backends];
    for (const backend of backends) this.#live.set(backend.id, backend);
    this.#folder = folder;
    this.#options = options;
    this.#traffic = new Traffic("trial", options.kinds, proxy.httpPort, proxy.tcpPort);
  }

  static async open(peer: TrialPeer, options: SceneOptions): Promise<Scene> {
    const folder = await mkdtemp(join(tmpdir(), "pilotfish-trial-"));
    const backends = await Promise.all(options.backends.map((id) => startBackend(id, folder, options)));
    const proxy = await peer.start({
      folder,
      listed: backends.map(listedAs),
      isSticky: options.kinds.includes("sticky"),
      isChecked: options.isChecked === true,
      isWary: options.isWary === true,
    });
    return new Scene(proxy, backends, folder, options);
  }

  backend(id: string): BackendProcess {
    const backend = this.#live.get(id);
    if (backend === undefined) throw new Error(`no backend ${id}`);
    return backend;
  }

  /** Resolves when so many more requests and sessions have ended, well or not. */
  async more(count: number): Promise<void> {
    const goal = this.#traffic.ended + count;
    await until(() => this.#traffic.ended >= goal, TRAFFIC_MS, `${count} more answers`);
  }

  /** The catalog lists what lives. */
  list(): Promise<void> {
    return this.proxy.list([...this.#live.values()].map(listedAs));
  }

  /** Starts a backend, on the ports of another that has ended or on free ones; `list` makes it known. */
  async join(id: string, predecessor?: BackendProcess): Promise<BackendProcess> {
    const backend = await startBackend(id, this.#folder, this.#options, predecessor);
    this.#all.push(backend);
    this.#live.set(id, backend);
    return backend;
  }

  /** The catalog forgets it, and only then it is asked to end. */
  async leave(id: string): Promise<void> {
    const backend = this.backend(id);
    this.#live.delete(id);
    await this.list();
    backend.kill("SIGTERM");
    await backend.ended;
  }

  /** As a service manager does it: ended and started on the same port, and the catalog never knew. */
  async restart(id: string): Promise<void> {
    const old = this.backend(id);
    old.kill("SIGTERM");
    await old.ended;
    await this.join(id, old);
  }

  /**
   * Ends the traffic and judges it.
   * @param fromMs what ended earlier, by `performance.now`, is left out
   */
  async verdict(fromMs = 0): Promise<Verdict> {
    const report = await this.#traffic.stop(fromMs);
    return verdictOf(report, executions(this.#all));
  }

  /** Share of the answers since the beginning that came from a backend. */
  answeredBy(id: string): number {
    return this.#traffic.results().filter(({ backend }) => backend === id).length;
  }

  async close(): Promise<void> {
    await this.#traffic.stop();
    await this.proxy.stop();
    await Promise.all(this.#all.map((backend) => backend.stop()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function startBackend(
  id: string,
  folder: string,
  options: SceneOptions,
  predecessor?: BackendProcess,
): Promise<BackendProcess> {
  const { port = 0, echoPort = 0 } = predecessor ?? {};
  const backend = await BackendProcess.start(id, folder, { ports: [port], echoPort });
  backend.set({ delayMs: options.delayMs ?? 4 });
  return backend;
}

function listedAs(backend: BackendProcess): Listed {
  return {
    id: backend.id,
    httpPort: backend.port,
    echoPort: backend.echoPort,
    isBackup: backend.id.startsWith("backup"),
  };
}
