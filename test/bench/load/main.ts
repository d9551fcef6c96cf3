/** The load generator: a process of its own that takes one job at a time from its parent and answers it. */
import { runClosedLoop } from "./closed-loop.js";
import type { Exchanger } from "./exchanger.js";
import { holdConnections } from "./hold.js";
import type { LoadAnswer, LoadJob } from "./job.js";
import { runOpenLoop } from "./open-loop.js";

let held: readonly Exchanger[] = [];

async function work(job: LoadJob): Promise<LoadAnswer | undefined> {
  for (const exchanger of held) exchanger.close();
  held = [];
  if (job.kind === "drop") return undefined;
  if (job.kind === "hold") {
    const { answer, exchangers } = await holdConnections(job);
    held = exchangers;
    return answer;
  }
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
