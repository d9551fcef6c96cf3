import type { FileDiscoveryConfig } from "../../../config/model.js";
import type { Timer } from "../../../platform/clock.js";
import type { Source, SourceDeps, SourceSink, SourceState, SourceStatus } from "../../source.js";
import { mapGivenEndpoints } from "../given-endpoint.js";
import { ResolvedList } from "../resolved-list.js";
import { StatusTeller } from "../status-teller.js";
import { parseEndpointFile } from "./endpoint-file.js";
import { systemFileAccess, type WatchedFileAccess } from "./watched-file.js";

/** Larger files are refused: reading one takes time from the traffic. YAML has a lower limit of its own. */
const fileBytesMax = 4 * 1024 * 1024;
/** A file is read when its directory was quiet for this long, or after the maximum under constant events. */
const debounceMs = 50;
const debounceMaxMs = 1_000;
/** Sees what the watch cannot: network file systems, a symbolic link further up, a directory that came back. */
const pollMs = 5_000;

/**
 * Endpoints from a YAML or JSON file that is read again whenever it changes. While it is missing, unreadable,
 * too large or wrong, the last good list stays in force and the status says what is the matter.
 *
 * @param files the real file system when left out.
 */
export function createFileSource(
  discovery: FileDiscoveryConfig,
  deps: SourceDeps,
  files: WatchedFileAccess = systemFileAccess,
): Source {
  return new FileSource(discovery, deps, files);
}

class FileSource implements Source {
  readonly #path: string;
  readonly #deps: SourceDeps;
  readonly #files: WatchedFileAccess;
  readonly #list: ResolvedList;
  readonly #teller: StatusTeller;
  #sink: SourceSink | undefined;
  #watch: { close(): void } | undefined;
  #directoryMark: string | undefined;
  #poll: Timer | undefined;
  #debounce: Timer | undefined;
  #firstEventMs: number | undefined;
  #isReading = false;
  #mustReadAgain = false;
  /** Of the content read last, good or not. */
  #mark: string | undefined;
  #problem: string | undefined;
  #lastSuccessMs: number | undefined;
  #lastChangeMs: number | undefined;
  #consecutiveFailures = 0;
  #queries = 0;
  #failures = 0;

  constructor(discovery: FileDiscoveryConfig, deps: SourceDeps, files: WatchedFileAccess) {
    this.#path = discovery.path;
    this.#deps = deps;
    this.#files = files;
    this.#teller = new StatusTeller(deps.log);
    this.#list = new ResolvedList({
      resolver: deps.resolver,
      clock: deps.clock,
      resolve: discovery.resolve,
      onEndpoints: (endpoints) => {
        this.#lastChangeMs = deps.clock.nowMs();
        deps.log.debug({ path: this.#path, endpoints: endpoints.length }, "endpoints changed");
        this.#sink?.onSnapshot({ endpoints });
      },
      onState: () => this.#tell(),
      log: deps.log,
    });
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    this.#poll = this.#deps.clock.after(pollMs, () => {
      this.#poll?.restart();
      void this.#read();
    });
    void this.#read();
  }

  stop(): void {
    this.#sink = undefined;
    this.#poll?.cancel();
    this.#debounce?.cancel();
    this.#watch?.close();
    this.#watch = undefined;
    this.#list.close();
  }

  status(): SourceStatus {
    const trouble = this.#list.trouble();
    return {
      kind: "file",
      target: this.#path,
      ...this.#stateNow(trouble),
      lastSuccessMs: this.#lastSuccessMs,
      lastChangeMs: this.#lastChangeMs,
      consecutiveFailures: this.#consecutiveFailures,
      queries: this.#queries,
      failures: this.#failures,
      endpoints: this.#list.count(),
      details: {
        watch: this.#watch === undefined ? "poll" : "events",
        ...(trouble !== "" && { unresolved: trouble }),
      },
    };
  }

  #stateNow(trouble: string): { readonly state: SourceState; readonly reason: string } {
    const fallback = this.#list.isPublished() ? "stale" : "starting";
    if (this.#problem !== undefined) return { state: fallback, reason: `${this.#path}: ${this.#problem}` };
    if (this.#list.isUpToDate()) return { state: "live", reason: "" };
    return { state: fallback, reason: trouble === "" ? "" : `no address is known: ${trouble}` };
  }

  async #read(): Promise<void> {
    if (this.#isReading) {
      this.#mustReadAgain = true;
      return;
    }
    this.#isReading = true;
    do {
      this.#mustReadAgain = false;
      await this.#readOnce();
    } while (this.#mustReadAgain && this.#sink !== undefined);
    this.#isReading = false;
  }

  async #readOnce(): Promise<void> {
    // The watch comes first: what happens between it and the reading is then seen.
    await this.#ensureWatch();
    if (this.#sink === undefined) return;
    this.#queries += 1;
    const reading = await this.#files.read(this.#path, fileBytesMax, this.#mark);
    if (this.#sink === undefined) return;
    if (reading.kind === "unchanged") {
      if (this.#problem === undefined) this.#lastSuccessMs = this.#deps.clock.nowMs();
      return;
    }
    if (reading.kind === "failed") {
      this.#mark = undefined;
      this.#fail(reading.problem);
    } else {
      this.#mark = reading.mark;
      this.#take(reading.text);
    }
    this.#tell();
  }

  #take(text: string): void {
    const parsed = parseEndpointFile(text);
    if (!parsed.ok) {
      this.#fail(parsed.problem);
      return;
    }
    try {
      this.#list.set(mapGivenEndpoints("file", parsed.endpoints));
    } catch (cause) {
      // The next poll must read it again, though it did not change.
      this.#mark = undefined;
      this.#fail(`the list was not taken: ${cause instanceof Error ? cause.message : String(cause)}`);
      return;
    }
    this.#problem = undefined;
    this.#consecutiveFailures = 0;
    this.#lastSuccessMs = this.#deps.clock.nowMs();
  }

  #fail(problem: string): void {
    this.#problem = problem;
    this.#failures += 1;
    this.#consecutiveFailures += 1;
  }

  async #ensureWatch(): Promise<void> {
    const mark = await this.#files.directoryMark(this.#path);
    if (this.#sink === undefined || (this.#watch !== undefined && mark === this.#directoryMark)) return;
    this.#watch?.close();
    this.#watch = undefined;
    this.#directoryMark = mark;
    if (mark === undefined) return;
    try {
      const watch = this.#files.watch(
        this.#path,
        () => this.#onEvent(),
        () => {
          if (this.#watch === watch) this.#watch = undefined;
        },
      );
      this.#watch = watch;
    } catch (cause) {
      // No inotify handles left, or a file system without events: the poll goes on and tries again.
      this.#deps.log.debug({ err: cause, path: this.#path }, "file watched by polling only");
    }
  }

  #onEvent(): void {
    const { clock } = this.#deps;
    this.#firstEventMs ??= clock.nowMs();
    if (this.#debounce !== undefined && clock.nowMs() - this.#firstEventMs < debounceMaxMs - debounceMs) {
      this.#debounce.restart();
      return;
    }
    this.#debounce ??= clock.after(debounceMs, () => {
      this.#debounce = undefined;
      this.#firstEventMs = undefined;
      void this.#read();
    });
  }

  #tell(): void {
    this.#teller.tell(this.#sink, this.status());
  }
}
