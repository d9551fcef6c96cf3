import { holdTime, releaseTime } from "../platform/clock.js";
import type { ConnectionHandler } from "./connection.js";

/** Most bytes of one read. */
const READ_BYTES_MAX = 64 * 1024;

/** A read of at least this much is a bulk transfer's; the next ones get a buffer of their own. */
const BULK_BYTES_MIN = 32 * 1024;

/** A read below this ends the bulk transfer. */
const CALM_BYTES_MAX = 4 * 1024;

/** Buffers kept for the next bulk transfers. */
const SPARE_MAX = 32;

/** What all connections read into that move little. Its bytes are gone after the callback. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES_MAX);

/**
 * Views of the shared buffer's beginning, by the lower bits of their lengths. The reads of a steady load repeat
 * their lengths, and to make a view costs more than to find one (the get-64 row pays for it).
 */
const views: (Buffer | undefined)[] = new Array(256).fill(undefined);

function sharedView(length: number): Buffer {
  const known = views[length & 255];
  if (known?.length === length) return known;
  const view = shared.subarray(0, length);
  views[length & 255] = view;
  return view;
}

const spare: Buffer[] = [];

/** Whose bytes are being delivered at this moment. */
let delivering: ReadBuffer | undefined;

/**
 * Request path. Where one connection reads into. While it moves little that is one buffer shared by all, so
 * that a connection costs no memory and a read allocates nothing. A bulk transfer reads into a buffer of its
 * own, which can be handed to the socket it goes to without a copy: when that socket keeps it, the next read
 * gets another (the post-1m row pays for it).
 */
export class ReadBuffer {
  #own: Buffer | undefined;
  #isLent = false;

  /** Where the next read goes. */
  get current(): Buffer {
    return this.#own ?? shared;
  }

  /** Hands on what was read into `current`. */
  deliver(length: number, handler: ConnectionHandler): void {
    delivering = this;
    holdTime();
    try {
      handler.onData(this.#own?.subarray(0, length) ?? sharedView(length));
    } finally {
      releaseTime();
      delivering = undefined;
    }
    this.#choose(length);
  }

  #choose(length: number): void {
    if (this.#own === undefined) {
      if (length >= BULK_BYTES_MIN) this.#own = spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES_MAX);
      return;
    }
    const isCalm = length < CALM_BYTES_MAX;
    if (!this.#isLent && !isCalm) return;
    if (!this.#isLent && spare.length < SPARE_MAX) spare.push(this.#own);
    this.#isLent = false;
    this.#own = isCalm ? undefined : (spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES_MAX));
  }

  /**
   * Whether bytes that are being delivered now may be left with a socket. If so and the socket keeps them,
   * `lend` must be called before the delivery ends.
   */
  static mayLend(bytes: Uint8Array): boolean {
    const own = delivering === undefined ? undefined : delivering.#own;
    return own !== undefined && bytes.buffer === own.buffer;
  }

  /** A socket keeps bytes of the present delivery: its buffer is not read into again. */
  static lend(): void {
    if (delivering !== undefined) delivering.#isLent = true;
  }
}
