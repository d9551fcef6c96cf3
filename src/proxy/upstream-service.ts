import type { PoolTimeouts } from "../config/model.js";
import type { RetryConfig, ReuseConfig } from "../config/retry-model.js";
import type { HedgeDelay } from "../core/hedge-delay.js";
import type { Pool } from "../core/pool.js";
import type { RetryBudget } from "../core/retry-budget.js";
import type { Affinity } from "./affinity.js";
import type { UpstreamConnections } from "./http1/upstream-connections.js";
import type { OpenWork } from "./open-work.js";

/** What a reload may change while requests are under way; read at use. */
export interface UpstreamRules {
  timeouts: PoolTimeouts;
  retries: RetryConfig;
  reuse: ReuseConfig;
  /** Undefined where any request may go anywhere. */
  affinity: Affinity | undefined;
  /** What clients that are turned away are told to wait; 0 for nothing. */
  retryAfterMs: number;
  /** Whether a client that will send no more has left if it waits in the queue. */
  abortOnClose: boolean;
  /** Name of the pool that is used while this one has nothing healthy. */
  fallback: string | undefined;
}

/** A pool as the data plane uses it: whom to ask, how long to wait, what is open. */
export interface UpstreamService extends UpstreamRules {
  readonly pool: Pool;
  readonly retryBudget: RetryBudget;
  readonly hedgeDelay: HedgeDelay;
  /** Exchanges and tunnels under way. */
  readonly work: OpenWork;
  readonly connections: UpstreamConnections;
}
