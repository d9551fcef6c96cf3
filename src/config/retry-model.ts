import type { HedgeAfter } from "../core/hedge-delay.js";

/** What follows a connection that failed. */
export interface RetryConfig {
  /** Tries after the first, as HAProxy counts (`retries`). */
  readonly max: number;
  /** Whether a later try may go to another backend. */
  readonly redispatch: boolean;
  /** Which retry of a bound request may: every Pth, or below 0 the Nth before the last. Never 0. */
  readonly redispatchInterval: number;
  /** Longest wait for the head of an answer of one try, its connection included; 0 for no limit of its own. */
  readonly perTryMs: number;
  /** HAProxy's `retry-on` words, statuses, and names of gRPC statuses. */
  readonly on: readonly (string | number)[];
  /** Whether requests that are not idempotent are sent again after they may have reached a backend. */
  readonly nonIdempotent: boolean;
  /** Bytes of a request's body that are kept for a further try. */
  readonly maxBodyBytes: number;
  /**
   * Longest wait for the backend's 100 before the body of a request that may not run twice is sent all the same; 0
   * sends it without asking.
   */
  readonly expectContinueMs: number;
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /** When a second try is sent beside one that has not answered; undefined for never. */
  readonly hedge: HedgeAfter | undefined;
  /** Tries after the first that may be under way at once. */
  readonly budget: { readonly percent: number; readonly min: number };
}

/** What a route says in place of its pool; undefined leaves it to the pool. */
export interface RouteRetryConfig {
  readonly max: number | undefined;
  readonly perTryMs: number | undefined;
  readonly on: readonly (string | number)[] | undefined;
}

/** On which upstream connections a request may travel. */
export interface ReuseConfig {
  /** `safe`: a request that may not be sent twice only on a fresh or just used connection. */
  readonly mode: "safe" | "always" | "never";
  /** "Just used": idle for less than this. */
  readonly safeForMs: number;
}
