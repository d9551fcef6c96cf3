import type { VerdictRule } from "../core/check-verdict.js";
import type { ObservedLayer } from "../core/error-streak.js";
import type { InitialState } from "../core/health.js";

/** What the configuration says of active checks, checked and complete as all of `model.ts`. */

/** The active check of a pool. */
export type HealthCheckConfig =
  | TcpHealthCheckConfig
  | TlsHealthCheckConfig
  | HttpHealthCheckConfig
  | GrpcHealthCheckConfig;

/** Rhythm and thresholds of an active check. */
export interface HealthCheckTiming {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Consecutive failures that take a backend down. */
  readonly fall: number;
  /** Consecutive passes that bring it back. */
  readonly rise: number;
}

/** Where a check connects to, and how long it may take. */
export interface CheckTargetConfig {
  /** Undefined: the backend's. */
  readonly address: string | undefined;
  /** Undefined: the backend's. */
  readonly port: number | undefined;
  readonly timeoutMs: number;
  /** Each pause is so many percent longer or shorter, by chance. */
  readonly jitterPercent: number;
}

/** What all health checks have in common. HAProxy's names and rules where it has them. */
export interface HealthCheckRhythm extends HealthCheckTiming {
  /** While something is in doubt. */
  readonly fastIntervalMs: number;
  /** While it is down without doubt. */
  readonly downIntervalMs: number;
  /** While traffic proves health; not above `intervalMs` when traffic changes nothing. */
  readonly provenIntervalMs: number;
  /** While it is down, probes may come as often as so many percent of the requests it would have taken; 0 for no more. */
  readonly demandPercent: number;
  readonly initialState: InitialState;
  readonly target: CheckTargetConfig;
  /** A 404 asks for bound work alone. Of HTTP checks. */
  readonly disableOn404: boolean;
  /** Undefined: traffic is not watched. */
  readonly observe: ObserveConfig | undefined;
  /** Whether the open work of a backend is cut when it goes down. */
  readonly isCutWhenDown: boolean;
  /** Whether the open work of backups is cut when an active goes up. */
  readonly areBackupsCutWhenUp: boolean;
  readonly verdict: VerdictRule;
}

/** How errors in the traffic count as checks. */
export interface ObserveConfig {
  readonly layer: ObservedLayer;
  /** Errors in a row. */
  readonly errorLimit: number;
  readonly onError: "fastinter" | "fail-check" | "sudden-death" | "mark-down";
}

/** TLS of a check. */
export interface CheckTlsConfig {
  /** Undefined: the backend's address. */
  readonly serverName: string | undefined;
  readonly verify: boolean;
  /** Authorities to verify against, PEM; undefined: those the runtime knows (`NODE_EXTRA_CA_CERTS` adds some). */
  readonly caFile: string | undefined;
}

/** Passes when a connection is accepted. */
export interface TcpHealthCheckConfig extends HealthCheckRhythm {
  readonly type: "tcp";
}

/** Passes when a handshake is done. */
export interface TlsHealthCheckConfig extends HealthCheckRhythm {
  readonly type: "tls";
  readonly tls: CheckTlsConfig;
}

/** Passes on an expected status and body. */
export interface HttpHealthCheckConfig extends HealthCheckRhythm {
  readonly type: "http";
  readonly method: string;
  readonly path: string;
  /** Host field; undefined means the backend's address. */
  readonly host: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly expectStatus: readonly StatusRange[];
  /** Regular expression the answer's body must match; undefined: it is not read. */
  readonly expectBody: string | undefined;
  /** Undefined: plain. */
  readonly tls: CheckTlsConfig | undefined;
}

/** Both ends belong to it. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** Passes when grpc.health.v1 says SERVING. */
export interface GrpcHealthCheckConfig extends HealthCheckRhythm {
  readonly type: "grpc";
  /** Empty: the server as a whole. */
  readonly service: string;
  /** Undefined: plain. */
  readonly tls: CheckTlsConfig | undefined;
}

/** HAProxy's agent check, beside the health check. */
export interface AgentCheckConfig {
  readonly intervalMs: number;
  readonly target: CheckTargetConfig;
  /** Sent once connected; empty for nothing. */
  readonly send: string;
}
