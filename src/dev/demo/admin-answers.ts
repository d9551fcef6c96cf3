/** A backend as `ListBackends` tells it: the part that is shown or judged here. Times are RFC 3339. */
export interface ListedBackend {
  readonly backend: string;
  readonly id: string;
  readonly address: string;
  readonly eligible: boolean;
  readonly reasons: readonly string[];
  readonly discovery: { readonly state: string; readonly status: string };
  readonly check: { readonly state: string };
  readonly admin: { readonly state: string };
  readonly detection: { readonly state: string; readonly until?: string };
  readonly weight: { readonly inForce: number };
  readonly inFlight: number;
}

/** What `GetStats` counted. */
export interface Counters {
  readonly served: number;
  readonly serverError: number;
  readonly connectFailure: number;
  readonly timeout: number;
  readonly reset: number;
}

/** `GetStats` of one pool. */
export interface PoolStats {
  readonly pool: string;
  readonly members: readonly { readonly backend: string; readonly id: string; readonly counters: Counters }[];
}

/** One source in `GetDiscovery`. */
export interface DiscoverySource {
  readonly target: string;
  /** `SOURCE_STATE_LIVE` and so on. */
  readonly state: string;
  readonly reason: string;
  readonly endpoints: number;
  /** Since the last good answer, in seconds with the unit: `1.5s`. */
  readonly age?: string;
}

/** One message of `WatchEvents` that is about an event. */
export interface AdminEvent {
  readonly time: string;
  readonly id: string;
  readonly text: string;
  readonly backendAdded?: object;
  readonly backendLeaving?: object;
  readonly backendRemoved?: object;
  readonly stateChanged?: {
    readonly fact: string;
    readonly from: string;
    readonly to: string;
    readonly why: string;
  };
}

/** Answers that are asked for by name. */
export interface AdminAnswers {
  readonly ListBackends: { readonly backends: readonly ListedBackend[] };
  readonly GetStats: { readonly time: string; readonly pools: readonly PoolStats[] };
  readonly GetDiscovery: { readonly pools: readonly { readonly sources: readonly DiscoverySource[] }[] };
  readonly GetInfo: { readonly invariantsBroken: number; readonly state: string };
  readonly WatchEvents: { readonly event?: AdminEvent };
  readonly DrainBackend: { readonly progress: string; readonly inFlight: number; readonly message: string };
}
