/** The churn run: connections and backends come and go for minutes, and resident memory is told all along. */
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stopChild } from "./children.js";
import { Harness } from "./harness.js";
import { LAST_ANSWER_MS } from "./load/job.js";
import { pilotfish } from "./peers/pilotfish.js";
import { residentKib } from "./process-cost.js";
import { ROWS } from "./rows.js";

/** Each turn is one kind of load, after which memory is read. */
const TURN_MS = 5_000;
/** How often a backend leaves and another joins. */
const BACKENDS_MS = 1_000;
/** Constant, so that a faster machine does not churn more. */
const RATE_PER_SECOND = 2_000;
const TURNS = ["close", "get-64", "chunked", "get-1000"];

/** Resident memory after each whole round of turns. */
export interface ChurnSample {
  readonly second: number;
  readonly residentMib: number;
  readonly exchanges: number;
  readonly errors: number;
}

/** Makes the run and prints a line per round of turns. */
export async function runChurn(minutes: number): Promise<readonly ChurnSample[]> {
  const harness = new Harness();
  const samples: ChurnSample[] = [];
  try {
    await harness.start();
    const file = join(harness.directory, "endpoints.json");
    let turn = 0;
    const write = (): void => {
      // One of them is always away, another one each time.
      const away = turn++ % harness.httpBackends.length;
      const present = harness.httpBackends.filter((_, index) => index !== away);
      writeFileSync(`${file}.new`, JSON.stringify(present.map((port) => `127.0.0.1:${port}`)));
      renameSync(`${file}.new`, file);
    };
    write();
    const running = await harness.startPeer(pilotfish, false, file);
    const timer = setInterval(write, BACKENDS_MS);
    const startMs = performance.now();
    console.log("second  resident MiB  exchanges  errors");
    while (performance.now() - startMs < minutes * 60_000) {
      const sample = await round(harness, running.httpPort, running.child.pid ?? 0, startMs);
      samples.push(sample);
      console.log(
        `${sample.second.toFixed(0).padStart(6)}  ${sample.residentMib.toFixed(1).padStart(12)}  ` +
          `${String(sample.exchanges).padStart(9)}  ${String(sample.errors).padStart(6)}`,
      );
    }
    clearInterval(timer);
    await stopChild(running.child);
  } finally {
    await harness.stop();
  }
  return samples;
}

async function round(
  harness: Harness,
  port: number,
  proxyPid: number,
  startMs: number,
): Promise<ChurnSample> {
  let exchanges = 0;
  let errors = 0;
  for (const id of TURNS) {
    const row = ROWS.find((candidate) => candidate.id === id);
    if (row?.kind !== "traffic") continue;
    const answer = await harness.load({
      kind: "measure",
      traffic: row.traffic,
      port,
      connections: row.connections,
      proxyPid,
      warmupMs: 0,
      windowMs: TURN_MS,
      lastAnswerMs: LAST_ANSWER_MS,
      ratePerSecond: RATE_PER_SECOND,
    });
    exchanges += answer?.exchanges ?? 0;
    errors += answer?.errors ?? 0;
    if (answer !== undefined && answer.errors > 0) console.log(`ERRORS in ${id}: ${answer.firstError}`);
  }
  return {
    second: (performance.now() - startMs) / 1_000,
    residentMib: residentKib(proxyPid) / 1024,
    exchanges,
    errors,
  };
}

/**
 * How much more is resident in the last third than in the second one, in MiB: the first third fills caches and
 * compiles code. Undefined for fewer than six samples.
 */
export function growthMib(samples: readonly ChurnSample[]): number | undefined {
  const third = Math.floor(samples.length / 3);
  if (third < 2) return undefined;
  const sizes = samples.map(({ residentMib }) => residentMib);
  return mean(sizes.slice(-third)) - mean(sizes.slice(third, 2 * third));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
