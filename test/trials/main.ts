/** Runs the trials against pilotfish and HAProxy, alternating, and prints what clients met. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { alignColumns } from "../bench/table.js";
import { CASES, type TrialCase } from "./cases.js";
import { haproxy } from "./peers/haproxy.js";
import { pilotfish } from "./peers/pilotfish.js";
import type { TrialPeer } from "./peers/proxy-under-trial.js";
import { Scene } from "./scene.js";
import type { Verdict } from "./verdict.js";

const PEERS: readonly TrialPeer[] = [pilotfish, haproxy];

const USAGE = `npm run trials -- [options]
  --only a,b    cases: ${CASES.map(({ id }) => id).join(", ")}
  --peers a,b   proxies: ${PEERS.map(({ name }) => name).join(", ")}
  --times N     how often each case repeats what it does (10)
  --json FILE   all verdicts`;

interface Outcome {
  readonly trial: TrialCase;
  readonly peer: TrialPeer;
  readonly verdict: Verdict;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      only: { type: "string" },
      peers: { type: "string" },
      times: { type: "string", default: "10" },
      json: { type: "string" },
    },
  });
  if (values.help === true) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  const outcomes: Outcome[] = [];
  const peers = chosen(values.peers, PEERS, ({ name }) => name).filter(
    (peer) => peer.version() !== undefined,
  );
  for (const trial of chosen(values.only, CASES, ({ id }) => id)) {
    for (const peer of peers) {
      const outcome = { trial, peer, verdict: await run(trial, peer, Number(values.times)) };
      outcomes.push(outcome);
      process.stdout.write(`${trial.id} ${peer.name}: ${JSON.stringify(outcome.verdict)}\n`);
    }
  }
  process.stdout.write(`\n${alignColumns(tableOf(outcomes, peers))}\n`);
  if (values.json !== undefined) {
    const rows = outcomes.map(({ trial, peer, verdict }) => ({
      case: trial.id,
      proxy: peer.name,
      ...verdict,
    }));
    writeFileSync(values.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  }
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
