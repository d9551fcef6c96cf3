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
  readonly #format: (record: AccessRecord) => string;
  readonly #sink: LineSink | undefined;
  readonly #path: string | undefined;
  readonly #isOwned: boolean;

  private constructor(
    format: (record: AccessRecord) => string,
    sink: LineSink | undefined,
    path: string | undefined,
    isOwned: boolean,
  ) {
    this.#format = format;
    this.#sink = sink;
    this.#path = path;
    this.#isOwned = isOwned;
  }

  /** Opens the place lines go to; fails with the system's error when a file cannot be opened. */
  static async open(config: AccessLogConfig, options: AccessLogOptions): Promise<AccessLog> {
    const format = config.format === "haproxy" ? formatHaproxy : formatJson;
    if (config.format === "off") return new AccessLog(format, undefined, undefined, true);
    const { to } = config;
    if (to.kind === "file") {
      return new AccessLog(format, new LineSink(await openFile(to.path), options), to.path, true);
    }
    // Two sinks on one pipe would cut into each other's lines.
    if (to.kind === "stdout" && options.stdout !== undefined) {
      return new AccessLog(format, options.stdout, undefined, false);
    }
    const target = openStream(to.kind === "stdout" ? 1 : 2);
    return new AccessLog(format, new LineSink(target, options), undefined, true);
  }

  /** Lines lost to a slow, stuck or failing target. */
  get droppedLines(): number {
    return this.#sink?.droppedLines ?? 0;
  }

  get writtenLines(): number {
    return this.#sink?.writtenLines ?? 0;
  }

  write(record: AccessRecord): void {
    this.#sink?.write(this.#format(record));
  }

  /** Opens the file anew, so that a renamed one can be put away. On failure the old one stays in use. */
  async reopen(): Promise<void> {
    if (this.#path !== undefined) this.#sink?.redirect(await openFile(this.#path));
  }

  /** Writes what waits, for at most `deadlineMs`. Lines that come later are dropped. */
  async close(deadlineMs: number): Promise<void> {
    if (this.#isOwned) await this.#sink?.close(deadlineMs);
  }
}
