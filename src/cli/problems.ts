import type { LoadResult } from "../config/load.js";
import { formatProblem, type Problem } from "../config/problem.js";
import { countOf } from "./count.js";
import type { Terminal } from "./terminal.js";

/** Writes every problem of a configuration and, last, where the eye rests, how many there are. */
export function complainOf(problems: readonly Problem[], file: string, terminal: Terminal): void {
  for (const problem of problems) terminal.complain(formatProblem(problem));
  terminal.complain(`pilotfish: ${countOf(problems.length, "problem")} in ${file}`);
}

/** Writes the warnings of a configuration that is otherwise fine. */
export function warnOf(result: Extract<LoadResult, { ok: true }>, terminal: Terminal): void {
  for (const warning of result.warnings) {
    terminal.complain(formatProblem({ ...warning, message: `warning: ${warning.message}` }));
  }
}
