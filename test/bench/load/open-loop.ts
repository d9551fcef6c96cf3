import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Exchanger, finishAndClose, makeExchangers } from "./exchanger.js";
import type { LoadAnswer, MeasureJob } from "./job.js";
import { Measurement } from "./measurement.js";
import { Pacer } from "./pacer.js";

const TICK_MS = 0.25;
/** Exchanges that wait for a free connection; beyond it the proxy does not keep up and the row is broken. */
const MAX_WAITING = 50_000;

/**
 * Starts exchanges at a constant rate whatever the answers do. Each latency is counted from the moment the exchange
 * was due, not from when a connection was free for it, so that a stall is felt by all that fell into it (no
 * coordinated omission).
 */
export async function runOpenLoop(job: MeasureJob, ratePerSecond: number): Promise<LoadAnswer> {
  const measurement = new Measurement(job.proxyPid);
  const free: Exchanger[] = [];
  const waiting: number[] = [];
  let isRunning = true;
  const start = (exchanger: Exchanger, dueMs: number): void => {
    exchanger.startedMs = dueMs;
    exchanger.send();
  };
  const onEnd = (exchanger: Exchanger, error: string | undefined): void => {
    if (error === undefined) measurement.right(exchanger.startedMs, performance.now());
    else measurement.wrong(error);
    const dueMs = isRunning ? waiting.shift() : undefined;
    if (dueMs === undefined) free.push(exchanger);
    else start(exchanger, dueMs);
  };
  const exchangers = makeExchangers(job.traffic, job.port, job.connections, onEnd);
  free.push(...exchangers);

  const beganMs = performance.now();
  let begun = 0;
  const pacer = new Pacer(TICK_MS, () => {
    const due = Math.floor(((performance.now() - beganMs) * ratePerSecond) / 1_000);
    for (; begun < due; begun += 1) {
      const dueMs = beganMs + ((begun + 1) * 1_000) / ratePerSecond;
      const exchanger = free.shift();
      if (exchanger !== undefined) start(exchanger, dueMs);
      else if (waiting.length < MAX_WAITING) waiting.push(dueMs);
      else measurement.wrong("the rate was not kept up with");
    }
  });
  await pacer.begun;
  await sleep(job.warmupMs);
  measurement.begin();
  await sleep(job.windowMs);
  measurement.end();
  isRunning = false;
  await pacer.stop();
  for (const fault of await finishAndClose(exchangers, job.lastAnswerMs)) measurement.wrong(fault);
  return measurement.answer();
}
