import type { Snapshot } from "../core/endpoint.js";
import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { Resolver } from "./resolver.js";

/**
 * Where the endpoints of one pool come from. A source delivers whole lists and never an empty one in place of
 * a failure: when it cannot find out, it stays silent and says so in its status.
 */
export interface Source {
  /** Begins to watch. Called once. The sink is never called before this returns. */
  start(sink: SourceSink): void;
  /** Ends watching and frees sockets and timers. The sink is not called afterwards. */
  stop(): void;
  /** What is known of the source at this moment, for admin and metrics. */
  status(): SourceStatus;
}

/** Receives what a source finds. */
export interface SourceSink {
  /** A complete list that differs from the one before (the first one always is passed on). */
  onSnapshot(snapshot: Snapshot): void;
  /** The source's state changed (went stale, came back, suspects an answer). */
  onStatus(status: SourceStatus): void;
}

/**
 * - `starting`: no list yet
 * - `live`: the last query succeeded
 * - `stale`: the last query failed; the last good list is in force
 * - `suspect`: an answer is disbelieved for a named grace time; the last good list is in force
 */
export type SourceState = "starting" | "live" | "stale" | "suspect";

/** A source at one moment. */
export interface SourceStatus {
  /** `consul`, `static`, `file` ... */
  readonly kind: string;
  /** What is watched, in words: `service web at http://127.0.0.1:8500`. */
  readonly target: string;
  readonly state: SourceState;
  /** Why the state is `stale` or `suspect`; empty otherwise. */
  readonly reason: string;
  /** Monotonic time of the last good answer; undefined before the first. */
  readonly lastSuccessMs: number | undefined;
  /** Monotonic time of the last answer whose content differed. */
  readonly lastChangeMs: number | undefined;
  /** Failures since the last success. */
  readonly consecutiveFailures: number;
  readonly queries: number;
  readonly failures: number;
  /** Endpoints in the list in force. */
  readonly endpoints: number;
  /** Particulars of the kind, such as Consul's `index`, `lastContactMs`, `knownLeader`. */
  readonly details: Readonly<Record<string, string>>;
}

/** A source together with what stands between it and the pool. */
export interface GuardedStatus extends SourceStatus {
  /** Endpoints kept in force though the last answer lacks them. */
  readonly held: number;
  /** Answers that were held, since the start. */
  readonly suspicions: number;
  /** Whether the list in force is that of a former process, since the source has none yet. */
  readonly isSaved: boolean;
}

/** All sources of one pool as its keeper sees them: one list, several states. */
export interface PoolSource {
  /** Begins to watch. Called once. The sink is never called before this returns. */
  start(sink: SourceSink): void;
  /** Ends watching; the sink is not called afterwards. */
  stop(): void;
  /** In their order. */
  statuses(): readonly GuardedStatus[];
}

/** What every source is built with. */
export interface SourceDeps {
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads retries. */
  readonly random: () => number;
  readonly resolver: Resolver;
  readonly log: Log;
}
