/** Waits for a promise, but not for ever. Rejects with what was waited for. */
export async function promised<T>(promise: Promise<T>, withinMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${withinMs} ms`)), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** How often a condition of other processes is looked at. */
const LOOK_MS = 10;

/** Looks until something holds; rejects with what was waited for. Answers how long it took in ms. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
  what: string,
): Promise<number> {
  const startMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startMs > withinMs) throw new Error(`${what} did not come within ${withinMs} ms`);
    await pause(LOOK_MS);
  }
  return performance.now() - startMs;
}

/** Lets time pass: for what must not happen, and for the rhythm of a measurement. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
