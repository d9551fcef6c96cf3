import { constants } from "node:fs";
import { chmod, lstat, mkdir, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock, Timer } from "./clock.js";
import type { Log } from "./log.js";

/** Longest file that is read; a longer one is none of ours. */
const MOST_BYTES = 64 * 1024 * 1024;
/** After a failed write. */
const RETRY_MS = 5_000;

/** What a state file is for. */
export interface StateFileOptions {
  readonly path: string;
  /** Names its content inside of the file, so that a file put under the wrong name is not taken for another. */
  readonly kind: string;
  /** Of the content's form. A file of another version is refused. */
  readonly version: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** What was in a state file, and since when. */
export interface KeptState {
  readonly data: unknown;
  /** Wall clock at the time of writing, milliseconds since the Unix epoch. */
  readonly savedWallMs: number;
}

interface Envelope extends KeptState {
  readonly kind: string;
  readonly version: number;
}

/**
 * Something that is to outlive the process, as JSON in a file for its owner alone (0600). Written whole beside the
 * old one and renamed over it, so that a crash leaves one or the other. Writes are made one after the other and
 * only the latest counts; one that fails is logged and tried again. A file that is damaged, foreign, of another
 * version or writable by others is moved aside with a warning and never an error.
 */
export class StateFile {
  readonly #options: StateFileOptions;
  #wanted: (() => unknown) | undefined;
  #isWriting = false;
  #retry: Timer | undefined;
  #idle: (() => void)[] = [];

  constructor(options: StateFileOptions) {
    this.#options = options;
  }

  /** Undefined where there is none that can be believed. */
  async read(): Promise<KeptState | undefined> {
    const { path, log } = this.#options;
    try {
      return await this.#open();
    } catch (error) {
      if (isMissing(error)) return undefined;
      const aside = `${path}.refused`;
      log.warn({ file: path, aside, err: error }, "kept state refused, starting without it");
      await rename(path, aside).catch(() => {});
      return undefined;
    }
  }

  /** Has the content written soon; it is asked for when the write begins. */
  save(content: () => unknown): void {
    this.#wanted = content;
    if (this.#isWriting || this.#retry !== undefined) return;
    this.#isWriting = true;
    void this.#writeAll();
  }

  /** Resolves when nothing is left to be written, or the last try has failed. */
  flush(): Promise<void> {
    if (this.#retry !== undefined) {
      this.#retry.cancel();
      this.#retry = undefined;
      if (this.#wanted !== undefined) this.save(this.#wanted);
    }
    if (!this.#isWriting) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async #open(): Promise<KeptState> {
    const { path, kind, version } = this.#options;
    const found = await lstat(path);
    if (!found.isFile()) throw new Error("it is no regular file");
    if (process.getuid !== undefined && found.uid !== process.getuid())
      throw new Error("another user owns it");
    if ((found.mode & 0o022) !== 0) throw new Error("others may write it");
    if (found.size > MOST_BYTES) throw new Error(`it is longer than ${MOST_BYTES} bytes`);
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    let text: string;
    try {
      text = await file.readFile("utf8");
    } finally {
      await file.close();
    }
    const envelope: unknown = JSON.parse(text);
    if (!isEnvelope(envelope)) throw new Error("it is no state of pilotfish");
    if (envelope.kind !== kind) throw new Error(`it holds ${envelope.kind}, not ${kind}`);
    if (envelope.version !== version) throw new Error(`its version is ${envelope.version}, not ${version}`);
    return { data: envelope.data, savedWallMs: envelope.savedWallMs };
  }

  async #writeAll(): Promise<void> {
    const { path, clock, log } = this.#options;
    while (this.#wanted !== undefined) {
      const content = this.#wanted;
      this.#wanted = undefined;
      try {
        await this.#write(content());
      } catch (error) {
        log.warn({ file: path, err: error }, "state cannot be kept, trying again");
        this.#wanted ??= content;
        this.#retry = clock.after(RETRY_MS, () => {
          this.#retry = undefined;
          if (this.#wanted !== undefined) this.save(this.#wanted);
        });
        break;
      }
    }
    this.#isWriting = false;
    for (const tell of this.#idle.splice(0)) tell();
  }

  async #write(data: unknown): Promise<void> {
    const { path, kind, version, clock } = this.#options;
    const envelope: Envelope = { kind, version, savedWallMs: clock.wallMs(), data };
    await prepareStateDir(dirname(path));
    const draft = `${path}.${process.pid}.new`;
    try {
      const file = await open(draft, "w", 0o600);
      try {
        await file.writeFile(JSON.stringify(envelope));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await unlink(draft).catch(() => {});
      throw error;
    }
  }
}

/** Makes the folder for its owner alone where it is missing. Rejects where it cannot be used. */
export async function prepareStateDir(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await chmod(path, 0o700);
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== "object" || value === null) return false;
  const { kind, version, savedWallMs } = value as Partial<Record<keyof Envelope, unknown>>;
  return typeof kind === "string" && typeof version === "number" && typeof savedWallMs === "number";
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
