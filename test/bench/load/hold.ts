import { type Exchanger, makeExchangers } from "./exchanger.js";
import type { HoldJob, LoadAnswer } from "./job.js";
import { Measurement } from "./measurement.js";

/** Connections being opened at once. */
const OPENING_AT_ONCE = 32;

/**
 * Opens all connections with one exchange on each; resolves when the last exchange ended, or when none did for the
 * job's limit. The connections stay open: they are the caller's to close.
 */
export function holdConnections(
  job: HoldJob,
): Promise<{ readonly answer: LoadAnswer; readonly exchangers: readonly Exchanger[] }> {
  const measurement = new Measurement(process.pid);
  measurement.begin();
  return new Promise((resolve) => {
    let begun = 0;
    let ended = 0;
    const finish = (): void => {
      clearTimeout(timer);
      measurement.end();
      for (const { fault } of exchangers) if (fault !== undefined) measurement.wrong(fault);
      resolve({ answer: measurement.answer(), exchangers });
    };
    const beginNext = (): void => {
      const exchanger = exchangers[begun];
      begun += 1;
      if (exchanger === undefined) return;
      exchanger.startedMs = performance.now();
      exchanger.send();
    };
    const exchangers = makeExchangers(job.traffic, job.port, job.connections, (exchanger, error) => {
      // A connection that breaks while it is held comes here too late to be counted twice.
      if (error === undefined) measurement.right(exchanger.startedMs, performance.now());
      else measurement.wrong(error);
      ended += 1;
      timer.refresh();
      if (ended === job.connections) finish();
      else beginNext();
    });
    const timer = setTimeout(finish, job.lastAnswerMs);
    for (let index = 0; index < OPENING_AT_ONCE; index += 1) beginNext();
  });
}
