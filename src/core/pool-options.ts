import type { AdaptiveLimitOptions } from "./adaptive-limit.js";
import type { Balancer } from "./balancer.js";
import type { VerdictRule } from "./check-verdict.js";
import type { GrowingLimit } from "./limit.js";
import type { OutlierOptions } from "./outlier.js";
import type { Scoreboard } from "./scoreboard.js";
import type { SlowStartOptions } from "./slow-start.js";
import type { TierOptions } from "./tiers.js";

/** What a pool is made of, and its limits. */
export interface PoolOptions {
  readonly name: string;
  /** Makes one balancer for each tier. */
  readonly balancer: () => Balancer;
  readonly tiers: TierOptions;
  /** Undefined switches detection off; the operator can still eject. */
  readonly outlier: OutlierOptions | undefined;
  /** Undefined: who joins or returns has its full share at once. */
  readonly slowStart?: SlowStartOptions | undefined;
  /** Whose verdict decides on a backend; `both` when left out. */
  readonly verdict?: VerdictRule | undefined;
  /** Most leases on one backend at once; 0 for no limit. */
  readonly maxInFlightPerBackend: number;
  /** Most of them that are no tunnels of a TCP listener; 0, the default, for no limit but that. */
  readonly maxRequestsPerBackend?: number | undefined;
  /** Undefined: the limit is the same at every load. */
  readonly growingLimit?: GrowingLimit | undefined;
  /** Undefined: limits do not follow latency. */
  readonly adaptiveLimit?: AdaptiveLimitOptions | undefined;
  /** Most waiters for a slot, wherever they wait. */
  readonly maxQueue: number;
  /** Most of them at one backend; 0, the default, for no limit but that. */
  readonly maxQueuePerBackend?: number | undefined;
  /** Who cannot have the backend it wants may go to another; true when left out. */
  readonly redispatch?: boolean | undefined;
  /** Sessions bound to a backend that is down or ejected go there all the same (`option persist`). */
  readonly persist?: boolean | undefined;
  /** How long requests wait for a pool without a usable backend to have one again; 0 when left out. */
  readonly awaitBackendMs?: number | undefined;
  /** How long a backend that left discovery may finish its open work. */
  readonly drainDeadlineMs: number;
  /** From 0 to below 1: the chance of detection's enforcing percentages and jitter. */
  readonly random: () => number;
  /** Told of what must never happen; tests throw here. */
  readonly onInvariantBroken: (what: string) => void;
  readonly scoreboard?: Scoreboard;
}
