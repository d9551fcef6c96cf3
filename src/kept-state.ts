import { join } from "node:path";
import { OVERRIDES_VERSION, OverrideStore } from "./control/override-store.js";
import { TableStore } from "./control/table-store.js";
import { TABLES_VERSION } from "./core/table-record.js";
import type { Learnt } from "./handover/message.js";
import type { Clock } from "./platform/clock.js";
import type { RootLog } from "./platform/log.js";
import { StateFile } from "./platform/state-file.js";
import type { Upstreams } from "./upstreams.js";

/** What is kept where. */
export interface KeptStateOptions {
  /** Undefined: nothing is kept on disk. */
  readonly stateDir: string | undefined;
  /** Known once the pools are. */
  readonly upstreams: () => Upstreams;
  readonly clock: Clock;
  readonly log: RootLog;
}

/** What outlives the process: on disk, and told to the process that takes this one's place. */
export class KeptState {
  readonly overrides: OverrideStore;
  readonly #options: KeptStateOptions;
  readonly #tables: TableStore;

  constructor(options: KeptStateOptions) {
    const { clock, log, upstreams } = options;
    this.#options = options;
    const ofOverrides = log.child("overrides");
    const ofTables = log.child("tables");
    const tables = () => upstreams().tables();
    this.overrides = new OverrideStore(
      this.#open("overrides", OVERRIDES_VERSION, ofOverrides),
      clock,
      ofOverrides,
    );
    this.#tables = new TableStore(tables, this.#open("tables", TABLES_VERSION, ofTables), clock, ofTables);
  }

  /** Reads what pools begin with. */
  async load(): Promise<void> {
    await this.overrides.load();
  }

  /** Once there are pools, and before there is traffic: what the process before knew, or kept on disk. */
  async recall(learnt: Learnt | undefined): Promise<void> {
    if (learnt === undefined) await this.#tables.load();
    else this.adopt(learnt);
  }

  /** Takes over what the process before knows, but for health, which needs first lists. */
  adopt(learnt: Learnt): void {
    this.overrides.adopt(learnt.overrides);
    this.#tables.adopt(learnt.tables);
  }

  /**
   * What the process that takes this one's place is to know.
   *
   * @param toldMs when it was told before; of tables only what was used since is told again
   */
  learnt(toldMs?: number): Learnt {
    return {
      overrides: this.overrides.entries(),
      health: this.#options.upstreams().learnt(),
      tables: this.#tables.records(toldMs),
    };
  }

  /**
   * At the end. Resolves when everything is written, or could not be.
   *
   * @param isSucceeded another process has taken over, and the tables are its to keep
   */
  async flush(isSucceeded: boolean): Promise<void> {
    await Promise.all([this.overrides.flush(), isSucceeded ? undefined : this.#tables.save()]);
  }

  #open(kind: string, version: number, log: ReturnType<RootLog["child"]>): StateFile | undefined {
    const { stateDir, clock } = this.#options;
    if (stateDir === undefined) return undefined;
    return new StateFile({ path: join(stateDir, `${kind}.json`), kind, version, clock, log });
  }
}
