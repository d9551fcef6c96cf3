import { type Logger, pino } from "pino";
import type { LineSink } from "./line-sink.js";

/**
 * What the parts of the program log through. The message is constant and in lower case; what varies goes into
 * the fields (`pool`, `backend`, `code`, `durationMs`).
 */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Least severe line that is written; `silent` writes none. */
export type LogThreshold = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** The log of the process: makes one logger per component and steers them all. */
export interface RootLog extends Log {
  /** A logger that adds `component` (and the given fields) to each line. Its level follows the root's. */
  child(component: string, fields?: object): Log;
  /** Takes effect at once, for every child too. */
  setLevel(level: LogThreshold): void;
  level(): LogThreshold;
}

/** Names under which a secret may appear in the fields of a line, at the top or one level down. */
const secretNames = ["token", "authorization", "auth", "password", "secret", "cookie", "x-consul-token"];

const redactedPaths = secretNames.flatMap((name) => [
  `["${name}"]`,
  `*["${name}"]`,
  `headers["${name}"]`,
  `*.headers["${name}"]`,
]);

class PinoLog implements RootLog {
  readonly #root: Logger;
  readonly #children: Logger[] = [];

  constructor(level: LogThreshold, destination: LogDestination) {
    const options = {
      level,
      base: { pid: process.pid },
      redact: { paths: redactedPaths, censor: "[redacted]" },
      formatters: { level: (label: string) => ({ level: label }) },
      // As in access lines, so that both can be read and merged by eye.
      timestamp: pino.stdTimeFunctions.isoTime,
    };
    this.#root = pino(options, destination);
  }

  debug(fields: object, message: string): void {
    this.#root.debug(fields, message);
  }

  info(fields: object, message: string): void {
    this.#root.info(fields, message);
  }

  warn(fields: object, message: string): void {
    this.#root.warn(fields, message);
  }

  error(fields: object, message: string): void {
    this.#root.error(fields, message);
  }

  child(component: string, fields: object = {}): Log {
    const child = this.#root.child({ component, ...fields });
    this.#children.push(child);
    return child;
  }

  setLevel(level: LogThreshold): void {
    this.#root.level = level;
    // A pino child copies its parent's level when it is made and never looks again.
    for (const child of this.#children) child.level = level;
  }

  level(): LogThreshold {
    return this.#root.level as LogThreshold;
  }
}

/**
 * Opens the process log: JSON lines with pino's fields (`level` as a word, `time` in ISO 8601 of UTC,
 * `msg`), secrets replaced by `[redacted]`. Children are for components that live as long as the
 * process, since they are remembered.
 */
export function createLog(level: LogThreshold, destination: LogDestination): RootLog {
  return new PinoLog(level, destination);
}

/** Where log lines go: takes each with its newline, at once. */
export interface LogDestination {
  write(line: string): void;
}

/** Log lines on their way to a sink, which takes one byte per character. */
export function logLinesTo(sink: LineSink): LogDestination {
  return { write: (line) => sink.write(Buffer.from(line).toString("latin1")) };
}
