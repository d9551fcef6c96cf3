import type { AdminFact } from "../core/backend.js";
import { GREATEST_WEIGHT, type WeightChange } from "../core/weight.js";

/** What an agent said. What it did not mention is undefined and stays as it was. */
export interface AgentReply {
  readonly weight: WeightChange | undefined;
  /** Most leases at once; 0 for no limit. */
  readonly limit: number | undefined;
  readonly admin: AdminFact | undefined;
  readonly verdict: "up" | "down" | undefined;
  /** Behind `down#`: why. */
  readonly reason: string;
  /** Words nobody knows; they change nothing. */
  readonly unknown: readonly string[];
}

const MOST_PERCENT = 25_600;
const DOWN = /^(?:down|fail|failed|stopped)$/;

/**
 * Reads an agent's line as HAProxy does: words between spaces, tabs and commas, in any order and case. `75%` and
 * `weight:75%` are of the discovered weight, `weight:N` is absolute (0 to 256), `maxconn:N`; `ready`, `drain` and `maint` are
 * the admin state; `up`, and `down`, `fail` or `stopped` with an optional `#reason` to the end of the line, the health.
 * Of words of one kind the last counts.
 */
export function parseAgentReply(line: string): AgentReply {
  const sharp = line.indexOf("#");
  const words = (sharp < 0 ? line : line.slice(0, sharp)).split(/[ \t,]+/).filter((word) => word !== "");
  let weight: WeightChange | undefined;
  let limit: number | undefined;
  let admin: AdminFact | undefined;
  let verdict: "up" | "down" | undefined;
  const unknown: string[] = [];
  for (const given of words) {
    const word = given.toLowerCase();
    const change = weightOf(word);
    const most = /^maxconn:(\d{1,9})$/.exec(word)?.[1];
    if (change !== undefined) weight = change;
    else if (most !== undefined) limit = Number(most);
    else if (word === "ready" || word === "drain" || word === "maint") admin = word;
    else if (word === "up") verdict = "up";
    else if (DOWN.test(word)) verdict = "down";
    else unknown.push(given);
  }
  const reason = sharp < 0 ? "" : line.slice(sharp + 1).trim();
  return { weight, limit, admin, verdict, reason, unknown };
}

function weightOf(word: string): WeightChange | undefined {
  const percent = /^(?:weight:)?(\d{1,5})%$/.exec(word)?.[1];
  if (percent !== undefined && Number(percent) <= MOST_PERCENT)
    return { kind: "percent", percent: Number(percent) };
  const weight = /^weight:(\d{1,3})$/.exec(word)?.[1];
  return weight !== undefined && Number(weight) <= GREATEST_WEIGHT
    ? { kind: "weight", weight: Number(weight) }
    : undefined;
}
