import { Worker } from "node:worker_threads";

/** Sleeps on a cell that nobody wakes: a futex keeps fractions of a millisecond, which the event loop's timers do not. */
const TICKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const cell = new Int32Array(new SharedArrayBuffer(4));
  let dueMs = performance.now();
  for (;;) {
    dueMs = Math.max(dueMs + workerData.intervalMs, performance.now());
    Atomics.wait(cell, 0, 0, dueMs - performance.now());
    parentPort.postMessage(0);
  }
`;

/**
 * A clock that ticks more often than the event loop's timers can, from a thread of its own that sleeps between the
 * ticks: spinning instead would take the processor from the backends beside it.
 */
export class Pacer {
  readonly #worker: Worker;
  /** Resolves with the first tick, a while after the construction: a thread has to begin first. */
  readonly begun: Promise<void>;

  /** Calls `onTick` about every `intervalMs` milliseconds (fractions allowed) until `stop`. */
  constructor(intervalMs: number, onTick: () => void) {
    this.#worker = new Worker(TICKER, { eval: true, workerData: { intervalMs }, execArgv: [] });
    this.begun = new Promise((resolve, reject) => {
      this.#worker.once("message", () => resolve());
      this.#worker.once("error", reject);
    });
    this.#worker.on("message", onTick);
  }

  /** Ends the thread. */
  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
