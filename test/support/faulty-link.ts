import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * What becomes of what is sent over a link.
 * - `none`: it passes.
 * - `cut`: open connections are reset, and so is each that comes.
 * - `swallow`: it is lost for ever in both directions, as where a firewall forgot the connection; nobody is told.
 * - `delay`: answers come later by `ms`.
 * - `truncate`: half of the answers end somewhere inside, and their connection with them.
 * - `corrupt`: half of the answers have one damaged byte somewhere.
 */
export type LinkFault =
  | { readonly kind: "none" | "cut" | "swallow" | "truncate" | "corrupt" }
  | { readonly kind: "delay"; readonly ms: number };

const HEAD_END = "\r\n\r\n";

/** A TCP proxy on the loopback address that does to the answers of one server what networks do at their worst. */
export class FaultyLink {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #random: () => number;
  #fault: LinkFault = { kind: "none" };
  #answers = 0;
  #damaged = 0;

  private constructor(targetPort: number, random: () => number) {
    this.#random = random;
    this.#server = createServer((near) => this.#join(near, targetPort));
  }

  /** @param random uniform in [0, 1): where answers are damaged */
  static async start(targetPort: number, random: () => number): Promise<FaultyLink> {
    const link = new FaultyLink(targetPort, random);
    await new Promise<void>((resolve, reject) => {
      link.#server.once("error", reject);
      link.#server.listen(0, "127.0.0.1", resolve);
    });
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Answers that were cut short or changed so far. */
  get damaged(): number {
    return this.#damaged;
  }

  /** Answers that came by so far, each counted at its first bytes. */
  get answers(): number {
    return this.#answers;
  }

  /** From now on; a connection whose bytes were swallowed stays dead. */
  set(fault: LinkFault): void {
    this.#fault = fault;
    if (fault.kind === "cut") for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(near: Socket, targetPort: number): void {
    near.on("error", () => {});
    if (this.#fault.kind === "cut") {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ host: "127.0.0.1", port: targetPort });
    let isAsked = false;
    let isDead = false;
    const passes = (): boolean => {
      isDead ||= this.#fault.kind === "swallow";
      return !isDead;
    };
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (passes()) other.destroy();
      });
    }
    near.on("data", (chunk) => {
      isAsked = true;
      if (passes()) far.write(chunk);
    });
    far.on("data", (chunk: Buffer) => {
      const isFirst = isAsked;
      isAsked = false;
      if (isFirst) this.#answers += 1;
      if (passes()) this.#answer(near, chunk, isFirst);
    });
  }

  #answer(near: Socket, chunk: Buffer, isFirst: boolean): void {
    const { kind } = this.#fault;
    if (kind === "delay") {
      this.#later(this.#fault.ms, () => near.write(chunk));
      return;
    }
    const isToDamage = (kind === "truncate" || kind === "corrupt") && isFirst && this.#random() < 0.5;
    if (!isToDamage) {
      near.write(chunk);
      return;
    }
    this.#damaged += 1;
    if (kind === "corrupt") near.write(this.#corrupted(chunk));
    else near.end(chunk.subarray(0, Math.floor(this.#random() * chunk.length)));
  }

  /**
   * In the head the lowest bit turns, so that lengths and indexes become other numbers; in the body the highest, so
   * that no address becomes another machine's.
   */
  #corrupted(chunk: Buffer): Buffer {
    const damaged = Buffer.from(chunk);
    const headBytes = damaged.indexOf(HEAD_END) + HEAD_END.length;
    const isHead = this.#random() < 0.25;
    const [from, length] = isHead ? [0, headBytes] : [headBytes, damaged.length - headBytes];
    const position = from + Math.floor(this.#random() * length);
    damaged[position] = (damaged[position] ?? 0) ^ (isHead ? 0x01 : 0x80);
    return damaged;
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }
}
