import { expect } from "vitest";
import { SourceState } from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import type { BackendProcess } from "../../support/backend-process.js";
import { CatalogDriver, type CatalogInstance } from "../../support/catalog-driver.js";
import { distribution } from "../../support/distribution.js";
import type { Load } from "../../support/load.js";
import { promised } from "../../support/promised.js";
import type { Sidecar } from "../../support/sidecar.js";
import { type Admin, configFor, type Stage, show } from "./stage.js";

/** Longest wait for a sidecar that lost its catalog: its longest retry, and what a busy machine adds. */
const RECOVERY_MS = 15_000;
/** Before each answer, so that the load is constant and leaves the machine to what is tested. */
const ANSWER_DELAY_MS = 10;

/** How a scene is set. */
export interface SceneOptions {
  /** Shown with the figures. */
  readonly title: string;
  /** Where the sidecar asks. */
  readonly address: string;
  /** Where the catalog is written, which no fault is to reach. Default `address`. */
  readonly writeTo?: string;
  /** Instances before the load begins. Default three, on a node named `steady`. */
  readonly instances?: readonly (readonly [node: string, ids: readonly string[]])[];
  /** Further keys of `consul`. */
  readonly consul?: object;
  /** Further keys of the pool. */
  readonly pool?: object;
}

/** Ports of the backends; the instances listed at first share them, each that comes later has one of its own. */
const STEADY_PORTS = 8;
const FRESH_PORTS = 48;

/** A sidecar under constant load in front of one service of a catalog that is about to fail. */
export class CatalogScene {
  readonly catalog: CatalogDriver;
  readonly sidecar: Sidecar;
  readonly admin: Admin;
  readonly load: Load;
  readonly #options: SceneOptions;
  readonly #steady: BackendProcess;
  readonly #fresh: BackendProcess;
  readonly #samplesMs: number[] = [];
  #arrivals = 0;

  private constructor(stage: Stage, options: SceneOptions, parts: SceneParts) {
    this.#options = options;
    this.catalog = parts.catalog;
    this.#steady = parts.steady;
    this.#fresh = parts.fresh;
    this.sidecar = parts.sidecar;
    this.admin = stage.admin(parts.sidecar);
    this.load = stage.load(options.title, { port: parts.sidecar.port(), open: 8, methods: ["GET", "POST"] });
  }

  static async open(stage: Stage, options: SceneOptions): Promise<CatalogScene> {
    const [steady, fresh] = await Promise.all([
      stage.backend("steady", { ports: STEADY_PORTS }),
      stage.backend("fresh", { ports: FRESH_PORTS }),
    ]);
    for (const backend of [steady, fresh]) backend.set({ delayMs: ANSWER_DELAY_MS });
    const catalog = new CatalogDriver(options.writeTo ?? options.address);
    await list(catalog, options, steady);
    const consul = { address: options.address, ...options.consul };
    const sidecar = await stage.sidecar(configFor("web", { consul }, { pool: options.pool ?? {} }));
    const scene = new CatalogScene(stage, options, { catalog, steady, fresh, sidecar });
    await scene.load.more(200);
    return scene;
  }

  /** Lists on a node, in order, the instances that it has at first. */
  list(node?: string): Promise<void> {
    return list(this.catalog, this.#options, this.#steady, node);
  }

  /**
   * Adds an instance and waits for its first request: the catalog's change has come through.
   * @param isSample whether the time it took belongs to the figures
   */
  async arrives(isSample = true): Promise<void> {
    const port = this.#fresh.ports[this.#arrivals++];
    if (port === undefined) throw new Error("no port is left for another instance");
    const first = promised(this.#fresh.firstRequestNs(port), RECOVERY_MS, "a new instance's first request");
    const changedNs = process.hrtime.bigint();
    await Promise.all([this.catalog.add("fresh", "web", [{ id: `fresh-${port}`, port }]), first]);
    if (isSample) this.#samplesMs.push(Number((await first) - changedNs) / 1e6);
  }

  /** As many one after another, somewhere in the rhythm of load and watch. */
  async arrive(count: number): Promise<void> {
    for (let number = 0; number < count; number++) {
      await this.load.more(50 + 7 * (number % 11));
      await this.arrives();
    }
  }

  /** Changes what the catalog says of one instance that takes no part, so that there is an answer. */
  stir(number: number): Promise<void> {
    const [port = 0] = this.#steady.ports;
    return this.catalog.add("stirred", "web", [{ id: "stirred", port, meta: { number: String(number) } }]);
  }

  isLive(): Promise<unknown> {
    return this.admin.sourceIs(SourceState.SOURCE_STATE_LIVE);
  }

  isStale(): Promise<unknown> {
    return this.admin.sourceIs(SourceState.SOURCE_STATE_STALE);
  }

  /** Ends the load and shows the figures: nothing may have failed. */
  async close(): Promise<void> {
    const report = await this.load.stop();
    show(`discovery faults, ${this.#options.title}`, {
      requests: report.results.length,
      failed: report.failed.length,
      "slowest ms": report.latency(1).toFixed(0),
    });
    if (this.#samplesMs.length > 0)
      show(`change to first request, ${this.#options.title}, ms`, { ...distribution(this.#samplesMs) });
    expect(report.problems()).toEqual({});
  }
}

interface SceneParts {
  readonly catalog: CatalogDriver;
  readonly steady: BackendProcess;
  readonly fresh: BackendProcess;
  readonly sidecar: Sidecar;
}

/** Names that begin alike, numbered from 1. */
export function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}

async function list(
  catalog: CatalogDriver,
  options: SceneOptions,
  { ports }: BackendProcess,
  only?: string,
): Promise<void> {
  const { instances = [["steady", numbered("steady", 3)]] } = options;
  for (const [node, ids] of instances) {
    if (only !== undefined && node !== only) continue;
    const listed: CatalogInstance[] = ids.map((id, index) => ({
      id,
      port: ports[index % ports.length] ?? 0,
    }));
    await catalog.add(node, "web", listed);
  }
}
