import type { EventEmitter } from "node:events";

/** What a command touches of the process, so that a test can stand in for it. */
export interface Terminal {
  /** Results, on standard output. A newline is added. */
  print(text: string): void;
  /** Problems and progress, on standard error. A newline is added. */
  complain(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Emits SIGINT, SIGTERM and SIGHUP. */
  readonly signals: EventEmitter;
}

/** The terminal of this very process. */
export function processTerminal(): Terminal {
  // `pilotfish schema | head` closes the pipe early; the rest of the output has no reader and no meaning.
  const ignore = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") throw error;
  };
  process.stdout.on("error", ignore);
  process.stderr.on("error", ignore);
  return {
    print: (text) => void process.stdout.write(`${text}\n`),
    complain: (text) => void process.stderr.write(`${text}\n`),
    env: process.env,
    signals: process,
  };
}
