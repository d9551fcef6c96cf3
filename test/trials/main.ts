/** Runs the trials against pilotfish and HAProxy, alternating, and prints what clients met. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { alignColumns } from "../bench/table.js";
import { CASES, type TrialCase } from "./cases.js";
import { FAULTS, type Fault, type FaultReport, playFault } from "./faults.js";
import { haproxy } from "./peers/haproxy.js";
import { pilotfish } from "./peers/pilotfish.js";
import type { TrialPeer } from "./peers/proxy-under-trial.js";
import { Scene } from "./scene.js";
import type { Verdict } from "./verdict.js";

const PEERS: readonly TrialPeer[] = [pilotfish, haproxy];

const USAGE = `npm run trials -- [deploys | faults] [options]
  deploys       backends and proxies are replaced (the default):
                ${CASES.map(({ id }) => id).join(", ")}
  faults        one backend of three goes wrong:
                ${FAULTS.map(({ id }) => id).join(", ")}
  --only a,b    some of these
  --peers a,b   proxies: ${PEERS.map(({ name }) => name).join(", ")}
  --times N     how often a deploy repeats what it does (10), rounds of a fault (7)
  --json FILE   all results`;

interface Outcome {
  readonly trial: TrialCase;
  readonly peer: TrialPeer;
  readonly verdict: Verdict;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: "boolean", short: "h" },
      only: { type: "string" },
      peers: { type: "string" },
      times: { type: "string" },
      json: { type: "string" },
    },
  });
  const [kind = "deploys"] = positionals;
  if (values.help === true || !["deploys", "faults"].includes(kind)) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const installed = PEERS.filter((peer) => peer.version() !== undefined);
  const peers = chosen(values.peers, installed, ({ name }) => name);
  const rows =
    kind === "deploys"
      ? await deploys(chosen(values.only, CASES, idOf), peers, Number(values.times ?? 10))
      : await faults(chosen(values.only, FAULTS, idOf), peers, Number(values.times ?? 7));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
}

function idOf({ id }: { readonly id: string }): string {
  return id;
}

async function deploys(cases: readonly TrialCase[], peers: readonly TrialPeer[], times: number) {
  const outcomes: Outcome[] = [];
  for (const trial of cases) {
    for (const peer of peers) {
      const outcome = { trial, peer, verdict: await run(trial, peer, times) };
      outcomes.push(outcome);
      process.stdout.write(`${trial.id} ${peer.name}: ${JSON.stringify(outcome.verdict)}\n`);
    }
  }
  process.stdout.write(`\n${alignColumns(tableOf(outcomes, peers))}\n`);
  return outcomes.map(({ trial, peer, verdict }) => ({ case: trial.id, proxy: peer.name, ...verdict }));
}

async function faults(which: readonly Fault[], peers: readonly TrialPeer[], rounds: number) {
  const rows: ({ readonly fault: string; readonly proxy: string } & FaultReport)[] = [];
  for (const fault of which) {
    for (let round = 0; round < rounds; round++) {
      for (const peer of peers) {
        const row = { fault: fault.id, proxy: peer.name, ...(await playFault(peer, fault)) };
        rows.push(row);
        process.stdout.write(`${JSON.stringify({ ...row, course: undefined })}\n`);
      }
    }
  }
  const head = ["fault", "", "proxy", "detected ms", "failed", "returned ms", "p99 ms"];
  const lines = which.flatMap((fault) =>
    peers.map((peer) => {
      const own = rows.filter((row) => row.fault === fault.id && row.proxy === peer.name);
      const median = (pick: (row: FaultReport) => number | undefined) => middleOf(own.map(pick));
      return [
        fault.id,
        fault.title,
        peer.name,
        median(({ detectedMs }) => detectedMs),
        median(({ failed }) => failed),
        median(({ returnedMs }) => returnedMs),
        median(({ p99Ms }) => p99Ms),
      ];
    }),
  );
  process.stdout.write(`\n${alignColumns([head, ...lines])}\n`);
  return rows;
}

/** The median with its spread; what never came counts as later than everything. */
function middleOf(values: readonly (number | undefined)[]): string {
  const sorted = values.map((value) => value ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const text = (value = 0) => (Number.isFinite(value) ? value.toFixed(0) : "never");
  return `${text(sorted[Math.floor(sorted.length / 2)])} [${text(sorted[0])}-${text(sorted.at(-1))}]`;
}

async function run(trial: TrialCase, peer: TrialPeer, times: number): Promise<Verdict> {
  const scene = await Scene.open(peer, trial.options);
  try {
    await scene.more(200);
    await trial.play(scene, times);
    await scene.more(200);
    return await scene.verdict();
  } finally {
    await scene.close();
  }
}

function tableOf(outcomes: readonly Outcome[], peers: readonly TrialPeer[]): string[][] {
  const head = ["case", "", ...peers.map(({ name, version }) => `${name} ${version() ?? ""}`)];
  const lines = new Map<string, string[]>();
  for (const { trial, verdict } of outcomes) {
    const line = lines.get(trial.id) ?? [trial.id, trial.title];
    const { requests, failed, resets, twice, p99Ms } = verdict;
    line.push(`${failed} of ${requests} failed, ${resets} reset, ${twice} twice, p99 ${p99Ms.toFixed(0)} ms`);
    lines.set(trial.id, line);
  }
  return [head, ...lines.values()];
}

/** Picks by comma-separated names; all without any. Throws on an unknown one. */
function chosen<Item>(
  names: string | undefined,
  all: readonly Item[],
  nameOf: (item: Item) => string,
): Item[] {
  if (names === undefined) return [...all];
  return names.split(",").map((name) => {
    const found = all.find((item) => nameOf(item) === name);
    if (found === undefined) throw new Error(`unknown: ${name}; known: ${all.map(nameOf).join(", ")}`);
    return found;
  });
}

await main();
