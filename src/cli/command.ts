import type { Command } from "commander";
import type { Terminal } from "./terminal.js";

/** What a command is given. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly version: string;
  /** Tells the exit code of the command; the last word counts. */
  exitWith(code: number): void;
}

/** Adds one command to the program. Each command is one file that exports one of these. */
export type AddCommand = (program: Command, context: CommandContext) => void;
