import type { Snapshot } from "../core/endpoint.js";
import type { Pool } from "../core/pool.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Prober } from "./prober.js";
import type { GuardedStatus, PoolSource, SourceSink } from "./source.js";

/** Never sleep longer, so that a missed wake-up heals itself. */
const LONGEST_SLEEP_MS = 60_000;

/** What a keeper works with. */
export interface PoolKeeperOptions {
  readonly pool: Pool;
  readonly source: PoolSource;
  /** Undefined where the pool has no active check. */
  readonly prober: Prober | undefined;
  readonly clock: Clock;
}

/**
 * Keeps one pool in line with the world: puts the source's snapshots in force, runs the active checks, and
 * wakes the pool when something of it is due.
 */
export class PoolKeeper implements SourceSink {
  readonly pool: Pool;
  #source: PoolSource;
  /** Takes the source's place with its first list. */
  #nextSource: PoolSource | undefined;
  #prober: Prober | undefined;
  readonly #clock: Clock;
  #wake: Timer | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #onFirstSnapshot: (() => void) | undefined;
  #isStopped = false;

  constructor(options: PoolKeeperOptions) {
    this.pool = options.pool;
    this.#source = options.source;
    this.#prober = options.prober;
    this.#clock = options.clock;
  }

  /** Resolves with the first snapshot put in force. */
  start(): Promise<void> {
    this.pool.onDueChanged(() => this.#schedule(this.#clock.nowMs()));
    const first = new Promise<void>((resolve) => {
      this.#onFirstSnapshot = resolve;
    });
    this.#prober?.start();
    this.#source.start(this);
    return first;
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake?.cancel();
    this.retire();
  }

  /** Asks nobody any more, and goes on waking the pool while its last work ends. */
  retire(): void {
    this.#prober?.stop();
    this.#source.stop();
    this.#nextSource?.stop();
  }

  /** Other checks, or none. What the old ones said stays until the new ones know better; without them it is void. */
  replaceProber(prober: Prober | undefined): void {
    this.#prober?.yieldTo(prober);
    this.#prober = prober;
    prober?.start();
  }

  /** Another source. Until it has its first list, the old one goes on and its list stays in force. */
  replaceSource(source: PoolSource): void {
    this.#nextSource?.stop();
    this.#nextSource = source;
    source.start({
      onSnapshot: (snapshot) => {
        if (this.#nextSource === source) {
          this.#nextSource = undefined;
          this.#source.stop();
          this.#source = source;
        }
        this.onSnapshot(snapshot);
      },
      onStatus: () => {},
    });
  }

  /** Where its lists come from, and how these sources are. */
  statuses(): readonly GuardedStatus[] {
    return [...this.#source.statuses(), ...(this.#nextSource?.statuses() ?? [])];
  }

  onSnapshot(snapshot: Snapshot): void {
    this.pool.apply(snapshot, this.#clock.nowMs());
    this.#onFirstSnapshot?.();
    this.#onFirstSnapshot = undefined;
  }

  /** The source tells its own log; what admin and metrics show they read from `status`. */
  onStatus(): void {}

  #schedule(dueMs: number): void {
    if (this.#isStopped) return;
    const nowMs = this.#clock.nowMs();
    const wakeAtMs = Math.min(dueMs, nowMs + LONGEST_SLEEP_MS);
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#wake?.cancel();
    this.#wakeAtMs = wakeAtMs;
    this.#wake = this.#clock.after(wakeAtMs - nowMs, () => this.#tick());
  }

  #tick(): void {
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.#schedule(this.pool.tick(this.#clock.nowMs()));
  }
}
