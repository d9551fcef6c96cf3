import { type DestinationStream, type Logger, destination as openDestination, pino } from "pino";

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
  /** Lines lost because the sink did not take them in time. */
  droppedLines(): number;
  /** Writes out what is buffered. For the end of the process: waits for a sink that is slow. */
  flush(): void;
}

/** Bytes that may wait for a slow standard output; what comes beyond is dropped and counted. */
const bufferBytesMax = 1024 * 1024;

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
  readonly #flush: () => void;
  #dropped = 0;

  constructor(level: LogThreshold, sink: DestinationStream | undefined) {
    const options = {
      level,
      base: { pid: process.pid },
      redact: { paths: redactedPaths, censor: "[redacted]" },
      formatters: { level: (label: string) => ({ level: label }) },
    };
    if (sink !== undefined) {
      this.#root = pino(options, sink);
      this.#flush = () => {};
      return;
    }
    // Written in the background: a blocked pipe behind a synchronous sink stops the whole event loop.
    const stdout = openDestination({ fd: 1, sync: false, maxLength: bufferBytesMax });
    stdout.on("drop", () => {
      this.#dropped += 1;
    });
    this.#root = pino(options, stdout);
    this.#flush = () => stdout.flushSync();
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

  droppedLines(): number {
    return this.#dropped;
  }

  flush(): void {
    this.#flush();
  }
}

/**
 * Opens the process log: JSON lines with pino's fields (`level` as a word, `time` in milliseconds of the Unix
 * epoch, `msg`), secrets replaced by `[redacted]`. Children are for components that live as long as the
 * process, since they are remembered.
 *
 * @param destination takes each line; standard output when left out, buffered and never blocking.
 */
export function createLog(level: LogThreshold, destination?: DestinationStream): RootLog {
  return new PinoLog(level, destination);
}
