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

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    // setTimeout fires at once for delays past 2^31-1.
    this.#timeout = setTimeout(callback, Math.min(Math.max(delayMs, 0), 0x7fff_ffff));
    this.#timeout.unref();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  restart(): void {
    this.#timeout.refresh();
  }
}

/** The machine's clocks. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after: (delayMs, callback) => new SystemTimer(delayMs, callback),
};
