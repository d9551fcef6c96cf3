import { performance } from "node:perf_hooks";

/**
 * Time as the program sees it. Everything that waits or measures takes a `Clock`, so that tests can move
 * time by hand; only this file touches the real one.
 */
export interface Clock {
  /** Monotonic milliseconds with fractions. The origin has no meaning. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch: for logs and API answers only. */
  wallMs(): number;
  /** Calls back once after `delayMs`. The timer never keeps the process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

/** A pending call. */
export interface Timer {
  /** Forgets the call. Harmless when it was made already. */
  cancel(): void;
  /** Starts the same delay anew, cheaper than cancelling and making another. */
  restart(): void;
}

/**
 * Calls back in the turn's `check` phase, after whatever had come in was read. Timers alone come before it: a
 * process that was frozen (a virtual machine moved, a laptop asleep) would judge its peers silent while their
 * answers lie in its sockets.
 */
class SystemTimer implements Timer {
  readonly #callback: () => void;
  readonly #timeout: NodeJS.Timeout;
  #immediate: NodeJS.Immediate | undefined;

  constructor(delayMs: number, callback: () => void) {
    this.#callback = callback;
    // setTimeout fires at once for delays past 2^31-1.
    this.#timeout = setTimeout(this.#due, Math.min(Math.max(delayMs, 0), 0x7fff_ffff));
    this.#timeout.unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
    this.#stay();
  }

  restart(): void {
    this.#stay();
    this.#timeout.refresh();
  }

  #stay(): void {
    if (this.#immediate === undefined) return;
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  readonly #due = (): void => {
    this.#immediate = setImmediate(this.#fire);
  };

  readonly #fire = (): void => {
    this.#immediate = undefined;
    this.#callback();
  };
}

let isHeld = false;
let heldMs = 0;

/**
 * Request path. From here to `releaseTime` the system clock stands still at its first look, so that the many
 * looks of one turn cost one reading (the get-64 row pays for it). For short synchronous work only.
 */
export function holdTime(): void {
  isHeld = true;
  heldMs = 0;
}

/** Ends `holdTime`. */
export function releaseTime(): void {
  isHeld = false;
}

function now(): number {
  if (!isHeld) return performance.now();
  if (heldMs === 0) heldMs = performance.now();
  return heldMs;
}

/** The machine's clocks. */
export const systemClock: Clock = {
  nowMs: now,
  wallMs: () => Date.now(),
  after: (delayMs, callback) => new SystemTimer(delayMs, callback),
};
