import type { Clock, Timer } from "../platform/clock.js";
import type { DialFailure, DialHandler } from "./dial.js";

/** Request path. Whom a dial tells, once, and until when it is waited for. */
export class DialWait {
  readonly #timer: Timer;
  #handler: DialHandler | undefined;

  constructor(timeoutMs: number, clock: Clock, handler: DialHandler, giveUp: () => void) {
    this.#handler = handler;
    this.#timer = clock.after(timeoutMs, () => {
      const waiting = this.end();
      giveUp();
      waiting?.onConnectFailed("connect-timeout", new Error(`no connection within ${timeoutMs} ms`));
    });
  }

  /** Who is to be told; nobody a second time. */
  end(): DialHandler | undefined {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#timer.cancel();
    return handler;
  }
}

/** Names what a dial failed with. */
export function failureOf({ code }: NodeJS.ErrnoException): DialFailure {
  return code === "ECONNREFUSED" ? "connect-refused" : "connect-failed";
}
