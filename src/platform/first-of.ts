import type { Clock } from "./clock.js";

/** Resolves with the promise or after the delay, whichever is first; without a promise it is a pause. */
export function firstOf(promise: Promise<unknown> | undefined, delayMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, resolve);
    promise?.then(() => {
      timer.cancel();
      resolve();
    });
  });
}
