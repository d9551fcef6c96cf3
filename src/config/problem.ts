/** One thing that is wrong with a configuration, or worth a warning, in words for the person who wrote it. */
export interface Problem {
  /** The file as it was named; `environment` or `command line` for what came from there. */
  readonly file: string;
  /** Counted from 1; undefined when the problem is not in a text. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** `pools[1].timeouts.connect`, or the name of the variable or flag; empty when it is the file as a whole. */
  readonly path: string;
  /** `found X, expected Y` with "did you mean" where something is near. Holds no secrets. */
  readonly message: string;
  /** The line of the file; undefined where there is none or it holds a secret. */
  readonly excerpt: string | undefined;
}

const MAX_EXCERPT = 100;

/**
 * Writes a problem as `file:line:col path: message`, and below it the line of the file with a mark. No newline at
 * the end.
 */
export function formatProblem(problem: Problem): string {
  const place = problem.line === undefined ? "" : `:${problem.line}:${problem.column ?? 1}`;
  const path = problem.path === "" ? "" : ` ${problem.path}`;
  const head = `${problem.file}${place}${path}: ${problem.message}`;
  if (problem.excerpt === undefined || problem.line === undefined) return head;
  const number = String(problem.line).padStart(5);
  const blank = " ".repeat(number.length);
  const column = (problem.column ?? 1) - 1;
  // A long line is shown around the mark; the cut is made visible.
  const start = column < MAX_EXCERPT - 20 ? 0 : column - 40;
  const cut = problem.excerpt.slice(start, start + MAX_EXCERPT);
  const shown = `${start > 0 ? "..." : ""}${cut}${problem.excerpt.length > start + MAX_EXCERPT ? "..." : ""}`;
  const before = problem.excerpt.slice(start, column).replace(/[^\t]/g, " ");
  const mark = `${start > 0 ? "   " : ""}${before}^`;
  return `${head}\n${number} | ${shown}\n${blank} | ${mark}`;
}
