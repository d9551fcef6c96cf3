interface Waiter {
  readonly isDue: () => boolean;
  readonly wake: () => void;
}

/** Requests that wait for a change, asked again after every write. */
export class WaitList {
  readonly #waiters = new Set<Waiter>();
  readonly #limit: number;
  #closed = false;

  /** @param limit most requests that may wait at once. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** True when another request would have to be refused. */
  get isFull(): boolean {
    return this.#waiters.size >= this.#limit;
  }

  /**
   * Waits until `isDue`, or until `timeoutMs` passed, the signal fired or the list was closed. The caller
   * reads the state afterwards in any case: a return is no proof of change. Check `isFull` first.
   */
  wait(isDue: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#closed || signal.aborted || isDue()) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter = { isDue, wake };
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener("abort", wake);
      this.#waiters.add(waiter);
    });
  }

  /** Wakes every request whose condition holds now. Called after each write. */
  notify(): void {
    for (const waiter of [...this.#waiters]) if (waiter.isDue()) waiter.wake();
  }

  /** Wakes everyone, for ever. */
  close(): void {
    this.#closed = true;
    for (const waiter of [...this.#waiters]) waiter.wake();
  }
}
