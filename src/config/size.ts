import { accept, type Parsed, refuse } from "./parsed.js";

const UNIT_BYTES: Readonly<Record<string, number>> = { KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

const EXPECTED = "a size such as 16KiB, 1MiB or a plain number of bytes";

/**
 * Reads `16KiB`, `1MiB`, `1GiB` or plain bytes. `KB` and `k` are refused: they mean 1000 to one reader and
 * 1024 to the next.
 */
export function parseSize(input: unknown): Parsed<number> {
  if (typeof input === "number") {
    return Number.isSafeInteger(input) && input >= 0 ? accept(input) : refuse(EXPECTED);
  }
  if (typeof input !== "string") return refuse(EXPECTED);
  const match = /^(\d{1,15})(KiB|MiB|GiB)?$/.exec(input);
  if (match === null) return refuse(EXPECTED);
  const sizeBytes = Number(match[1]) * (match[2] === undefined ? 1 : (UNIT_BYTES[match[2]] ?? Number.NaN));
  return Number.isSafeInteger(sizeBytes) ? accept(sizeBytes) : refuse(EXPECTED);
}

/** Writes bytes in the largest unit that holds them exactly: `parseSize(formatSize(x))` is x. */
export function formatSize(sizeBytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"]) {
    const unitBytes = UNIT_BYTES[unit] ?? Number.NaN;
    if (sizeBytes > 0 && sizeBytes % unitBytes === 0) return `${sizeBytes / unitBytes}${unit}`;
  }
  return String(sizeBytes);
}
