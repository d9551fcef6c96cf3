import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Exchanger, finishAndClose, makeExchangers } from "./exchanger.js";
import type { LoadAnswer, MeasureJob } from "./job.js";
import { Measurement } from "./measurement.js";

/** Enough to know that a scenario is broken; more would only spin. */
const MAX_ERRORS = 200;

/** Keeps every connection busy: the next exchange begins as soon as the last one ended. */
export async function runClosedLoop(job: MeasureJob): Promise<LoadAnswer> {
  const measurement = new Measurement(job.proxyPid);
  let isRunning = true;
  const onEnd = (exchanger: Exchanger, error: string | undefined): void => {
    const nowMs = performance.now();
    if (error === undefined) measurement.right(exchanger.startedMs, nowMs);
    else measurement.wrong(error);
    if (!isRunning || measurement.errors >= MAX_ERRORS) return;
    exchanger.startedMs = nowMs;
    exchanger.send();
  };
  const exchangers = makeExchangers(job.traffic, job.port, job.connections, onEnd);
  for (const exchanger of exchangers) {
    exchanger.startedMs = performance.now();
    exchanger.send();
  }
  await sleep(job.warmupMs);
  measurement.begin();
  await sleep(job.windowMs);
  measurement.end();
  isRunning = false;
  for (const fault of await finishAndClose(exchangers, job.lastAnswerMs)) measurement.wrong(fault);
  return measurement.answer();
}
