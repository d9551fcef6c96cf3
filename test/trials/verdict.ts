import type { LoadReport, LoadResult } from "../support/load.js";

/** How a trial came out. */
export interface Verdict {
  readonly requests: number;
  /** Not answered whole with 200 by a backend, whatever the reason. */
  readonly failed: number;
  /** Of the failed: those whose client saw its connection reset or refused. */
  readonly resets: number;
  /** POSTs that backends executed more than once. */
  readonly twice: number;
  readonly p99Ms: number;
  /** What failed, and how often. */
  readonly problems: Readonly<Record<string, number>>;
}

/** Judges traffic by what its clients saw and what backends executed. */
export function verdictOf(report: LoadReport, executions: ReadonlyMap<string, number>): Verdict {
  const { failed, results } = report;
  return {
    requests: results.length,
    failed: failed.length,
    resets: failed.filter(isReset).length,
    twice: results.filter(({ method, id }) => method === "POST" && (executions.get(id) ?? 0) > 1).length,
    p99Ms: report.latency(0.99),
    problems: report.problems(),
  };
}

function isReset({ problem }: LoadResult): boolean {
  return /ECONNRESET|ECONNREFUSED|EPIPE|hang up|ended after/.test(problem);
}
