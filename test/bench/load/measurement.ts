import { performance } from "node:perf_hooks";
import { Histogram } from "../histogram.js";
import { machineBusyNs, processorTimeNs } from "../process-cost.js";
import type { LoadAnswer } from "./job.js";

/** Collects what ends between `begin` and `finish`, and the processor time the proxy took meanwhile. */
export class Measurement {
  readonly #proxyPid: number;
  readonly #latency = new Histogram();
  #isOpen = false;
  #beganMs = 0;
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

  finish(): LoadAnswer {
    const windowMs = performance.now() - this.#beganMs;
    const proxyNs = processorTimeNs(this.#proxyPid) - this.#beganNs;
    const foreign = foreignNs() - this.#foreignBeganNs;
    this.#isOpen = false;
    if (this.#latency.total === 0) this.wrong("no exchange ended in time");
    return {
      exchanges: this.#latency.total,
      errors: this.#errors,
      firstError: this.#firstError,
      windowMs,
      proxyNs,
      foreignCores: Math.max(0, foreign / 1e6 / windowMs),
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
