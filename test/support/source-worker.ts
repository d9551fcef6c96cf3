import { Worker } from "node:worker_threads";
import { type StartWorker, wrapWorker } from "../../src/control/sources/dns-sd/worker-host.js";

/** The listener's thread from its source, since tests run without a build. */
export const startSourceWorker: StartWorker = (settings) =>
  wrapWorker(
    new Worker(new URL("./source-worker-program.mjs", import.meta.url), {
      workerData: settings,
      stdout: true,
      stderr: true,
    }),
  );
