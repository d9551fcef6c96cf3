import type { Backend } from "../core/backend.js";
import type { Clock } from "../platform/clock.js";
import type { CheckStart, CheckStarts } from "./check-starts.js";
import type { Probe, ProbeResult, RunningProbe } from "./probe.js";
import type { ProbeSlot, ProbeSlots } from "./probe-slots.js";

/** What every check works with. */
export interface CheckParts {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly slots: ProbeSlots;
  readonly starts: CheckStarts;
}

/** Where and how long one backend is probed. */
export interface CheckTarget {
  /** Undefined: the backend's own. */
  readonly address: string | undefined;
  readonly port: number | undefined;
  readonly timeoutMs: number;
  /** Each pause is so many percent longer or shorter, by chance. */
  readonly jitterPercent: number;
}

/**
 * Probes one backend again and again, never twice at once. HAProxy's timing: a pause lasts from the end of one probe
 * to the start of the next, so that a probe which takes its whole timeout is not followed by the next one at once.
 */
export class CheckLoop {
  readonly #parts: CheckParts;
  readonly #probe: Probe;
  readonly #target: CheckTarget;
  readonly #backend: Backend;
  readonly #onResult: (result: ProbeResult) => void;
  readonly #isSkipped: () => number | undefined;
  readonly #due = (): void => this.#begin();
  #start: CheckStart | undefined;
  #slot: ProbeSlot | undefined;
  #running: RunningProbe | undefined;
  #isStopped = false;

  /**
   * @param onResult hears of each probe and calls `next`
   * @param isSkipped asked before each probe: the pause to wait instead, undefined to probe
   */
  constructor(
    backend: Backend,
    probe: Probe,
    target: CheckTarget,
    parts: CheckParts,
    onResult: (result: ProbeResult) => void,
    isSkipped: () => number | undefined = () => undefined,
  ) {
    this.#backend = backend;
    this.#probe = probe;
    this.#target = target;
    this.#parts = parts;
    this.#onResult = onResult;
    this.#isSkipped = isSkipped;
  }

  /** Probes for the first time within `intervalMs`, at a moment by chance, so that checks are spread. */
  begin(intervalMs: number): void {
    this.#wait(0, this.#parts.random() * intervalMs, intervalMs);
  }

  /** Probes again after this pause, give or take the jitter. */
  next(pauseMs: number): void {
    const jitterMs = (pauseMs * this.#target.jitterPercent) / 100;
    const chosenMs = jitterMs === 0 ? 0 : (2 * this.#parts.random() - 1) * jitterMs;
    this.#wait(pauseMs - jitterMs, pauseMs + chosenMs, pauseMs + jitterMs);
  }

  /**
   * Probes after at most this pause; a probe under way or in line is soon enough. Where it may be a shorter one, chance
   * chooses, so that many that are hastened at once do not begin at once.
   */
  hasten(mostMs: number, leastMs = mostMs): void {
    if (this.#slot !== undefined || this.#start === undefined) return;
    const { clock, random } = this.#parts;
    if (this.#start.dueMs <= clock.nowMs() + mostMs) return;
    this.#start.cancel();
    const chosenMs = leastMs === mostMs ? mostMs : leastMs + random() * (mostMs - leastMs);
    this.#wait(leastMs, chosenMs, mostMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#start?.cancel();
    this.#running?.cancel();
    this.#slot?.release();
  }

  /** Pauses from now: the least, the one chosen, and the most. */
  #wait(leastMs: number, chosenMs: number, mostMs: number): void {
    if (this.#isStopped) return;
    const { clock, starts } = this.#parts;
    const nowMs = clock.nowMs();
    this.#start = starts.within(nowMs + leastMs, nowMs + chosenMs, nowMs + mostMs, this.#due);
  }

  #begin(): void {
    const skipMs = this.#isSkipped();
    if (skipMs === undefined) this.#slot = this.#parts.slots.take(() => this.#run());
    else this.next(skipMs);
  }

  #run(): void {
    const { host, port } = this.#backend.endpoint;
    const { address, port: ownPort, timeoutMs } = this.#target;
    const target = { host: address ?? host, port: ownPort ?? port };
    this.#running = this.#probe.run(target, timeoutMs, (result) => this.#settle(result));
  }

  #settle(result: ProbeResult): void {
    this.#running = undefined;
    const slot = this.#slot;
    this.#slot = undefined;
    this.#onResult(result);
    slot?.release();
  }
}
