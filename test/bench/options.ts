import { parseArgs } from "node:util";
import { PEERS } from "./peers/all.js";
import type { Peer } from "./peers/peer.js";
import { ROWS, type Row } from "./rows.js";

export interface BenchOptions {
  readonly rounds: number;
  readonly rows: readonly Row[];
  readonly peers: readonly Peer[];
  /** Passes to make: access logs off, on or both. */
  readonly logs: readonly boolean[];
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How often a sample is taken at most while others use the machine. */
  readonly tries: number;
  /** How long a fresh proxy rests before its memory is read. */
  readonly settleMs: number;
  readonly jsonFile: string | undefined;
  readonly markdown: boolean;
  /** Minutes of the churn run, made instead of the rows; undefined for the rows. */
  readonly churnMinutes: number | undefined;
}

export const USAGE = `npm run bench -- [options]
  --quick          3 rounds of short windows, a first impression only
  --rounds N       rounds per row (7)
  --only a,b       rows: ${ROWS.map((row) => row.id).join(", ")}
  --peers a,b      proxies: ${PEERS.map((peer) => peer.name).join(", ")}
  --logs WHICH     access logs off, on or both (off)
  --window MS      length of one measurement (1500; quick 600)
  --settle MS      rest before memory is read (60000; quick 3000)
  --json FILE      all samples and conclusions
  --markdown       the short table for a README as well
  --churn MINUTES  instead of all that: connections and backends come and go, resident memory over time`;

/** Reads the command line. Throws an Error with a readable message on anything unknown. */
export function readOptions(args: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: "boolean", short: "h" },
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      only: { type: "string" },
      peers: { type: "string" },
      logs: { type: "string", default: "off" },
      window: { type: "string" },
      settle: { type: "string" },
      json: { type: "string" },
      markdown: { type: "boolean", default: false },
      churn: { type: "string" },
    },
  });
  if (values.help) return "help";
  return {
    rounds: count("rounds", values.rounds, values.quick ? 3 : 7),
    rows: choose("row", values.only, ROWS, (row) => row.id),
    peers: choose("proxy", values.peers, PEERS, (peer) => peer.name),
    logs: readLogs(values.logs),
    warmupMs: values.quick ? 200 : 500,
    windowMs: count("window", values.window, values.quick ? 600 : 1_500),
    tries: values.quick ? 1 : 4,
    settleMs: count("settle", values.settle, values.quick ? 3_000 : 60_000),
    jsonFile: values.json,
    markdown: values.markdown,
    churnMinutes: values.churn === undefined ? undefined : count("churn", values.churn, 10),
  };
}

function count(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^[1-9]\d{0,6}$/.test(text))
    throw new Error(`--${name}: found ${text}, expected a positive whole number`);
  return Number(text);
}

function choose<T>(
  word: string,
  text: string | undefined,
  all: readonly T[],
  nameOf: (item: T) => string,
): readonly T[] {
  if (text === undefined) return all;
  const names = text.split(",");
  for (const name of names) {
    if (!all.some((item) => nameOf(item) === name)) {
      throw new Error(`unknown ${word} ${name}, expected one of ${all.map(nameOf).join(", ")}`);
    }
  }
  return all.filter((item) => names.includes(nameOf(item)));
}

function readLogs(text: string): readonly boolean[] {
  if (text === "off") return [false];
  if (text === "on") return [true];
  if (text === "both") return [false, true];
  throw new Error(`--logs: found ${text}, expected off, on or both`);
}
