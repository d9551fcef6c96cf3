import { connect, type Socket } from "node:net";
import { promised } from "./promised.js";

const SOON_MS = 10_000;

/** One end of a TCP connection, with everything that came and how it ended. */
export class RawConnection {
  /** What came, in latin1; may be emptied. */
  text = "";
  /** How many bytes came. */
  bytes = 0;
  readonly #socket: Socket;
  readonly #closed: Promise<"end" | "reset">;
  readonly #ended: Promise<void>;
  #onData: (() => void) | undefined;

  /** @param keepsText whether what comes is kept; a download is better only counted */
  constructor(socket: Socket, keepsText = true) {
    this.#socket = socket;
    let hasFailed = false;
    socket.on("error", () => {
      hasFailed = true;
    });
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve(hasFailed ? "reset" : "end")));
    this.#ended = new Promise((resolve) => socket.once("end", resolve));
    socket.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (keepsText) this.text += chunk.toString("latin1");
      this.#onData?.();
    });
  }

  write(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Sends no more. */
  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Stops reading: what comes stays with the system, and then with the sender. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Waits until what came so far matches. */
  receives(expected: RegExp): Promise<void> {
    const matched = async () => {
      while (!expected.test(this.text)) {
        await new Promise<void>((resolve) => {
          this.#onData = resolve;
        });
      }
    };
    return promised(matched(), SOON_MS, `${expected} in ${JSON.stringify(this.text.slice(-200))}`);
  }

  /** Waits until the other side will send no more. */
  hasEnded(): Promise<void> {
    return promised(this.#ended, SOON_MS, "the end of what the other side sends");
  }

  /** Waits until nothing more can come, by an end or a reset. */
  hasStopped(): Promise<unknown> {
    return promised(Promise.race([this.#ended, this.#closed]), SOON_MS, "the end of what comes");
  }

  /** Waits until the connection is gone: how it went. */
  closed(withinMs = SOON_MS): Promise<"end" | "reset"> {
    return promised(this.#closed, withinMs, "the end of a connection");
  }
}

/** Connects to a port of this machine. */
export function connectTo(port: number, options: { keepsText?: boolean } = {}): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(new RawConnection(socket, options.keepsText ?? true));
    });
  });
}
