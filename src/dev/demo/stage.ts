import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BackendProcess } from "./backend-process.js";
import { Catalog } from "./catalog.js";
import { type SidecarAddresses, SidecarProcess } from "./sidecar-process.js";
import { SidecarWatch } from "./sidecar-watch.js";
import { Traffic } from "./traffic.js";

/** Name of the service, and of the pool that watches it. */
export const SERVICE = "web";
const REQUESTS_PER_SECOND = 200;
const MOST_OPEN_REQUESTS = 64;
/** web3 does the same work in twice the time. */
const WORK_MS: Readonly<Record<string, number>> = { web1: 30, web2: 30, web3: 60 };
const USUAL_WORK_MS = 30;

/** What was left undone at the end, in words; empty when all went well. */
export type EndingProblems = readonly string[];

/** Everything that runs in the demo. */
export class Stage {
  readonly folder: string;
  readonly #onLost: (reason: string) => void;
  readonly #backends = new Map<string, BackendProcess>();
  readonly #removeAtExit = (): void => rmSync(this.folder, { recursive: true, force: true });
  #catalog: Catalog | undefined;
  #sidecar: { readonly sidecar: SidecarProcess; readonly addresses: SidecarAddresses } | undefined;
  #watch: SidecarWatch | undefined;
  #traffic: Traffic | undefined;

  private constructor(folder: string, onLost: (reason: string) => void) {
    this.folder = folder;
    this.#onLost = onLost;
    process.on("exit", this.#removeAtExit);
  }

  /** @param onLost called when a part that should run has ended or no longer answers */
  static async open(onLost: (reason: string) => void): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "pilotfish-")), onLost);
  }

  get catalog(): Catalog {
    return there(this.#catalog, "catalog");
  }

  get sidecar(): SidecarProcess {
    return there(this.#sidecar, "sidecar").sidecar;
  }

  get addresses(): SidecarAddresses {
    return there(this.#sidecar, "sidecar").addresses;
  }

  get watch(): SidecarWatch {
    return there(this.#watch, "watch of the sidecar");
  }

  get traffic(): Traffic {
    return there(this.#traffic, "traffic");
  }

  /** Whether all parts are there, traffic included. */
  get isRunning(): boolean {
    return this.#traffic !== undefined;
  }

  async startCatalog(): Promise<void> {
    this.#catalog = await Catalog.start();
  }

  /** Starts a backend and waits until the catalog has it. */
  async startBackend(id: string): Promise<BackendProcess> {
    const options = {
      id,
      service: SERVICE,
      catalogUrl: this.catalog.url,
      workMs: WORK_MS[id] ?? USUAL_WORK_MS,
    };
    const backend = await BackendProcess.start(options, this.#onLost);
    this.#backends.set(id, backend);
    return backend;
  }

  backend(id: string): BackendProcess {
    return there(this.#backends.get(id), id);
  }

  /** Ends a backend's process. */
  async stopBackend(id: string): Promise<void> {
    await this.#backends.get(id)?.stop();
    this.#backends.delete(id);
  }

  /** The program itself, until it is ready. */
  async startSidecar(): Promise<void> {
    const options = { folder: this.folder, catalogUrl: this.catalog.url, service: SERVICE };
    this.#sidecar = await SidecarProcess.start(options, this.#onLost);
    this.#watch = await SidecarWatch.start(this.addresses.grpc, SERVICE, this.#onLost);
  }

  startTraffic(): void {
    this.#traffic = new Traffic({
      target: this.addresses.front,
      perSecond: REQUESTS_PER_SECOND,
      maxOpen: MOST_OPEN_REQUESTS,
    });
    this.#traffic.start();
  }

  /** Ends everything from the client inwards, whatever of it runs, and removes the folder. */
  async close(): Promise<EndingProblems> {
    const problems: string[] = [];
    await this.#traffic?.stop();
    await this.#watch?.close();
    const sidecar = this.#sidecar?.sidecar;
    // One that ended by itself was told of then.
    if (sidecar?.isOver === false) {
      const code = await sidecar.stop();
      if (code !== 0) problems.push(`the sidecar ended with ${code ?? "a signal"} when told to stop`);
    }
    await Promise.all([...this.#backends.keys()].map((id) => this.stopBackend(id)));
    await this.#catalog?.stop();
    await rm(this.folder, { recursive: true, force: true });
    process.off("exit", this.#removeAtExit);
    return problems;
  }
}

function there<Part>(part: Part | undefined, name: string): Part {
  if (part === undefined) throw new Error(`the demo has no ${name} yet`);
  return part;
}
