import type { PoolTimeouts, RetryConfig, ReuseConfig } from "../config/model.js";
import type { Pool } from "../core/pool.js";
import type { UpstreamConnections } from "./http1/upstream-connections.js";
import type { OpenWork } from "./open-work.js";

/** A pool as the data plane uses it: whom to ask, how long to wait, what is open. */
export interface UpstreamService {
  readonly pool: Pool;
  readonly timeouts: PoolTimeouts;
  readonly retries: RetryConfig;
  readonly reuse: ReuseConfig;
  /** Exchanges and tunnels under way. */
  readonly work: OpenWork;
  readonly connections: UpstreamConnections;
}
