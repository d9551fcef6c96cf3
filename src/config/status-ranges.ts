import type { StatusRange } from "./health-model.js";
import { accept, type Parsed, refuse } from "./parsed.js";

const RANGES_MAX = 32;

/** Reads `200-299,304`: statuses and ranges of them, both ends included. */
export function parseStatusRanges(input: unknown): Parsed<readonly StatusRange[]> {
  const expected = refuse("statuses from 100 to 599 such as 200-299,304");
  const text = typeof input === "number" ? String(input) : input;
  if (typeof text !== "string") return expected;
  const ranges: StatusRange[] = [];
  for (const part of text.split(",")) {
    const match = /^\s*([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?\s*$/.exec(part);
    if (match === null) return expected;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (from > to || ranges.length === RANGES_MAX) return expected;
    ranges.push({ from, to });
  }
  return accept(ranges);
}
