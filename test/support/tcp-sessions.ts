import { connect } from "node:net";
import type { LoadResult } from "./load.js";

/** How TCP sessions run. */
export interface TcpSessionsOptions {
  readonly port: number;
  /** Sessions open at any time. */
  readonly open: number;
  /** Messages that each session sends and waits for, one after the other. */
  readonly roundTrips: number;
  /** Between two messages of a session. */
  readonly pauseMs: number;
}

/** Longest wait for one echo. */
const ECHO_MS = 20_000;

/**
 * A closed loop of sessions through a TCP proxy with an echo behind it: connect, so many round trips, a farewell.
 * A session counts as failed where a byte of its echo is missing or wrong, or where it is not ended in order.
 */
export class TcpSessions {
  readonly results: LoadResult[] = [];
  readonly #options: TcpSessionsOptions;
  readonly #prefix: string;
  readonly #lanes: Promise<unknown>;
  #begun = 0;
  #isStopped = false;

  constructor(name: string, options: TcpSessionsOptions) {
    this.#options = options;
    this.#prefix = name;
    this.#lanes = Promise.all(Array.from({ length: options.open }, () => this.#lane()));
  }

  /** Begins no more, waits for what is open. */
  async stop(): Promise<readonly LoadResult[]> {
    this.#isStopped = true;
    await this.#lanes;
    return this.results;
  }

  async #lane(): Promise<void> {
    while (!this.#isStopped) this.results.push(await this.#session(`${this.#prefix}-${this.#begun++}`));
  }

  #session(id: string): Promise<LoadResult> {
    const startedMs = performance.now();
    const { port, roundTrips, pauseMs } = this.#options;
    return new Promise((resolve) => {
      let turn = 0;
      let echoed = "";
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      const message = () => `${id} ${turn}\n`;
      const end = (problem: string): void => {
        socket.destroy();
        const endedMs = performance.now();
        resolve({
          id,
          method: "TCP",
          startedMs,
          endedMs,
          status: problem === "" ? 200 : 0,
          backend: "",
          problem,
        });
      };
      const say = (): void => {
        if (turn === roundTrips) socket.end();
        else socket.write(message());
      };
      socket.setTimeout(ECHO_MS, () => end("no echo"));
      socket.on("connect", say);
      socket.on("error", (error) => end(error.message));
      socket.on("end", () => end(turn === roundTrips ? "" : `ended after ${turn} of ${roundTrips}`));
      socket.on("data", (chunk: Buffer) => {
        echoed += chunk.toString("latin1");
        if (echoed.length < message().length) return;
        if (echoed !== message()) {
          end(`somebody else's echo: ${echoed.slice(0, 80)}`);
          return;
        }
        echoed = "";
        turn++;
        setTimeout(say, pauseMs);
      });
    });
  }
}
