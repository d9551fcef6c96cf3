/** What the load generator is asked to do and what it answers, one message each way over the process channel. */

/** One exchange of a scenario, the same for every proxy. */
export type Traffic =
  | {
      readonly kind: "http";
      readonly method: "GET" | "POST";
      readonly path: string;
      readonly requestBytes: number;
      /** Chunk size of the request body; undefined sends Content-Length. */
      readonly chunkBytes: number | undefined;
      readonly responseBytes: number;
      /** A new connection for each request, asked to close. */
      readonly close: boolean;
    }
  | {
      readonly kind: "tcp";
      readonly requestBytes: number;
      readonly responseBytes: number;
      /** A new connection for each round trip, which the client ends. */
      readonly close: boolean;
    };

/** How long an exchange may still take when all others are over. It then counts as one that never ends. */
export const LAST_ANSWER_MS = 3_000;

/** Runs traffic for `warmupMs`, then measures for `windowMs`. */
export interface MeasureJob {
  readonly kind: "measure";
  readonly traffic: Traffic;
  readonly port: number;
  readonly connections: number;
  /** Root process of the proxy, whose processor time is read at both edges of the window. */
  readonly proxyPid: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long the exchanges running at the end of the window may take; usually LAST_ANSWER_MS. */
  readonly lastAnswerMs: number;
  /** Exchanges per second started whatever the answers do; undefined keeps every connection busy instead. */
  readonly ratePerSecond: number | undefined;
}

/** Opens connections, makes one exchange on each and keeps them open until the next job. */
export interface HoldJob {
  readonly kind: "hold";
  readonly traffic: Traffic;
  readonly port: number;
  readonly connections: number;
  /** How long all may be without an answer, so that one that never comes ends the job; usually LAST_ANSWER_MS. */
  readonly lastAnswerMs: number;
}

/** Closes what a hold job left open. */
export interface DropJob {
  readonly kind: "drop";
}

export type LoadJob = MeasureJob | HoldJob | DropJob;

export interface LoadAnswer {
  /** Exchanges that ended inside the window and were right in status and length. */
  readonly exchanges: number;
  /**
   * Wrong answers, broken connections and exchanges without an end since the job began: warm-up included, and the
   * exchanges that ran on behind the window.
   */
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly windowMs: number;
  /** Processor time of the proxy within the window, nanoseconds. */
  readonly proxyNs: number;
  /** Cores kept busy by processes that are not part of the benchmark: 0.5 is half a core. */
  readonly foreignCores: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}
