import type { Backend } from "../core/backend.js";
import type { AffinityClaim } from "../core/explain-affinity.js";
import type { Pool } from "../core/pool.js";
import type { StickTable } from "../core/stick-table.js";
import type { Clock } from "../platform/clock.js";
import type { LogThreshold } from "../platform/log.js";
import type { EventJournal } from "./event-journal.js";

/** What admin needs of the rest of the program. The composition root implements it. */
export interface AdminPorts {
  readonly clock: Clock;
  /** By name. */
  readonly pools: ReadonlyMap<string, Pool>;
  /** Follows every pool from the start. */
  readonly journal: EventJournal;
  info(): ProxyInfo;
  /** The sources of a pool; empty where the pool is unknown. */
  discovery(pool: string): readonly DiscoveryStatus[];
  /** What keeps clients at the backends of a pool; undefined where nothing does. */
  affinity(pool: string): AffinityPort | undefined;
  /** Whether a TCP listener sends its tunnels to a pool. */
  takesTunnels(pool: string): boolean;
  /** What the data plane has open towards a backend. */
  openWork(backend: Backend): OpenWork;
  logLevel(): LogThreshold;
  /** Takes effect at once. */
  setLogLevel(level: LogThreshold): void;
  /** Checks a configuration text without using it. */
  checkConfig(text: string): { readonly problems: readonly ConfigProblem[] };
  /** Reads the configuration file again and puts it in force, whole or not at all. */
  reloadConfig(isDryRun: boolean): Promise<ReloadReport>;
  /**
   * Begins to stop, as SIGTERM does, and returns at once. What is open after the deadline is cut; undefined
   * means the configured one. Calling it again changes nothing.
   */
  drainProxy(deadlineMs: number | undefined): void;
  /** How many things that must never happen did, over the whole process. */
  invariantsBroken(): number;
}

/** What keeps clients, or requests with one key, at their backends. */
export interface AffinityPort {
  readonly kind: "cookie" | "table" | "hash";
  /** What it goes by. */
  readonly words: string;
  /** Undefined where it keeps none. */
  readonly table: StickTable | undefined;
  /** What a request would say of its backend; counts as no use. */
  trace(request: TracedRequest): AffinityClaim;
}

/** What is known of a request that is asked about. */
export interface TracedRequest {
  /** IP literal; empty where it is not known. */
  readonly clientAddress: string;
  /** With the query; empty for `/`. */
  readonly path: string;
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies: Readonly<Record<string, string>>;
}

/**
 * - `starting`: waiting for first lists; listeners are closed
 * - `ready`: listeners are open
 * - `draining`: asked to stop, finishing the open work
 */
export type ProxyState = "starting" | "ready" | "draining";

/** The process as a whole. */
export interface ProxyInfo {
  readonly version: string;
  /** Without the leading `v`. */
  readonly nodeVersion: string;
  readonly pid: number;
  /** Wall clock, milliseconds since the Unix epoch. */
  readonly startedWallMs: number;
  readonly configFile: string | undefined;
  readonly state: ProxyState;
  /** Why it is not ready, in words; empty when it is. */
  readonly reason: string;
  readonly listeners: readonly ListenerInfo[];
  /** Where the gRPC API is bound, for the index page; undefined when it is off. */
  readonly grpcAddress: string | undefined;
  /** The instance beside this program; undefined where none is registered, and before the listeners are open. */
  readonly registration?: RegistrationInfo | undefined;
}

/** An instance registered with the local Consul agent. */
export interface RegistrationInfo {
  readonly service: string;
  readonly id: string;
  /** The agent was told, and the last that was heard of it was good. */
  readonly isUp: boolean;
}

/** A listener and what it accepted since the start. */
export interface ListenerInfo {
  readonly name: string;
  readonly protocol: "http" | "tcp";
  /** As bound; empty while closed. */
  readonly addresses: readonly string[];
  readonly openConnections: number;
  /** 0 for no limit. */
  readonly maxConnections: number;
  /** Accepted, and not served before there is room. */
  readonly waiting: number;
  readonly maxWaiting: number;
  /** Accepted, those that waited or were reset included. */
  readonly connectionsTotal: number;
  /** Reset: no room, and none to wait. */
  readonly refusedFull: number;
  /** Reset: the client's address had its share. */
  readonly refusedPerAddress: number;
  readonly requestsTotal: number;
  /** From clients. */
  readonly bytesIn: number;
  /** To clients. */
  readonly bytesOut: number;
}

/** Open exchanges and tunnels of one backend. */
export interface OpenWork {
  readonly requests: number;
  readonly tunnels: number;
}

/** A source as it stands; the fields of the control plane's own status. */
export interface DiscoveryStatus {
  readonly kind: string;
  /** What is watched, in words. */
  readonly target: string;
  readonly state: "starting" | "live" | "stale" | "suspect";
  /** Why it is `stale` or `suspect`; empty otherwise. */
  readonly reason: string;
  /** Monotonic; undefined before the first good answer. */
  readonly lastSuccessMs: number | undefined;
  /** Monotonic; undefined before the first list. */
  readonly lastChangeMs: number | undefined;
  /** Since the last success. */
  readonly consecutiveFailures: number;
  readonly queries: number;
  readonly failures: number;
  /** In the list in force. */
  readonly endpoints: number;
  /** Kept in force though the last answer lacks them. */
  readonly held: number;
  /** Answers that were held, since the start. */
  readonly suspicions: number;
  /** The list in force was saved by a former process; the source has none yet. */
  readonly isSaved: boolean;
  readonly details: Readonly<Record<string, string>>;
}

/** What came of reading the configuration again. */
export interface ReloadReport {
  /** Why nothing was changed; empty when it could be. */
  readonly problems: readonly ConfigProblem[];
  /** What differs, or would. */
  readonly changes: readonly ConfigChange[];
  /** Whether the new configuration is in force: false with problems, and for a dry run. */
  readonly isApplied: boolean;
}

/** One value that differs between two configurations. */
export interface ConfigChange {
  /** `pools[web].timeouts.connectMs`: entries that have names go by them. */
  readonly path: string;
  /** As JSON; undefined where it was not there before. */
  readonly from: string | undefined;
  /** As JSON; undefined where it is there no more. */
  readonly to: string | undefined;
}

/** One thing wrong with a configuration. */
export interface ConfigProblem {
  /** From 1; undefined when it has no place in the text. */
  readonly line: number | undefined;
  readonly column: number | undefined;
  /** `pools[0].timeouts.connect`; empty for the whole. */
  readonly path: string;
  /** What was found and what was expected. */
  readonly message: string;
}
