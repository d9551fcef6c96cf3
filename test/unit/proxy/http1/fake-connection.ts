import type { Connection, ConnectionHandler } from "../../../../src/proxy/connection.js";

/** One read buffer for all fake connections, overwritten by each read as the real one is. */
const readBuffer = Buffer.alloc(64 * 1024);

const WRITE_LIMIT = 64 * 1024;

/** A connection without a socket: the test plays the peer, and the kernel that takes bytes or does not. */
export class FakeConnection implements Connection {
  handler: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  readonly remoteAddress: string;
  readonly remotePort = 40_000;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 8080;
  bytesRead = 0;
  bytesWritten = 0;
  pendingBytes = 0;
  heldBytes = 0;
  closed = false;
  /** What was written, in latin1, whether the peer took it or not. */
  sent = "";
  isPaused = true;
  hasEnded = false;
  wasReset = false;
  /** While false, what is written stays pending. */
  isTaking = true;
  #isHeldBack = false;
  /** Bytes of the peer that nobody has read yet. */
  #unread: string[] = [];
  #peerEnded = false;
  #isDelivering = false;

  constructor(remoteAddress = "192.0.2.7") {
    this.remoteAddress = remoteAddress;
  }

  write(bytes: Uint8Array): boolean {
    return this.#take(Buffer.from(bytes).toString("latin1"));
  }

  writeText(text: string, bytes?: Uint8Array, after = ""): boolean {
    return this.#take(text + (bytes === undefined ? "" : Buffer.from(bytes).toString("latin1")) + after);
  }

  flush(): void {}

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    if (this.#isDelivering) return;
    // As with a socket, bytes come in a later turn.
    queueMicrotask(() => this.deliver());
  }

  end(): void {
    this.hasEnded = true;
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    queueMicrotask(() => this.handler.onClose(undefined));
  }

  reset(): void {
    this.wasReset = true;
    this.destroy();
  }

  /** The peer sends these pieces, one read each. */
  receive(...pieces: string[]): void {
    this.#unread.push(...pieces);
    this.deliver();
  }

  /** The peer will send no more. */
  receiveEnd(): void {
    this.#peerEnded = true;
    this.deliver();
  }

  /** The peer vanished. */
  receiveReset(): void {
    this.closed = true;
    this.handler.onClose(new Error("reset"));
  }

  /** The peer takes everything that is pending. */
  drain(): void {
    this.isTaking = true;
    this.pendingBytes = 0;
    if (!this.#isHeldBack) return;
    this.#isHeldBack = false;
    this.handler.onDrain();
  }

  /** Hands over what may be read. */
  deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (!this.isPaused && !this.closed) {
      const piece = this.#unread.shift();
      if (piece === undefined) break;
      const length = readBuffer.write(piece, "latin1");
      this.bytesRead += length;
      this.handler.onData(readBuffer.subarray(0, length));
      // The next read of any connection overwrites what was there.
      readBuffer.fill(0x58);
    }
    this.#isDelivering = false;
    if (this.#peerEnded && !this.isPaused && !this.closed && this.#unread.length === 0) {
      this.#peerEnded = false;
      this.handler.onEnd();
    }
  }

  #take(text: string): boolean {
    if (this.closed || this.hasEnded) return true;
    this.sent += text;
    this.bytesWritten += text.length;
    if (this.isTaking) return true;
    this.pendingBytes += text.length;
    if (this.pendingBytes < WRITE_LIMIT) return true;
    this.#isHeldBack = true;
    return false;
  }
}

/** Lets everything that was put off to a later turn happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}
