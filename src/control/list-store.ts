import { join } from "node:path";
import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import { StateFile } from "../platform/state-file.js";
import { SAVED_LIST_VERSION, SavedList } from "./saved-list.js";

/** Which list of the store. */
export interface ListName {
  readonly pool: string;
  /** Place of the source among those of the pool. */
  readonly source: number;
  /** All that decides what the source lists. */
  readonly origin: string;
}

/** The last good lists of all pools, one file per source: `lists/<pool>.<source>.json` in the state folder. */
export class ListStore {
  readonly #folder: string;
  readonly #clock: Clock;
  /** One writer per file, whichever configuration its source has. */
  readonly #files = new Map<string, StateFile>();

  constructor(stateDir: string, clock: Clock) {
    this.#folder = join(stateDir, "lists");
    this.#clock = clock;
  }

  open(name: ListName, maxAgeMs: number, log: Log): SavedList {
    const path = join(this.#folder, `${name.pool}.${name.source}.json`);
    const clock = this.#clock;
    const file =
      this.#files.get(path) ??
      new StateFile({ path, kind: "endpoints", version: SAVED_LIST_VERSION, clock, log });
    this.#files.set(path, file);
    return new SavedList({ file, origin: name.origin, maxAgeMs, clock, log });
  }

  /** Resolves when all that was saved is written, or could not be. */
  async flush(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.flush()));
  }
}
