import { Load, LoadReport, type LoadResult } from "../support/load.js";
import { TcpSessions } from "../support/tcp-sessions.js";

/** What sends requests through a proxy. */
export type TrafficKind = "keep-alive" | "fresh" | "half" | "sticky" | "tcp";

/** Open at once, of each kind. */
const OPEN = { "keep-alive": 12, fresh: 4, half: 4, sticky: 6, tcp: 6 } as const;

const METHODS = ["GET", "POST"] as const;

/**
 * Constant traffic of several kinds at once, each a closed loop: keep-alive, a connection for each request, POSTs
 * that stop half-way, clients that keep their cookie, and TCP sessions. Nothing is ever sent again, and every
 * error of a connection counts.
 */
export class Traffic {
  readonly #loads: Load[] = [];
  #sessions: TcpSessions | undefined;

  constructor(name: string, kinds: readonly TrafficKind[], httpPort: number, tcpPort: number) {
    for (const kind of kinds) {
      if (kind === "tcp") {
        const options = { port: tcpPort, open: OPEN.tcp, roundTrips: 10, pauseMs: 5 };
        this.#sessions = new TcpSessions(`${name}-tcp`, options);
        continue;
      }
      this.#loads.push(
        new Load(`${name}-${kind}`, {
          port: httpPort,
          open: OPEN[kind],
          methods: kind === "half" ? ["POST"] : METHODS,
          isFresh: kind === "fresh",
          isSticky: kind === "sticky",
          ...(kind === "half" && { halfPauseMs: 40 }),
        }),
      );
    }
  }

  /** Ended so far. */
  get ended(): number {
    const { results = [] } = this.#sessions ?? {};
    return this.#loads.reduce((sum, load) => sum + load.results.length, results.length);
  }

  /** What ended so far, well or not. */
  results(): readonly LoadResult[] {
    return [...this.#loads.flatMap((load) => load.results), ...(this.#sessions?.results ?? [])];
  }

  /**
   * Begins no more, waits for what is open.
   * @param fromMs what ended earlier, by `performance.now`, is left out
   */
  async stop(fromMs = 0): Promise<LoadReport> {
    await Promise.all([...this.#loads.map((load) => load.stop()), this.#sessions?.stop()]);
    return new LoadReport(this.results().filter(({ endedMs }) => endedMs >= fromMs));
  }
}
