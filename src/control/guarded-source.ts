import { type Endpoint, rowIdOf, type Snapshot } from "../core/endpoint.js";
import type { Pool } from "../core/pool.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import { lifeSignOf } from "./life-sign.js";
import { ListGuard, type Suspicion, type SuspicionRules } from "./list-guard.js";
import type { LoadedList, SavedList } from "./saved-list.js";
import type { GuardedStatus, Source, SourceSink, SourceStatus } from "./source.js";

/** How often it is looked whether what is held still lives. */
const LOOK_MS = 1_000;

/** A source that says nothing for so long at the start is served from what was saved, as one that is in trouble. */
const FIRST_ANSWER_MS = 1_000;

/** Suspicion, and what counts as a sign of life. */
export interface GuardRules extends SuspicionRules {
  /** A good answer to real traffic is a sign of life for this long. */
  readonly evidenceMs: number;
}

/** What a guarded source is made of. */
export interface GuardedSourceOptions {
  readonly source: Source;
  /** Knows how the instances fare. */
  readonly pool: Pool;
  /** Undefined believes every answer. */
  readonly rules: GuardRules | undefined;
  /** What the source listed last, over the end of the process; undefined where nothing is kept. */
  readonly saved: SavedList | undefined;
  readonly clock: Clock;
  /** Of the pool. */
  readonly log: Log;
}

/** The saved list that is in force. */
interface Serving {
  readonly endpoints: number;
  /** Monotonic time at which it was last known to be true; before the process began. */
  readonly knownMs: number;
}

/**
 * Stands between a source of any kind and its pool: holds answers that are not to be believed, keeps the last good
 * list on disk, and serves from it while the source has none at the start.
 */
export class GuardedSource implements SourceSink {
  readonly #options: GuardedSourceOptions;
  readonly #guard = new ListGuard();
  #sink: SourceSink | undefined;
  #answer: readonly Endpoint[] = [];
  #suspicion: Suspicion | undefined;
  #suspicions = 0;
  /** Whether the pool has not taken yet what is in force. */
  #isOwed = false;
  #timer: Timer | undefined;
  #hasAnswer = false;
  #isLate = false;
  #lateness: Timer | undefined;
  #loaded: LoadedList | undefined;
  #serving: Serving | undefined;

  constructor(options: GuardedSourceOptions) {
    this.#options = options;
  }

  start(sink: SourceSink): void {
    const { source, saved, clock } = this.#options;
    this.#sink = sink;
    source.start(this);
    if (saved === undefined) return;
    this.#lateness = clock.after(FIRST_ANSWER_MS, () => {
      this.#isLate = true;
      this.#serveSaved();
    });
    void saved.load().then((loaded) => {
      this.#loaded = loaded;
      this.#serveSaved();
    });
  }

  stop(): void {
    this.#sink = undefined;
    this.#timer?.cancel();
    this.#lateness?.cancel();
    this.#options.saved?.close();
    this.#options.source.stop();
  }

  status(): GuardedStatus {
    const status = this.#options.source.status();
    const suspicion = this.#suspicion;
    const serving = this.#serving;
    const counts = {
      held: suspicion?.held.length ?? 0,
      suspicions: this.#suspicions,
      isSaved: serving !== undefined,
    };
    if (serving !== undefined) {
      const reason = `serving a saved list: ${status.reason || "no answer yet"}`;
      const { endpoints, knownMs } = serving;
      return { ...status, ...counts, state: "stale", reason, endpoints, lastSuccessMs: knownMs };
    }
    if (suspicion === undefined) return { ...status, ...counts };
    const endpoints = this.#answer.length + counts.held;
    return { ...status, ...counts, state: "suspect", reason: this.#wordsOf(suspicion), endpoints };
  }

  onSnapshot(snapshot: Snapshot): void {
    this.#answer = snapshot.endpoints;
    this.#hasAnswer = true;
    this.#lateness?.cancel();
    if (this.#serving !== undefined) this.#options.log.info(this.#name(), "saved list no longer needed");
    this.#serving = undefined;
    this.#isOwed = true;
    this.#judge();
  }

  onStatus(status: SourceStatus): void {
    this.#serveSaved();
    this.#sink?.onStatus(status);
  }

  /** Puts the saved list in force, once, if the source has none and is in trouble or late. */
  #serveSaved(): void {
    const { source, clock, log } = this.#options;
    const { reason } = source.status();
    const loaded = this.#loaded;
    if (this.#sink === undefined || this.#hasAnswer || loaded === undefined) return;
    if (reason === "" && !this.#isLate) return;
    this.#loaded = undefined;
    const { endpoints, savedWallMs } = loaded;
    // A wall clock that was set back would make the list younger than new.
    const ageMs = Math.max(0, clock.wallMs() - savedWallMs);
    this.#serving = { endpoints: endpoints.length, knownMs: clock.nowMs() - ageMs };
    this.#answer = endpoints;
    this.#isOwed = true;
    const fields = { ...this.#name(), endpoints: endpoints.length, ageMs: Math.round(ageMs), reason };
    log.warn(fields, "serving a saved list, the source has none");
    this.#look();
  }

  #keep(): void {
    const { saved, source } = this.#options;
    saved?.keep(this.#answer, () => source.status().state === "live" && this.#suspicion === undefined);
  }

  /** A throwing sink leaves the source to offer its list again. */
  #judge(): void {
    const { rules, clock } = this.#options;
    const nowMs = clock.nowMs();
    const isAlive = (endpoint: Endpoint) => this.#isAlive(endpoint, nowMs);
    const { endpoints, suspicion, end } = this.#guard.judge(this.#answer, rules, isAlive, nowMs);
    const previous = this.#suspicion;
    this.#suspicion = suspicion;
    this.#schedule(nowMs);
    if (previous === undefined && suspicion !== undefined) this.#raise(suspicion);
    if (end !== undefined) this.#options.log.info({ ...this.#name(), by: end }, "suspicion ended");
    if (suspicion === undefined && this.#serving === undefined) this.#keep();
    if ((previous?.held.length ?? 0) !== (suspicion?.held.length ?? 0)) this.#isOwed = true;
    if (this.#isOwed) this.#sink?.onSnapshot({ endpoints });
    this.#isOwed = false;
    if ((previous === undefined) !== (suspicion === undefined)) this.#sink?.onStatus(this.status());
  }

  #isAlive(endpoint: Endpoint, nowMs: number): boolean {
    const { pool, rules } = this.#options;
    const backend = pool.backend(rowIdOf(endpoint));
    if (backend === undefined || backend.isGone) return false;
    return lifeSignOf(backend, rules?.evidenceMs ?? 0, nowMs) !== undefined;
  }

  #raise(suspicion: Suspicion): void {
    this.#suspicions += 1;
    const { before, left, held, untilMs, sinceMs } = suspicion;
    this.#options.log.warn(
      { ...this.#name(), before, left, held: held.length, holdMs: untilMs - sinceMs },
      "answer is suspect, the missing that live are kept",
    );
  }

  #schedule(nowMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#suspicion === undefined || this.#sink === undefined) return;
    const delayMs = Math.min(LOOK_MS, this.#suspicion.untilMs - nowMs);
    this.#timer = this.#options.clock.after(delayMs, () => this.#look());
  }

  #look(): void {
    try {
      this.#judge();
    } catch (cause) {
      this.#options.log.error({ err: cause }, "endpoints were not taken");
      this.#timer?.cancel();
      this.#timer = this.#options.clock.after(LOOK_MS, () => this.#look());
    }
  }

  #name(): { readonly kind: string; readonly target: string } {
    const { kind, target } = this.#options.source.status();
    return { kind, target };
  }

  #wordsOf({ before, left, held, untilMs }: Suspicion): string {
    const leftMs = Math.max(0, untilMs - this.#options.clock.nowMs());
    return `the answer leaves ${left} of ${before} that took work, and ${held.length} that it lacks are alive: they are kept for up to ${Math.ceil(leftMs / 1_000)} s more`;
  }
}
