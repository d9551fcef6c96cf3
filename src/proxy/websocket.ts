/** RFC 6455 section 5.5.1. */
const OPCODE_CLOSE = 0x8;
/** RFC 6455 section 7.4.1: going away. */
const GOING_AWAY = 1001;

/** Whose frames go to whom. */
export type WebSocketSide = "client" | "backend";

/**
 * Where one direction of a WebSocket stands: between two frames, or within one (RFC 6455 section 5.2). Looks at heads of
 * frames only and steps over what they carry.
 */
export class FrameTracker {
  /** Bytes of the head at hand that were read, and how many it has as far as is known. */
  #read = 0;
  #headBytes = 2;
  /** Where the length ends that follows the first two bytes. */
  #lengthEnd = 2;
  #opcode = 0;
  #length = 0;
  /** What is left of the frame's payload. */
  #left = 0;
  #hasClosed = false;

  /** Whether a control frame may follow here, and its receiver still takes one. */
  get takesFrame(): boolean {
    return this.#read === 0 && this.#left === 0 && !this.#hasClosed;
  }

  take(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, bytes.length - at);
        this.#left -= step;
        at += step;
      } else {
        this.#takeHead(bytes[at++] as number);
      }
    }
  }

  #takeHead(byte: number): void {
    const index = this.#read++;
    if (index === 0) {
      this.#opcode = byte & 0x0f;
      return;
    }
    if (index === 1) {
      const length = byte & 0x7f;
      this.#lengthEnd = length === 127 ? 10 : length === 126 ? 4 : 2;
      this.#headBytes = this.#lengthEnd + ((byte & 0x80) === 0 ? 0 : 4);
      this.#length = length < 126 ? length : 0;
    } else if (index < this.#lengthEnd) {
      this.#length = this.#length * 256 + byte;
    }
    if (this.#read < this.#headBytes) return;
    this.#hasClosed ||= this.#opcode === OPCODE_CLOSE;
    this.#left = this.#length;
    this.#read = 0;
  }
}

/** Follows both directions of a WebSocket, so that both ends can be told that it is over. */
export class WebSocketFarewell {
  readonly #random: () => number;
  readonly #fromClient = new FrameTracker();
  readonly #fromBackend = new FrameTracker();

  /** @param random uniform in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Bytes were passed on. */
  passed(from: WebSocketSide, bytes: Uint8Array): void {
    (from === "client" ? this.#fromClient : this.#fromBackend).take(bytes);
  }

  /**
   * The close frame for one side, 1001; undefined where it would fall into a frame or behind another close frame. What
   * goes to a backend is masked, what goes to a client is not (RFC 6455 section 5.1).
   */
  to(side: WebSocketSide): Buffer | undefined {
    const before = side === "client" ? this.#fromBackend : this.#fromClient;
    if (!before.takesFrame) return undefined;
    const code = Buffer.from([GOING_AWAY >> 8, GOING_AWAY & 0xff]);
    if (side === "client") return Buffer.from([0x80 | OPCODE_CLOSE, code.length, ...code]);
    const mask = Buffer.alloc(4);
    mask.writeUInt32BE(Math.floor(this.#random() * 2 ** 32));
    const masked = code.map((byte, index) => byte ^ (mask[index] as number));
    return Buffer.from([0x80 | OPCODE_CLOSE, 0x80 | code.length, ...mask, ...masked]);
  }
}

/** What follows a tunnel of this protocol; undefined for one that has no word for its end. */
export function farewellOf(upgrade: string | undefined, random: () => number): WebSocketFarewell | undefined {
  return upgrade === "websocket" ? new WebSocketFarewell(random) : undefined;
}
