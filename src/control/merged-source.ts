import type { Endpoint, Snapshot } from "../core/endpoint.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { GuardedSource } from "./guarded-source.js";
import type { GuardedStatus, PoolSource, SourceSink, SourceStatus } from "./source.js";

/** At the start a pool waits this long for a source that neither lists anything nor says why. */
const FIRST_LISTS_MS = 1_000;

/**
 * The sources of one pool as one: their lists together, where two list the same key the one named first. What
 * a source listed last stays while it fails, whatever the others do.
 */
export class MergedSource implements PoolSource {
  readonly #parts: readonly Part[];
  readonly #clock: Clock;
  readonly #log: Log;
  #sink: SourceSink | undefined;
  #patience: Timer | undefined;
  #isOpen = false;

  constructor(sources: readonly GuardedSource[], clock: Clock, log: Log) {
    this.#parts = sources.map((source) => new Part(source, this));
    this.#clock = clock;
    this.#log = log;
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    for (const part of this.#parts) part.source.start(part);
  }

  stop(): void {
    this.#sink = undefined;
    this.#patience?.cancel();
    for (const part of this.#parts) part.source.stop();
  }

  statuses(): readonly GuardedStatus[] {
    return this.#parts.map(({ source }) => source.status());
  }

  /** For a part: it has a list, another one or its first. */
  listed(): void {
    if (!this.#isOpen && this.#parts.some((part) => part.isAwaited)) {
      this.#patience ??= this.#clock.after(FIRST_LISTS_MS, () => this.#open());
      return;
    }
    this.#isOpen = true;
    this.#patience?.cancel();
    this.#sink?.onSnapshot({ endpoints: this.#merge() });
  }

  /** For a part: its state changed, which at the start may be what the others waited for. */
  told(status: SourceStatus): void {
    this.#sink?.onStatus(status);
    if (!this.#isOpen && this.#parts.some((part) => part.list !== undefined)) this.#try();
  }

  #open(): void {
    this.#isOpen = true;
    this.#try();
  }

  /** Outside of a source's own call nobody could catch what a sink throws. */
  #try(): void {
    try {
      this.listed();
    } catch (cause) {
      this.#log.error({ err: cause }, "endpoints were not taken");
    }
  }

  #merge(): readonly Endpoint[] {
    const [only, ...others] = this.#parts;
    if (others.length === 0) return only?.list ?? [];
    const owners = new Map<string, Part>();
    const merged: Endpoint[] = [];
    for (const part of this.#parts) {
      for (const endpoint of part.list ?? []) {
        // One key may stand for several addresses, all of them of the same source.
        const owner = owners.get(endpoint.key);
        if (owner === undefined) owners.set(endpoint.key, part);
        if (owner === undefined || owner === part) merged.push(endpoint);
      }
    }
    return merged;
  }
}

/** One source and what it listed last. */
class Part implements SourceSink {
  readonly source: GuardedSource;
  readonly #whole: MergedSource;
  list: readonly Endpoint[] | undefined;
  #isTroubled = false;

  constructor(source: GuardedSource, whole: MergedSource) {
    this.source = source;
    this.#whole = whole;
  }

  /** Whether it may still list something of itself any moment now. */
  get isAwaited(): boolean {
    return this.list === undefined && !this.#isTroubled;
  }

  onSnapshot(snapshot: Snapshot): void {
    this.list = snapshot.endpoints;
    this.#whole.listed();
  }

  onStatus(status: SourceStatus): void {
    this.#isTroubled = status.reason !== "";
    this.#whole.told(status);
  }
}
