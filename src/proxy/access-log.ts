import type { AccessLogConfig } from "../config/model.js";
import type { Clock } from "../platform/clock.js";
import { LineSink } from "../platform/line-sink.js";
import { openFile, openStream } from "../platform/line-target.js";
import { formatHaproxy } from "./access-log-haproxy.js";
import { formatJson } from "./access-log-json.js";
import type { AccessRecord, AccessSink } from "./access-record.js";

/** What the access log works with. */
export interface AccessLogOptions {
  readonly clock: Clock;
  /** Told when lines can no longer be written, once per row of failures. */
  readonly onFailure: (error: Error) => void;
  /** Standard output, where it is shared with other writers; they close it. */
  readonly stdout?: LineSink;
}

/**
 * Request path. One line per exchange and per tunnel, in the configured format, to a place that may be slow
 * or stuck without holding up traffic.
 */
export class AccessLog implements AccessSink {
  readonly #options: AccessLogOptions;
  #target: AccessTarget;

  private constructor(options: AccessLogOptions, target: AccessTarget) {
    this.#options = options;
    this.#target = target;
  }

  /** Opens the place lines go to; fails with the system's error when a file cannot be opened. */
  static async open(config: AccessLogConfig, options: AccessLogOptions): Promise<AccessLog> {
    return new AccessLog(options, await openTarget(config, options));
  }

  /**
   * Opens another place ahead of a change; the function that it answers puts it in use. Fails with the system's
   * error when a file cannot be opened.
   */
  async prepare(config: AccessLogConfig): Promise<() => void> {
    const target = await openTarget(config, this.#options);
    return () => {
      const previous = this.#target;
      this.#target = target;
      if (previous.isOwned) void previous.sink?.close(LAST_LINES_MS);
    };
  }

  /** Lines lost to a slow, stuck or failing target. */
  get droppedLines(): number {
    return this.#target.sink?.droppedLines ?? 0;
  }

  get writtenLines(): number {
    return this.#target.sink?.writtenLines ?? 0;
  }

  write(record: AccessRecord): void {
    const { sink, format } = this.#target;
    sink?.write(format(record));
  }

  /** Opens the file anew, so that a renamed one can be put away. On failure the old one stays in use. */
  async reopen(): Promise<void> {
    const { path, sink } = this.#target;
    if (path !== undefined) sink?.redirect(await openFile(path));
  }

  /** Writes what waits, for at most `deadlineMs`. Lines that come later are dropped. */
  async close(deadlineMs: number): Promise<void> {
    if (this.#target.isOwned) await this.#target.sink?.close(deadlineMs);
  }
}

/** Where lines go, and how they are written. */
interface AccessTarget {
  readonly format: (record: AccessRecord) => string;
  /** Undefined where none are written. */
  readonly sink: LineSink | undefined;
  /** Of a file. */
  readonly path: string | undefined;
  /** Whether it is closed with the access log. */
  readonly isOwned: boolean;
}

/** How long lines for a place that was given up may take to get out. */
const LAST_LINES_MS = 1_000;

async function openTarget(config: AccessLogConfig, options: AccessLogOptions): Promise<AccessTarget> {
  const format = config.format === "haproxy" ? formatHaproxy : formatJson;
  const { to } = config;
  if (config.format === "off") return { format, sink: undefined, path: undefined, isOwned: true };
  if (to.kind === "file") {
    return { format, sink: new LineSink(await openFile(to.path), options), path: to.path, isOwned: true };
  }
  // Two sinks on one pipe would cut into each other's lines.
  if (to.kind === "stdout" && options.stdout !== undefined) {
    return { format, sink: options.stdout, path: undefined, isOwned: false };
  }
  const sink = new LineSink(openStream(to.kind === "stdout" ? 1 : 2), options);
  return { format, sink, path: undefined, isOwned: true };
}
