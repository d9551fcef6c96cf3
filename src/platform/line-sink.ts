import type { Clock, Timer } from "./clock.js";

/** Where lines go: a descriptor, as far as the sink needs it. */
export interface LineTarget {
  /** Writes from `offset` on and calls back once with how many bytes were taken, or with what went wrong. */
  write(chunk: Buffer, offset: number, done: (error: Error | undefined, bytes: number) => void): void;
  /** Gives the descriptor up. No write is under way. */
  close(): void;
}

/** What a sink works with. */
export interface LineSinkOptions {
  readonly clock: Clock;
  /** Told of the first of a row of failures; lines lost after it are only counted. */
  readonly onFailure: (error: Error) => void;
  /** Most bytes that wait, those of the write under way included. Default 1 MiB. */
  readonly bufferBytesMax?: number;
}

const BUFFER_BYTES_MAX = 1024 * 1024;

/** Lines are written together when this much waits ... */
const FLUSH_BYTES = 64 * 1024;

/** ... or the oldest has waited for this long. */
const FLUSH_MS = 100;

/** A pipe that is full is tried again after this long. */
const RETRY_MS = 20;

/**
 * Request path. Lines on their way to a descriptor: one write at a time, off the caller's path, behind a
 * buffer with a limit. A target that is slow or stuck costs lines, which are counted, and never time.
 */
export class LineSink {
  readonly #clock: Clock;
  readonly #onFailure: (error: Error) => void;
  readonly #bufferBytesMax: number;
  #target: LineTarget;
  #next: LineTarget | undefined;
  /** One character is one byte: lines are latin1. */
  #pending = "";
  #pendingLines = 0;
  #chunk: Buffer | undefined;
  #chunkLines = 0;
  #offset = 0;
  #isTimed = false;
  #timer: Timer | undefined;
  #isFailing = false;
  #isClosed = false;
  /** Closed, and no longer waiting for the last write. */
  #isOver = false;
  #onIdle: (() => void) | undefined;
  #droppedLines = 0;
  #writtenLines = 0;

  constructor(target: LineTarget, options: LineSinkOptions) {
    this.#target = target;
    this.#clock = options.clock;
    this.#onFailure = options.onFailure;
    this.#bufferBytesMax = options.bufferBytesMax ?? BUFFER_BYTES_MAX;
  }

  /** Lines lost because the target did not take them in time, or at all. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  get writtenLines(): number {
    return this.#writtenLines;
  }

  /** Takes a line, newline included, whose characters are all below 256. */
  write(line: string): void {
    const waiting = this.#pending.length + (this.#chunk?.length ?? 0);
    if (this.#isClosed || waiting + line.length > this.#bufferBytesMax) {
      this.#droppedLines++;
      return;
    }
    this.#pending += line;
    this.#pendingLines++;
    if (this.#chunk !== undefined) return;
    if (this.#pending.length >= FLUSH_BYTES) this.#flush();
    else if (!this.#isTimed) this.#flushSoon();
  }

  /** Goes on with another target as soon as no write is under way; the old one is closed then. */
  redirect(target: LineTarget): void {
    if (this.#isClosed) {
      target.close();
      return;
    }
    this.#next?.close();
    this.#next = target;
    if (this.#chunk === undefined) this.#turnOver();
  }

  /** Writes what waits, for at most `deadlineMs`; what is left then is dropped and counted. */
  async close(deadlineMs: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#chunk === undefined && this.#pending !== "") this.#flush();
    if (this.#chunk !== undefined) await this.#idleOr(deadlineMs);
    this.#timer?.cancel();
    this.#isOver = true;
    this.#droppedLines += this.#pendingLines + this.#chunkLines;
    this.#pending = "";
    this.#pendingLines = 0;
    this.#chunkLines = 0;
    if (this.#chunk === undefined) this.#target.close();
  }

  #idleOr(deadlineMs: number): Promise<void> {
    return new Promise((resolve) => {
      const deadline = this.#clock.after(deadlineMs, resolve);
      this.#onIdle = () => {
        deadline.cancel();
        resolve();
      };
    });
  }

  #flushSoon(): void {
    this.#isTimed = true;
    if (this.#timer === undefined) this.#timer = this.#clock.after(FLUSH_MS, () => this.#flushDue());
    else this.#timer.restart();
  }

  #flushDue(): void {
    this.#isTimed = false;
    if (this.#chunk === undefined && this.#pending !== "") this.#flush();
  }

  #flush(): void {
    this.#chunk = Buffer.from(this.#pending, "latin1");
    this.#chunkLines = this.#pendingLines;
    this.#offset = 0;
    this.#pending = "";
    this.#pendingLines = 0;
    this.#writeRest(this.#chunk);
  }

  #writeRest(chunk: Buffer): void {
    this.#target.write(chunk, this.#offset, (error, bytes) => {
      if (this.#isOver) this.#target.close();
      else if (error === undefined) this.#wrote(chunk, bytes);
      else if ("code" in error && error.code === "EAGAIN")
        this.#clock.after(RETRY_MS, () => this.#retry(chunk));
      else this.#failed(error);
    });
  }

  #retry(chunk: Buffer): void {
    if (this.#isOver) this.#target.close();
    else this.#writeRest(chunk);
  }

  #wrote(chunk: Buffer, bytes: number): void {
    this.#offset += bytes;
    if (this.#offset < chunk.length) {
      this.#writeRest(chunk);
      return;
    }
    this.#isFailing = false;
    this.#writtenLines += this.#chunkLines;
    this.#finish();
  }

  #failed(error: Error): void {
    this.#droppedLines += this.#chunkLines;
    if (!this.#isFailing) this.#onFailure(error);
    this.#isFailing = true;
    this.#finish();
  }

  #finish(): void {
    this.#chunk = undefined;
    this.#chunkLines = 0;
    this.#turnOver();
    if (this.#pending !== "") this.#flush();
    else this.#onIdle?.();
  }

  #turnOver(): void {
    if (this.#next === undefined) return;
    this.#target.close();
    this.#target = this.#next;
    this.#next = undefined;
  }
}
