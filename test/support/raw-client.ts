import { connect, type Socket } from "node:net";

/** How a connection ended: by a FIN, or by a reset. */
export type ConnectionEnd = "end" | "reset";

/** A client that sends exactly the bytes it is given and keeps all that comes back, as latin1 text. */
export class RawClient {
  readonly socket: Socket;
  /** Undefined while the other side may still send. */
  ended: ConnectionEnd | undefined;
  /** Both directions are gone. */
  closed = false;
  readonly #waiting = new Set<() => void>();
  #seen = "";
  /** The last of it, in which a Date line may have begun. Only this is looked at again: texts may be large. */
  #tail = "";

  constructor(port: number, localAddress = "127.0.0.1") {
    const host = "127.0.0.1";
    this.socket = connect({ host, port, localAddress, allowHalfOpen: true, noDelay: true });
    const { socket } = this;
    socket.on("data", (chunk: Buffer) => {
      const tail = withoutDate(this.#tail + chunk.toString("latin1"));
      const from = Math.max(tail.length - DATE_LINE_BYTES - 4, 0);
      this.#seen += tail.slice(0, from);
      this.#tail = tail.slice(from);
      this.#wake();
    });
    socket.on("end", () => {
      this.ended ??= "end";
      this.#wake();
    });
    socket.on("error", () => {
      this.ended ??= "reset";
      this.#wake();
    });
    socket.on("close", () => {
      this.ended ??= "reset";
      this.closed = true;
      this.#wake();
    });
  }

  /** Everything received so far, but for the Date lines that the proxy adds: no text could tell them ahead. */
  get text(): string {
    return this.#seen + this.#tail;
  }

  /** Sends the portions, each in a write of its own that the kernel took before the next. */
  async send(...portions: readonly (string | Buffer)[]): Promise<void> {
    for (const portion of portions) {
      const bytes = typeof portion === "string" ? Buffer.from(portion, "latin1") : portion;
      await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()));
      if (portions.length > 1) await turn();
    }
  }

  /** Half-close. */
  finish(): void {
    this.socket.end();
  }

  /** Leaves, with a FIN. */
  leave(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Takes nothing more, so that what comes piles up in the kernel and then in the proxy. */
  stall(): void {
    this.socket.pause();
  }

  unstall(): void {
    this.socket.resume();
  }

  /** Waits until something holds of what came. */
  async until(holds: (text: string) => boolean, what = "the expected answer"): Promise<void> {
    while (!holds(this.text)) {
      if (this.closed) throw new Error(`closed before ${what}: ${JSON.stringify(this.text.slice(-300))}`);
      await this.#change();
    }
  }

  /** Waits for a text. */
  async receives(part: string): Promise<void> {
    await this.until((text) => text.includes(part), JSON.stringify(part));
  }

  /** Waits until the other side ended; answers all that came. */
  async end(): Promise<string> {
    while (this.ended === undefined) await this.#change();
    return this.text;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** Length of a Date line. */
export const DATE_LINE_BYTES = "date: Sat, 01 Jan 2000 00:00:00 GMT\r\n".length;

/** What was received without the Date lines that the proxy added; it alone writes the name in lower case. */
export function withoutDate(text: string): string {
  return text.replaceAll(/\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT(?=\r\n)/g, "");
}

/** One turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets the event loop turn until something holds; the test's own time limit bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}
