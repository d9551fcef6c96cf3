import { performance } from "node:perf_hooks";
import { Histogram } from "../histogram.js";
import { machineBusyNs, processorTimeNs } from "../process-cost.js";
import type { LoadAnswer } from "./job.js";

/** Collects what ends between `begin` and `end`, all that goes wrong before `answer`, and the processor time the proxy took meanwhile. */
export class Measurement {
  readonly #proxyPid: number;
  readonly #latency = new Histogram();
  #isOpen = false;
  #beganMs = 0;
  #windowMs = 0;
  #proxyNs = 0;
  #foreignCores = 0;
  #beganNs = 0;
  #foreignBeganNs = 0;
  #errors = 0;
  #firstError: string | undefined;

  constructor(proxyPid: number) {
    this.#proxyPid = proxyPid;
  }

  get errors(): number {
    return this.#errors;
  }

  begin(): void {
    this.#isOpen = true;
    this.#foreignBeganNs = foreignNs();
    this.#beganNs = processorTimeNs(this.#proxyPid);
    this.#beganMs = performance.now();
  }

  /** An exchange that began (or was due) at `startedMs` ended right. */
  right(startedMs: number, nowMs: number): void {
    if (this.#isOpen) this.#latency.add((nowMs - startedMs) * 1_000);
  }

  wrong(error: string): void {
    this.#errors += 1;
    this.#firstError ??= error;
  }

  /** Closes the window. What goes wrong with the exchanges that still run is to be told until `answer`. */
  end(): void {
    this.#windowMs = performance.now() - this.#beganMs;
    this.#proxyNs = processorTimeNs(this.#proxyPid) - this.#beganNs;
    const foreign = foreignNs() - this.#foreignBeganNs;
    this.#foreignCores = Math.max(0, foreign / 1e6 / this.#windowMs);
    this.#isOpen = false;
    if (this.#latency.total === 0) this.wrong("no exchange ended in time");
  }

  answer(): LoadAnswer {
    return {
      exchanges: this.#latency.total,
      errors: this.#errors,
      firstError: this.#firstError,
      windowMs: this.#windowMs,
      proxyNs: this.#proxyNs,
      foreignCores: this.#foreignCores,
      p50Us: this.#latency.percentileUs(0.5),
      p99Us: this.#latency.percentileUs(0.99),
      maxUs: this.#latency.maxUs,
    };
  }
}

/** What the machine did for others: the load generator's parent is the root of all processes of the benchmark. */
function foreignNs(): number {
  return machineBusyNs() - processorTimeNs(process.ppid);
}
