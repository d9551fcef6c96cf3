/** The load generator: a process of its own that takes one job at a time from its parent and answers it. */
import { runClosedLoop } from "./closed-loop.js";
import { type Exchanger, makeExchangers } from "./exchanger.js";
import type { HoldJob, LoadAnswer, LoadJob } from "./job.js";
import { Measurement } from "./measurement.js";
import { runOpenLoop } from "./open-loop.js";

/** Connections being opened at once by a hold job. */
const OPENING_AT_ONCE = 32;
let held: Exchanger[] = [];

/** Opens all connections with one exchange on each; resolves when the last exchange ended. */
function hold(job: HoldJob): Promise<LoadAnswer> {
  const measurement = new Measurement(process.pid);
  measurement.begin();
  return new Promise((resolve) => {
    let begun = 0;
    let ended = 0;
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
      if (ended === job.connections) resolve(measurement.finish());
      else beginNext();
    });
    held = exchangers;
    for (let index = 0; index < OPENING_AT_ONCE; index += 1) beginNext();
  });
}

async function work(job: LoadJob): Promise<LoadAnswer | undefined> {
  for (const exchanger of held) exchanger.close();
  held = [];
  if (job.kind === "drop") return undefined;
  if (job.kind === "hold") return await hold(job);
  return job.ratePerSecond === undefined
    ? await runClosedLoop(job)
    : await runOpenLoop(job, job.ratePerSecond);
}

process.on("message", (job: LoadJob) => {
  work(job).then(
    (answer) => process.send?.({ answer }),
    (error: unknown) => process.send?.({ failure: String(error) }),
  );
});
// Without its parent it has nothing to do.
process.on("disconnect", () => process.exit(0));
process.send?.({ ready: true });
