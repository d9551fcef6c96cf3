/**
 * The seam between sockets and protocols: one stream of bytes both ways, with back-pressure. Protocol stages
 * (prefix, HTTP/1, tunnel) see only this, so that the way bytes are read can change in one place.
 */

/** What a protocol stage is told. No callback is made after `onClose`. */
export interface ConnectionHandler {
  /**
   * Bytes arrived. The chunk lies in a buffer shared by all connections and is valid only during this call:
   * whatever must outlive it is copied, except through `write`, which does so itself where needed.
   */
  onData(chunk: Buffer): void;
  /** The peer will send no more; we may still write. */
  onEnd(): void;
  /** A `write` answered false before, and the queue has emptied since. */
  onDrain(): void;
  /** Both directions are gone. `error` is what broke it, undefined after an orderly end. */
  onClose(error: Error | undefined): void;
}

/** One stream of bytes both ways. */
export interface Connection {
  /** Who is told. Stages hand a connection on by setting it. */
  handler: ConnectionHandler;
  /** IP literal of the peer; empty on a unix socket. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly bytesRead: number;
  /** Bytes accepted by `write`, the held ones included. */
  readonly bytesWritten: number;
  /** Bytes accepted by `write` that nobody tried to send yet: they wait for the end of the turn, or for `flush`. */
  readonly heldBytes: number;
  /** Bytes that the kernel was given and has not taken yet; held ones do not count. */
  readonly pendingBytes: number;
  /** Whether `destroy` was called or both directions ended. */
  readonly closed: boolean;
  /**
   * Sends bytes, which may lie in the shared read buffer. False asks the caller to hold back until `onDrain`;
   * the bytes were accepted all the same.
   */
  write(bytes: Uint8Array): boolean;
  /**
   * The same for text whose characters are all below 256, sent one byte each, with bytes and more text behind
   * it in one write.
   */
  writeText(text: string, bytes?: Uint8Array, after?: string): boolean;
  /** Sends what is held. */
  flush(): void;
  /** Stops reading, so that TCP holds the peer back. */
  pause(): void;
  resume(): void;
  /** Half-close: sends what is held and queued, then says that no more will come. */
  end(): void;
  /** Drops everything at once, held bytes too. `onClose` follows. */
  destroy(): void;
  /** Like `destroy`, with a TCP reset instead of an orderly end, so that the peer can tell. */
  reset(): void;
}

/** Of a connection that nobody serves yet. */
export const NO_HANDLER: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };

/**
 * Most bytes that are written as text: strings up to this size are encoded on the stack, and what the kernel
 * leaves is copied by the runtime.
 */
export const TEXT_BYTES_MAX = 16 * 1024;

/** Queued bytes from which on `write` asks to hold back. */
export const PENDING_BYTES_MAX = 64 * 1024;

/** Node's types hide the latin1 accessors behind `toString` and `write`; both are slower on small slices. */
export interface Latin1Buffer extends Buffer {
  latin1Slice(start: number, end: number): string;
}

/** The same bytes as a Buffer. */
export function viewOf(bytes: Uint8Array): Latin1Buffer {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer as Latin1Buffer;
}

/** An IPv4 client on a dual-stack socket shows as ::ffff:a.b.c.d. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
