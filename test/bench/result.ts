/** Samples of a run and what is concluded from them. Pure. */
import type { Limit, Metric } from "./rows.js";
import { pairedRatios, type Summary, summarize } from "./statistics.js";

/** One measurement of one proxy in one row and round. */
export interface Sample {
  readonly round: number;
  readonly values: Readonly<Partial<Record<Metric, number>>>;
  readonly errors: number;
  readonly firstError: string | undefined;
  /** Cores kept busy by others meanwhile. */
  readonly foreignCores: number;
  /** What a reader must know to compare it, such as a lower rate. */
  readonly note: string | undefined;
}

/** More than this of a core taken by others makes a sample doubtful: it is measured again, and marked if that does not help. */
export const MAX_FOREIGN_CORES = 0.1;

/** All rounds of one proxy in one row. */
export interface Cell {
  readonly row: string;
  readonly peer: string;
  /** Why there are no samples. */
  readonly skipped: string | undefined;
  readonly samples: readonly Sample[];
}

/** One pass over all rows, with access logs off or on. */
export interface Pass {
  readonly logs: boolean;
  readonly cells: readonly Cell[];
}

export function hasErrors(cell: Cell): boolean {
  return cell.samples.some((sample) => sample.errors > 0);
}

/**
 * Why a pass proves nothing of some rows, one line each: a proxy answered wrongly or not at all, or the subject was not
 * measured. A peer that is not installed is no failure.
 */
export function failuresOf(pass: Pass, subject: string): string[] {
  return pass.cells.flatMap(({ row, peer, skipped, samples }) => {
    const broken = samples.find((sample) => sample.errors > 0);
    if (broken !== undefined) {
      const errors = samples.reduce((sum, sample) => sum + sample.errors, 0);
      return [`${row}, ${peer}: ${errors} errors, the first: ${broken.firstError ?? "unknown"}`];
    }
    return peer === subject && skipped !== undefined ? [`${row}, ${peer}: ${skipped}`] : [];
  });
}

/** How many samples were taken while others used the machine, of how many. */
export function countDisturbed(pass: Pass): { disturbed: number; samples: number } {
  const samples = pass.cells.flatMap((cell) => cell.samples);
  const disturbed = samples.filter((sample) => sample.foreignCores > MAX_FOREIGN_CORES).length;
  return { disturbed, samples: samples.length };
}

export function findCell(pass: Pass, row: string, peer: string): Cell | undefined {
  return pass.cells.find((cell) => cell.row === row && cell.peer === peer);
}

function byRound(cell: Cell, metric: Metric): Map<number, number> {
  const values = new Map<number, number>();
  for (const sample of cell.samples) {
    const value = sample.values[metric];
    if (value !== undefined) values.set(sample.round, value);
  }
  return values;
}

/** Median and interval of one number; undefined where it was not measured. */
export function summaryOf(cell: Cell, metric: Metric): Summary | undefined {
  return summarize([...byRound(cell, metric).values()]);
}

/** Ratio to another cell, paired by round. Undefined when either is missing or had errors: broken rows are not compared. */
export function ratioOf(cell: Cell, reference: Cell | undefined, metric: Metric): Summary | undefined {
  if (reference === undefined || hasErrors(cell) || hasErrors(reference)) return undefined;
  return summarize(pairedRatios(byRound(cell, metric), byRound(reference, metric)));
}

/** `unmeasured` counts as missed. A limit is missed only when the whole interval lies past it. */
export type Verdict = "kept" | "missed" | "unmeasured";

/** Whether a pass keeps a limit, and the interval that says so. */
export function judge(
  pass: Pass,
  limit: Limit,
  subject: string,
): { verdict: Verdict; found: Summary | undefined } {
  const cell = findCell(pass, limit.row, subject);
  if (cell === undefined || hasErrors(cell)) return { verdict: "unmeasured", found: undefined };
  const found =
    limit.against === undefined
      ? summaryOf(cell, limit.metric)
      : ratioOf(cell, findCell(pass, limit.row, limit.against), limit.metric);
  if (found === undefined) return { verdict: "unmeasured", found };
  const isMissed = limit.bound === "at most" ? found.low > limit.value : found.high < limit.value;
  return { verdict: isMissed ? "missed" : "kept", found };
}
