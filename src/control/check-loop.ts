import type { Backend } from "../core/backend.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { Probe, ProbeResult, RunningProbe } from "./probe.js";
import type { ProbeSlot, ProbeSlots } from "./probe-slots.js";

/** What every check works with. */
export interface CheckParts {
  readonly clock: Clock;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly slots: ProbeSlots;
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
  #timer: Timer | undefined;
  #dueMs = 0;
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
    this.#wait(this.#parts.random() * intervalMs);
  }

  /** Probes again after this pause, give or take the jitter. */
  next(pauseMs: number): void {
    const { jitterPercent } = this.#target;
    const jitter = jitterPercent === 0 ? 0 : ((2 * this.#parts.random() - 1) * jitterPercent) / 100;
    this.#wait(pauseMs * (1 + jitter));
  }

  /** Probes after at most this pause; a probe under way or in line is soon enough. */
  hasten(pauseMs: number): void {
    if (this.#slot !== undefined || this.#isStopped) return;
    if (this.#dueMs <= this.#parts.clock.nowMs() + pauseMs) return;
    this.#timer?.cancel();
    this.#wait(pauseMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#running?.cancel();
    this.#slot?.release();
  }

  #wait(pauseMs: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#parts;
    this.#dueMs = clock.nowMs() + pauseMs;
    this.#timer = clock.after(pauseMs, () => this.#due());
  }

  #due(): void {
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
