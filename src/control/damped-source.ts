import { type Endpoint, rowIdOf, type Snapshot } from "../core/endpoint.js";
import type { PoolEvent } from "../core/events.js";
import type { Pool } from "../core/pool.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { FlapBook, FlapRecord, FlapRules } from "./flap-book.js";
import type { GuardedStatus, PoolSource, SourceSink } from "./source.js";

/** Damping of a pool: the rules of the penalty, and how many may be suppressed at once. */
export interface DampingRules extends FlapRules {
  /** Of the instances that are well; the rest works, whatever its penalty. Below 100, so that one always does. */
  readonly maxSuppressedPercent: number;
}

/** What a damped source is made of. */
export interface DampedSourceOptions {
  readonly source: PoolSource;
  /** Knows how the instances fare. */
  readonly pool: Pool;
  readonly rules: DampingRules;
  /** The pool's: penalties outlive the source that they were earned with. */
  readonly book: FlapBook;
  readonly clock: Clock;
  /** Of the pool. */
  readonly log: Log;
}

/** Never sleep shorter between two looks at penalties that decay. */
const SHORTEST_SLEEP_MS = 100;

/**
 * The last stage before the pool: an instance that leaves and rejoins again and again is listed, but takes no work
 * until its penalty has decayed. How many can be spared is judged anew with each list and each change of health.
 */
export class DampedSource implements PoolSource, SourceSink {
  readonly #options: DampedSourceOptions;
  readonly #book: FlapBook;
  #sink: SourceSink | undefined;
  #list: readonly Endpoint[] = [];
  #suppressed: ReadonlyMap<string, FlapRecord> = new Map();
  /** Whether any instance would be suppressed if it could be spared. */
  #isWatchful = false;
  #hasListed = false;
  #timer: Timer | undefined;
  #unsubscribe: (() => void) | undefined;

  constructor(options: DampedSourceOptions) {
    this.#options = options;
    this.#book = options.book;
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    this.#unsubscribe = this.#options.pool.subscribe((event) => this.#onEvent(event));
    this.#options.source.start(this);
  }

  stop(): void {
    this.#sink = undefined;
    this.#timer?.cancel();
    this.#unsubscribe?.();
    this.#options.source.stop();
  }

  statuses(): readonly GuardedStatus[] {
    return this.#options.source.statuses();
  }

  onSnapshot({ endpoints }: Snapshot): void {
    const nowMs = this.#options.clock.nowMs();
    const working = new Set<string>();
    const excused = new Set<string>();
    for (const { key, admitted, status } of endpoints) {
      if (admitted) working.add(key);
      // Somebody's wish, or a rule of its source, is no flaw of the instance.
      else if (status === "maintenance" || status === "passing") excused.add(key);
    }
    this.#list = endpoints;
    if (!this.#hasListed) this.#book.beginAnew();
    this.#hasListed = true;
    this.#book.note(working, excused, this.#options.rules, nowMs);
    this.#choose(nowMs);
    this.#sink?.onSnapshot({ endpoints: this.#marked() });
  }

  onStatus(...given: Parameters<SourceSink["onStatus"]>): void {
    this.#sink?.onStatus(...given);
  }

  /** A change of health may mean that one more can be spared, or one less. */
  #onEvent(event: PoolEvent): void {
    if (!this.#isWatchful || event.type !== "state-changed" || event.fact === "discovery") return;
    this.#look();
  }

  #look(): void {
    const before = this.#suppressed;
    this.#choose(this.#options.clock.nowMs());
    const isSame =
      before.size === this.#suppressed.size && [...before.keys()].every((key) => this.#suppressed.has(key));
    if (isSame) return;
    try {
      this.#sink?.onSnapshot({ endpoints: this.#marked() });
    } catch (cause) {
      this.#options.log.error({ err: cause }, "endpoints were not taken");
    }
  }

  /** Whom to suppress: the worst first, as long as enough that are well remain. */
  #choose(nowMs: number): void {
    const { rules } = this.#options;
    const wells = new Map<string, boolean>();
    for (const endpoint of this.#list) {
      if (endpoint.admitted)
        wells.set(endpoint.key, wells.get(endpoint.key) === true || this.#isWell(endpoint));
    }
    let wellCount = 0;
    const flapping: { readonly key: string; readonly record: FlapRecord }[] = [];
    for (const [key, isWell] of wells) {
      if (isWell) wellCount++;
      const record = this.#book.of(key, rules, nowMs);
      if (record?.isSuppressed) flapping.push({ key, record });
    }
    flapping.sort((a, b) => b.record.penalty - a.record.penalty || (a.key < b.key ? -1 : 1));
    let spare = Math.floor((wellCount * rules.maxSuppressedPercent) / 100);
    const suppressed = new Map<string, FlapRecord>();
    for (const { key, record } of flapping) {
      const cost = wells.get(key) === true ? 1 : 0;
      if (cost > spare) continue;
      spare -= cost;
      suppressed.set(key, record);
    }
    this.#isWatchful = flapping.length > 0;
    this.#tell(suppressed);
    this.#suppressed = suppressed;
    this.#schedule(flapping, nowMs);
  }

  /** One that is new here is taken for well. */
  #isWell(endpoint: Endpoint): boolean {
    const backend = this.#options.pool.backend(rowIdOf(endpoint));
    if (backend === undefined) return true;
    const { check, admin, detection } = backend.facts;
    return check.state !== "down" && admin.state === "ready" && detection.state !== "ejected";
  }

  #marked(): readonly Endpoint[] {
    if (this.#suppressed.size === 0) return this.#list;
    return this.#list.map((endpoint) => {
      const record = this.#suppressed.get(endpoint.key);
      if (record === undefined || !endpoint.admitted) return endpoint;
      return { ...endpoint, admitted: false, suppressed: true, reason: this.#wordsOf(record) };
    });
  }

  #wordsOf({ departures, penalty }: FlapRecord): string {
    const { reuse } = this.#options.rules;
    return `left ${departures} times lately, penalty ${Math.round(penalty)}, works again below ${reuse}`;
  }

  #tell(suppressed: ReadonlyMap<string, FlapRecord>): void {
    const { log } = this.#options;
    for (const [key, { departures, penalty }] of suppressed) {
      if (this.#suppressed.has(key)) continue;
      log.warn({ key, departures, penalty: Math.round(penalty) }, "instance suppressed, it comes and goes");
    }
    for (const key of this.#suppressed.keys())
      if (!suppressed.has(key)) log.info({ key }, "instance no longer suppressed");
  }

  #schedule(flapping: readonly { readonly record: FlapRecord }[], nowMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#sink === undefined || flapping.length === 0) return;
    const nextMs = Math.min(...flapping.map(({ record }) => record.reuseMs));
    const delayMs = Math.max(SHORTEST_SLEEP_MS, nextMs - nowMs);
    this.#timer = this.#options.clock.after(delayMs, () => this.#look());
  }
}
