import type { Backend } from "./backend.js";
import type { PoolEvent } from "./events.js";
import type { Outcome } from "./outcome.js";
import {
  type EjectionCause,
  MANUAL_OUTLIER_OPTIONS,
  OutlierDetector,
  type OutlierOptions,
  type PoolCensus,
} from "./outlier.js";
import { COUNTER } from "./scoreboard.js";

/** What detection sees of its pool, and what it may do there. */
export interface DetectionHost {
  /** Read at each use, since a reload may change them. Undefined: nothing is detected. */
  options(): OutlierOptions | undefined;
  backends(): Iterable<Backend>;
  census(): PoolCensus;
  /** States detection's fact of a backend. */
  state(
    backend: Backend,
    state: "active" | "ejected",
    why: string,
    untilMs: number | undefined,
    nowMs: number,
  ): void;
  note(event: PoolEvent, nowMs: number): void;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/**
 * A pool's outlier detection: hears of every outcome, ejects what a detector names where the cap leaves room,
 * and brings back what has served its time.
 */
export class Detection {
  readonly #host: DetectionHost;
  readonly #writer: number;
  readonly #detector: OutlierDetector;

  /** @param writer the thread that counts */
  constructor(host: DetectionHost, writer: number) {
    this.#host = host;
    this.#writer = writer;
    this.#detector = new OutlierDetector(() => host.options() ?? MANUAL_OUTLIER_OPTIONS);
  }

  /** Request path. Takes note of how an attempt ended; may eject. */
  settled(backend: Backend, outcome: Outcome, status: number, nowMs: number): void {
    if (this.#host.options() === undefined) return;
    const cause = this.#detector.record(backend.monitor, outcome, status);
    if (cause === undefined || backend.facts.detection.state === "ejected") return;
    this.#count(backend, COUNTER.ejectionsDetected);
    if (this.#detector.hasRoom(this.#host.census(), backend.isEligible)) {
      this.eject(backend, cause, cause, undefined, nowMs);
    } else {
      this.#count(backend, COUNTER.ejectionsOverflowed);
      this.#host.note({ type: "ejection-overflowed", backend, cause }, nowMs);
    }
  }

  /** Ejects, whatever the cap; without a duration for as long as its count of ejections says. */
  eject(
    backend: Backend,
    cause: EjectionCause,
    why: string,
    durationMs: number | undefined,
    nowMs: number,
  ): void {
    this.#count(backend, COUNTER.ejectionsEnforced);
    const untilMs = this.#detector.eject(backend.monitor, cause, nowMs, durationMs);
    this.#host.state(backend, "ejected", why, untilMs, nowMs);
    this.#host.dueMoved();
  }

  /** Ends an ejection. */
  unEject(backend: Backend, why: string, nowMs: number): void {
    this.#detector.unEject(backend.monitor, nowMs);
    this.#host.state(backend, "active", why, undefined, nowMs);
    this.#host.dueMoved();
  }

  /** Does what is due: returns and forgiveness. */
  tick(nowMs: number): void {
    for (const backend of this.#host.backends()) {
      const { monitor } = backend;
      if (monitor.ejectedUntilMs !== undefined && monitor.ejectedUntilMs <= nowMs)
        this.unEject(backend, "ejection time served", nowMs);
      this.#detector.forgive(monitor, nowMs);
    }
  }

  /** When to call `tick` next; infinite when nothing is due. */
  nextDueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { monitor } of this.#host.backends()) {
      due = Math.min(due, monitor.ejectedUntilMs ?? due, this.#detector.forgivenAtMs(monitor));
    }
    return due;
  }

  #count(backend: Backend, counter: number): void {
    backend.row.add(counter, this.#writer, 1);
  }
}
