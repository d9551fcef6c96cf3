import { accept, type Parsed, refuse } from "./parsed.js";

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Longest duration of any field: a Node timer counts in 31 bits of milliseconds, a little less than 597 hours. */
export const MAX_DURATION_MS = 596 * 3_600_000;

const EXPECTED = "a duration with its unit, such as 500ms, 5s, 1m or 1h";

/**
 * Reads `500ms`, `5s`, `1m`, `1h` and 0 (with or without a unit) as milliseconds. A bare number is refused:
 * half the world would read it as seconds.
 */
export function parseDuration(input: unknown): Parsed<number> {
  if (input === 0) return accept(0);
  if (typeof input === "number" && Number.isSafeInteger(input) && input > 0) {
    return refuse(`a duration with its unit, such as ${input}s or ${input}ms`);
  }
  if (typeof input !== "string") return refuse(EXPECTED);
  const match = /^(\d{1,15})(ms|s|m|h)?$/.exec(input);
  if (match === null) return refuse(EXPECTED);
  const amount = Number(match[1]);
  const unit = match[2];
  if (unit === undefined) {
    return amount === 0 ? accept(0) : refuse(`a duration with its unit, such as ${amount}s or ${amount}ms`);
  }
  const durationMs = amount * (UNIT_MS[unit] ?? Number.NaN);
  return durationMs <= MAX_DURATION_MS ? accept(durationMs) : refuse("at most 596h");
}

/** Writes milliseconds in the largest unit that holds them exactly: `parseDuration(formatDuration(x))` is x. */
export function formatDuration(durationMs: number): string {
  for (const unit of ["h", "m", "s"]) {
    const unitMs = UNIT_MS[unit] ?? Number.NaN;
    if (durationMs > 0 && durationMs % unitMs === 0) return `${durationMs / unitMs}${unit}`;
  }
  return durationMs === 0 ? "0s" : `${durationMs}ms`;
}
