import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../../../platform/clock.js";
import type { Log } from "../../../platform/log.js";
import type { WorkerOrder, WorkerReport, WorkerSettings } from "./messages.js";

/** A thread that listens to the link. */
export interface LinkWorker {
  onReport(take: (report: WorkerReport) => void): void;
  /** Called once, when it is no more. */
  onEnd(take: (reason: string) => void): void;
  post(order: WorkerOrder): void;
  stop(): void;
}

/** Starts such a thread. */
export type StartWorker = (settings: WorkerSettings) => LinkWorker;

/** Heap of the thread; a packet in hand and the messages on their way are all it holds. */
const heapMib = 64;
/** Delay before a dead thread is replaced: doubles up to the maximum, 50 to 100 % of it by chance. */
const restartMinMs = 1_000;
const restartMaxMs = 60_000;
/** One that lived for this long died of something new. */
const settledMs = 60_000;

/** The real thread, from the compiled file beside this one. */
export const startWorker: StartWorker = (settings) =>
  wrapWorker(
    new Worker(new URL("./worker.js", import.meta.url), {
      workerData: settings,
      // The package writes to standard output.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: heapMib },
    }),
  );

/** Makes a thread what the host expects. */
export function wrapWorker(worker: Worker): LinkWorker {
  worker.unref();
  worker.stdout.resume();
  worker.stderr.resume();
  let reason = "the thread ended";
  worker.on("error", (cause: unknown) => {
    reason = cause instanceof Error ? cause.message : String(cause);
  });
  return {
    onReport: (take) => worker.on("message", take),
    onEnd: (take) => worker.once("exit", () => take(reason)),
    post: (order) => worker.postMessage(order),
    stop: () => void worker.terminate(),
  };
}

/** What a host is made of. */
export interface WorkerHostOptions {
  readonly settings: WorkerSettings;
  readonly start: StartWorker;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  readonly onReport: (report: WorkerReport) => void;
  /** It died; another one follows. */
  readonly onDeath: (reason: string) => void;
}

/** Keeps one thread alive: whatever kills it, another one follows, later and later while they die young. */
export class WorkerHost {
  readonly #options: WorkerHostOptions;
  #worker: LinkWorker | undefined;
  #restart: Timer | undefined;
  #deaths = 0;
  #total = 0;
  #isStopped = false;

  constructor(options: WorkerHostOptions) {
    this.#options = options;
  }

  /** Threads that died so far. */
  get deaths(): number {
    return this.#total;
  }

  start(): void {
    const { clock, settings, start } = this.#options;
    const worker = start(settings);
    const bornMs = clock.nowMs();
    this.#worker = worker;
    worker.onReport((report) => {
      if (this.#worker !== worker) return;
      if (report.kind === "heard") worker.post({ kind: "taken" });
      this.#options.onReport(report);
    });
    worker.onEnd((reason) => {
      if (this.#worker !== worker) return;
      if (clock.nowMs() - bornMs >= settledMs) this.#deaths = 0;
      this.#onDeath(reason);
    });
  }

  /** Asks the link; nothing happens while no thread is there. */
  send(bytes: Uint8Array): void {
    this.#worker?.post({ kind: "send", bytes });
  }

  stop(): void {
    this.#isStopped = true;
    this.#restart?.cancel();
    this.#worker?.stop();
    this.#worker = undefined;
  }

  #onDeath(reason: string): void {
    const { clock, random, log, onDeath } = this.#options;
    this.#worker = undefined;
    this.#deaths += 1;
    this.#total += 1;
    if (this.#isStopped) return;
    const full = Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(this.#deaths - 1, 10));
    const delayMs = Math.round(full * (0.5 + random() / 2));
    log.warn({ reason, delayMs }, "listener for multicast dns died");
    this.#restart = clock.after(delayMs, () => this.start());
    onDeath(reason);
  }
}
