/** One pass: all rows for all proxies, in rounds that alternate between the proxies. */
import { setTimeout as sleep } from "node:timers/promises";
import { stopChild } from "./children.js";
import type { Harness } from "./harness.js";
import { LAST_ANSWER_MS, type LoadAnswer } from "./load/job.js";
import { measureMemory } from "./memory.js";
import type { BenchOptions } from "./options.js";
import { REFERENCE } from "./peers/all.js";
import type { Peer, RunningPeer } from "./peers/peer.js";
import { type Cell, MAX_FOREIGN_CORES, type Pass, type Sample } from "./result.js";
import { ROWS, type Row, type TrafficRow } from "./rows.js";

/** Code is compiled and connections are opened in the first round of a row, so it gets more time. */
const FIRST_WARMUP_MS = 1_000;
/** Long enough for V8 to have optimised the path of a request in every Node proxy here. */
const CALIBRATION_WARMUP_MS = 3_000;
const RETRY_REST_MS = 500;
const CALIBRATION_ROW = "get-64";
const BEFORE_ROUNDS = -1;

interface Contestant {
  readonly peer: Peer;
  /** Undefined with a reason where it could not be started. */
  readonly running: RunningPeer | undefined;
  readonly missing: string | undefined;
  readonly cells: Map<string, { skipped: string | undefined; samples: Sample[] }>;
  /** Exchanges per second of processor time with all connections busy: what fits on its core, whatever slowed the load down. */
  saturation: number;
}

/** Makes the pass. `progress` is told what is being done. */
export async function runPass(
  harness: Harness,
  options: BenchOptions,
  logs: boolean,
  progress: (text: string) => void,
): Promise<Pass> {
  const contestants: Contestant[] = [];
  for (const peer of options.peers) contestants.push(await enter(harness, peer, logs));
  progress("warming up and finding saturation");
  for (const contestant of contestants) await calibrate(harness, options, contestant);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [index, row] of options.rows.entries()) {
      // Memory does not depend on logging, and takes long.
      if (row.kind === "memory" && logs && options.logs.length > 1) continue;
      progress(`round ${round + 1} of ${options.rounds}, logs ${logs ? "on" : "off"}: ${row.title}`);
      const order = rotate(contestants, round + index);
      if (row.kind === "traffic") {
        for (const contestant of order) await measureRow(harness, options, contestant, order, row, round);
      } else {
        const present = order.filter((contestant) => contestant.running !== undefined);
        const samples = await measureMemory(
          harness,
          row,
          present.map(({ peer }) => peer),
          options.settleMs,
          round,
        );
        for (const contestant of order)
          record(contestant, row, contestant.missing, samples.get(contestant.peer.name));
      }
    }
  }
  for (const { running } of contestants) if (running !== undefined) await stopChild(running.child);
  return { logs, cells: contestants.flatMap(cellsOf) };
}

async function enter(harness: Harness, peer: Peer, logs: boolean): Promise<Contestant> {
  const cells = new Map();
  if (peer.version() === undefined) {
    return { peer, running: undefined, missing: "not installed", cells, saturation: 0 };
  }
  try {
    const running = await harness.startPeer(peer, logs);
    return { peer, running, missing: undefined, cells, saturation: 0 };
  } catch (error) {
    return { peer, running: undefined, missing: `did not start: ${String(error)}`, cells, saturation: 0 };
  }
}

/** Warms the proxy up, whatever rows follow, and notes how much it can take. */
async function calibrate(harness: Harness, options: BenchOptions, contestant: Contestant): Promise<void> {
  const row = ROWS.find((candidate) => candidate.id === CALIBRATION_ROW);
  if (row?.kind !== "traffic") return;
  const answer = await driveUndisturbed(
    options.tries,
    harness,
    contestant,
    row,
    CALIBRATION_WARMUP_MS,
    1_000,
    undefined,
  );
  if (answer === undefined) return;
  contestant.saturation = (answer.exchanges * 1e9) / answer.proxyNs;
  // No values: it is no sample of the row, but what went wrong breaks it.
  if (answer.errors > 0) record(contestant, row, undefined, sampleOf(answer, BEFORE_ROUNDS, {}, undefined));
}

async function measureRow(
  harness: Harness,
  options: BenchOptions,
  contestant: Contestant,
  all: readonly Contestant[],
  row: TrafficRow,
  round: number,
): Promise<void> {
  const warmupMs = round === 0 ? FIRST_WARMUP_MS : options.warmupMs;
  const reference = all.find(({ peer }) => peer.name === REFERENCE);
  const rate = row.constantRate ? chooseRate(contestant.saturation, reference?.saturation ?? 0) : undefined;
  const answer = await driveUndisturbed(
    options.tries,
    harness,
    contestant,
    row,
    warmupMs,
    options.windowMs,
    rate,
  );
  if (answer === undefined) {
    record(contestant, row, contestant.missing ?? "not offered", undefined);
    return;
  }
  const note = rate === undefined ? undefined : `${rate.toLocaleString("en-US")}/s`;
  record(contestant, row, undefined, sampleOf(answer, round, valuesOf(row, answer), note));
}

function sampleOf(
  { errors, firstError, foreignCores }: LoadAnswer,
  round: number,
  values: Sample["values"],
  note: string | undefined,
): Sample {
  return { round, values, errors, firstError, foreignCores, note };
}

/**
 * Measures again while others use the machine, `tries` times at most, and takes the least disturbed. One that had
 * errors is taken as it is: another try may not hide them.
 */
async function driveUndisturbed(
  maxTries: number,
  ...args: Parameters<typeof drive>
): Promise<LoadAnswer | undefined> {
  let best = await drive(...args);
  for (
    let tries = 1;
    best !== undefined && best.errors === 0 && best.foreignCores > MAX_FOREIGN_CORES && tries < maxTries;
    tries += 1
  ) {
    await sleep(RETRY_REST_MS);
    const again = await drive(...args);
    if (again !== undefined && (again.errors > 0 || again.foreignCores < best.foreignCores)) best = again;
  }
  return best;
}

async function drive(
  harness: Harness,
  { running }: Contestant,
  row: TrafficRow,
  warmupMs: number,
  windowMs: number,
  ratePerSecond: number | undefined,
): Promise<LoadAnswer | undefined> {
  const port = row.traffic.kind === "http" ? running?.httpPort : running?.tcpPort;
  const proxyPid = running?.child.pid;
  if (port === undefined || proxyPid === undefined) return undefined;
  const { traffic, connections } = row;
  return await harness.load({
    kind: "measure",
    traffic,
    port,
    connections,
    proxyPid,
    warmupMs,
    windowMs,
    lastAnswerMs: LAST_ANSWER_MS,
    ratePerSecond,
  });
}

/**
 * Half of the reference's saturation for everybody, so that the latencies are of the same load; a proxy that this
 * would bring near its own limit gets half of its own.
 */
function chooseRate(own: number, reference: number): number {
  const common = reference / 2;
  const rate = common > 0 && common < own * 0.7 ? common : own / 2;
  return Math.max(100, Math.round(rate / 100) * 100);
}

function valuesOf(row: TrafficRow, answer: LoadAnswer): Sample["values"] {
  const perSecond = (answer.exchanges * 1_000) / answer.windowMs;
  const bytes = row.traffic.requestBytes + row.traffic.responseBytes;
  return {
    cpuUs: answer.proxyNs / 1_000 / answer.exchanges,
    exchangesPerSecond: perSecond,
    mibPerSecond: (perSecond * bytes) / 1024 / 1024,
    p50Us: answer.p50Us,
    p99Us: answer.p99Us,
    busyPercent: answer.proxyNs / 10_000 / answer.windowMs,
  };
}

function record(
  contestant: Contestant,
  row: Row,
  skipped: string | undefined,
  sample: Sample | undefined,
): void {
  const cell = contestant.cells.get(row.id) ?? { skipped, samples: [] };
  if (sample !== undefined) cell.samples.push(sample);
  contestant.cells.set(row.id, cell);
}

function cellsOf({ peer, cells }: Contestant): Cell[] {
  return [...cells].map(([row, cell]) => ({ row, peer: peer.name, ...cell }));
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const shift = by % items.length;
  return [...items.slice(shift), ...items.slice(0, shift)];
}
