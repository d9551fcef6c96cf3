import { type Endpoint, rowIdOf, type Snapshot } from "../core/endpoint.js";
import type { Pool } from "../core/pool.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import { lifeSignOf } from "./life-sign.js";
import { ListGuard, type Suspicion, type SuspicionRules } from "./list-guard.js";
import type { GuardedStatus, Source, SourceSink, SourceStatus } from "./source.js";

/** How often it is looked whether what is held still lives. */
const LOOK_MS = 1_000;

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
  readonly clock: Clock;
  /** Of the pool. */
  readonly log: Log;
}

/** Stands between a source of any kind and its pool, and holds answers that are not to be believed. */
export class GuardedSource implements SourceSink {
  readonly #options: GuardedSourceOptions;
  readonly #guard = new ListGuard();
  #sink: SourceSink | undefined;
  #answer: readonly Endpoint[] = [];
  #suspicion: Suspicion | undefined;
  #suspicions = 0;
  /** Of the list that the pool took last. */
  #heldInForce = 0;
  #timer: Timer | undefined;

  constructor(options: GuardedSourceOptions) {
    this.#options = options;
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    this.#options.source.start(this);
  }

  stop(): void {
    this.#sink = undefined;
    this.#timer?.cancel();
    this.#options.source.stop();
  }

  status(): GuardedStatus {
    const status = this.#options.source.status();
    const suspicion = this.#suspicion;
    const counts = { held: suspicion?.held.length ?? 0, suspicions: this.#suspicions };
    if (suspicion === undefined) return { ...status, ...counts };
    const endpoints = this.#answer.length + counts.held;
    return { ...status, ...counts, state: "suspect", reason: this.#wordsOf(suspicion), endpoints };
  }

  onSnapshot(snapshot: Snapshot): void {
    this.#answer = snapshot.endpoints;
    this.#judge(true);
  }

  onStatus(status: SourceStatus): void {
    this.#sink?.onStatus(status);
  }

  /** A throwing sink leaves the source to offer its list again. */
  #judge(isNew: boolean): void {
    const { rules, clock } = this.#options;
    const nowMs = clock.nowMs();
    const isAlive = (endpoint: Endpoint) => this.#isAlive(endpoint, nowMs);
    const { endpoints, suspicion, end } = this.#guard.judge(this.#answer, rules, isAlive, nowMs);
    const previous = this.#suspicion;
    this.#suspicion = suspicion;
    this.#schedule(nowMs);
    if (previous === undefined && suspicion !== undefined) this.#raise(suspicion);
    if (end !== undefined) this.#options.log.info({ ...this.#name(), by: end }, "suspicion ended");
    const held = suspicion?.held.length ?? 0;
    if (isNew || held !== this.#heldInForce) this.#sink?.onSnapshot({ endpoints });
    this.#heldInForce = held;
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
      this.#judge(false);
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
