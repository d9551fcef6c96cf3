import type { AdaptiveLimitOptions } from "../core/adaptive-limit.js";
import type { AffinityConfig } from "./affinity-model.js";
import type { BalanceConfig } from "./balance-model.js";
import type { ConsulDiscoveryConfig } from "./consul-model.js";
import type { OutlierDetectionConfig, SlowStartConfig } from "./detection-model.js";
import type { DnsDiscoveryConfig, DnsSdDiscoveryConfig } from "./dns-model.js";
import type { AgentCheckConfig, HealthCheckConfig, HealthCheckTiming } from "./health-model.js";
import type { FlapDampingConfig, SavedListConfig, SuspicionConfig } from "./list-model.js";
import type { PriorityConfig } from "./priority-model.js";
import type { RetryConfig, ReuseConfig, RouteRetryConfig } from "./retry-model.js";

/**
 * The configuration as the rest of the program sees it: every default filled in, every duration in
 * milliseconds, every size in bytes, names checked, the whole frozen. `load` produces it; nobody else
 * reads a configuration file.
 */

/** The whole configuration. */
export interface Config {
  readonly log: LogConfig;
  /** Folder for what outlives the process; undefined where nothing is kept. */
  readonly stateDir: string | undefined;
  /** Most client connections of the whole process. Beyond it, listeners stop accepting. */
  readonly maxConnections: number;
  /** Most probes of active checks under way at once, over the whole process. */
  readonly maxChecks: number;
  readonly shutdown: ShutdownConfig;
  /** Networks (CIDR) whose X-Forwarded-* and Forwarded fields are believed. */
  readonly trustedNetworks: readonly string[];
  /** Longest wait for the first snapshot of every pool before the listeners open without it. */
  readonly startDeadlineMs: number;
  readonly consul: ConsulConfig;
  readonly admin: AdminConfig;
  /** The instance this program stands beside, to be registered; undefined for none. */
  readonly service: ServiceConfig | undefined;
  readonly listeners: readonly ListenerConfig[];
  readonly pools: readonly PoolConfig[];
}

/** Least severe line that is written. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/** The log of the program and the access log. */
export interface LogConfig {
  readonly level: LogLevel;
  readonly access: AccessLogConfig;
}

/** One line per exchange and tunnel: how it is written and where to. */
export interface AccessLogConfig {
  readonly format: "json" | "haproxy" | "off";
  readonly to:
    | { readonly kind: "stdout" }
    | { readonly kind: "stderr" }
    | { readonly kind: "file"; readonly path: string };
}

/** How long a stop may take. */
export interface ShutdownConfig {
  /** Serve on for this long after "not ready" was announced. */
  readonly graceMs: number;
  /** Exchanges and tunnels still open this long after the listeners closed are cut. */
  readonly deadlineMs: number;
}

/** How to reach the local Consul agent. The environment of the Consul CLI gives the defaults. */
export interface ConsulConfig {
  /** `http://host:port`, `https://host:port` or `unix:///path`. */
  readonly address: string;
  readonly token: string | undefined;
  /** Read again for each new request; wins over `token`. */
  readonly tokenFile: string | undefined;
  readonly datacenter: string | undefined;
  readonly namespace: string | undefined;
  readonly partition: string | undefined;
  readonly tls: ConsulTlsConfig;
  /** `user:password` for HTTP basic authentication (CONSUL_HTTP_AUTH). */
  readonly auth: string | undefined;
  /** Longest time a blocking query waits for a change. */
  readonly waitMs: number;
  /** How long the first empty answer after a failure is disbelieved. */
  readonly emptyGraceMs: number;
  /** After a change was taken, later ones within this window are taken together. */
  readonly coalesceMs: number;
}

/** TLS towards the agent. */
export interface ConsulTlsConfig {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly serverName: string | undefined;
  readonly verify: boolean;
}

/** Where the program can be asked and steered; undefined switches an address off. */
export interface AdminConfig {
  readonly grpc: AdminGrpcConfig | undefined;
  /** Metrics, health and readiness for the host itself. */
  readonly http: SocketAddressConfig | undefined;
  /** Metrics, health and readiness alone, may be reached from outside without a token. */
  readonly probe: SocketAddressConfig | undefined;
}

/** The gRPC admin API. */
export interface AdminGrpcConfig {
  readonly address: SocketAddressConfig;
  readonly tls: AdminTlsConfig | undefined;
  /** File with the bearer token every call must carry in `authorization`. */
  readonly tokenFile: string | undefined;
  /** Allows a bind outside loopback without TLS and token. */
  readonly insecure: boolean;
}

/** Certificates of the gRPC admin API. */
export interface AdminTlsConfig {
  readonly certFile: string;
  readonly keyFile: string;
  /** When set, clients must present a certificate signed by it. */
  readonly clientCaFile: string | undefined;
}

/** One instance of a service, as it is registered with the local Consul agent. */
export interface ServiceConfig {
  readonly name: string;
  /** Port of the application. */
  readonly port: number;
  /** Unique per agent; made from name, host name and port when undefined. */
  readonly id: string | undefined;
  /** What others connect to; undefined leaves it to the bound address or the agent's node. */
  readonly address: string | undefined;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly weights: ServiceWeights;
  readonly advertise: AdvertiseConfig;
  readonly check: ServiceCheckConfig;
  /** What a stop does with the registration, before anything else. */
  readonly shutdown: "deregister" | "maintenance";
}

/** Shares of the traffic by Consul's verdict; `warning` may be 0. */
export interface ServiceWeights {
  readonly passing: number;
  readonly warning: number;
}

/** Whose port is registered. */
export type AdvertiseConfig =
  | { readonly kind: "listener"; readonly listener: string }
  | { readonly kind: "application" };

/** Who finds out whether the instance is well, and how. */
export type ServiceCheckConfig = TtlProbeConfig | ConsulProbeConfig;

interface ServiceCheckShared extends HealthCheckTiming {
  /** The agent removes an instance that was critical for this long. */
  readonly deregisterCriticalServiceAfterMs: number;
}

/** This program probes the application and keeps a check with a time to live alive. */
export interface TtlProbeConfig extends ServiceCheckShared {
  readonly kind: "ttl-probe";
  /** Path of an HTTP probe; undefined for a TCP probe. */
  readonly httpPath: string | undefined;
  readonly ttlMs: number;
}

/** The agent itself probes what is registered. */
export interface ConsulProbeConfig extends ServiceCheckShared {
  readonly kind: "consul-http" | "consul-tcp" | "consul-grpc";
  /** Always there for `consul-http`, never for the others. */
  readonly httpPath: string | undefined;
}

/** A place to listen on. Port ranges are spread into one address per port; host `::` is all addresses of both families. */
export type SocketAddressConfig =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string; readonly mode: number | undefined }
  | { readonly kind: "fd"; readonly fd: number };

/** A bound local address and what is spoken on it. */
export interface ListenerConfig {
  readonly name: string;
  readonly bind: readonly SocketAddressConfig[];
  readonly protocol: "http" | "tcp";
  readonly direction: "outbound" | "inbound";
  readonly timeouts: ListenerTimeouts;
  readonly limits: ListenerLimits;
  /** Whether CONNECT is forwarded and becomes a tunnel. */
  readonly allowConnect: boolean;
  /** Where no route matches; without it an HTTP listener answers 404. A TCP listener always has one. */
  readonly pool: string | undefined;
  /** Undefined: requests stand where they came. */
  readonly priority: PriorityConfig | undefined;
  /** First match wins. Empty on a TCP listener. */
  readonly routes: readonly RouteConfig[];
}

/** HAProxy's names and meaning; 0 means no limit. */
export interface ListenerTimeouts {
  /** Longest silence of a client that we wait for (`timeout client`). */
  readonly clientMs: number;
  /** From the first byte of a head (or the connection) to its end (`timeout http-request`). */
  readonly httpRequestMs: number;
  /** Idle time between two requests of a connection (`timeout http-keep-alive`). */
  readonly httpKeepAliveMs: number;
}

/** Limits towards clients. */
export interface ListenerLimits {
  readonly maxConnections: number;
  /** Accepted ones that wait for room, 0 for none. */
  readonly maxWaiting: number;
  /** Those the kernel keeps until they are accepted. */
  readonly backlog: number;
  /** Per client address, 0 for no limit. */
  readonly maxConnectionsPerAddress: number;
  readonly maxHeadBytes: number;
  readonly maxHeaders: number;
  /** Of a request, 0 for no limit. */
  readonly maxBodyBytes: number;
}

/** Requests that match go to these pools. */
export interface RouteConfig {
  readonly match: RouteMatchConfig;
  /** At least one; weights share the traffic. */
  readonly pools: readonly { readonly pool: string; readonly weight: number }[];
  readonly timeouts: { readonly requestTotalMs: number | undefined; readonly serverMs: number | undefined };
  readonly retries: RouteRetryConfig;
  /** In place of the listener's; undefined where it has none. */
  readonly priority: PriorityConfig | undefined;
}

/** What a request must be; what is undefined matches everything. */
export interface RouteMatchConfig {
  /** Lower case, without a port; a leading `*.` matches any one or more labels. */
  readonly host: string | undefined;
  readonly path: string | undefined;
  /** Matched by whole segments: `/v1` matches `/v1` and `/v1/x`, not `/v10`. */
  readonly pathPrefix: string | undefined;
  readonly method: string | undefined;
  /** Field name in lower case and its exact value. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

/** One upstream service. */
export interface PoolConfig {
  readonly name: string;
  /** Where two list one instance, the one named first has its way. */
  readonly discovery: readonly DiscoveryConfig[];
  /** Undefined when every answer is believed. */
  readonly suspicion: SuspicionConfig | undefined;
  /** Undefined when it is not kept. */
  readonly savedList: SavedListConfig | undefined;
  /** Undefined when instances may come and go as they like. */
  readonly flapDamping: FlapDampingConfig | undefined;
  readonly balance: BalanceConfig;
  /** Undefined where any request may go anywhere. */
  readonly affinity: AffinityConfig | undefined;
  readonly timeouts: PoolTimeouts;
  readonly retries: RetryConfig;
  readonly reuse: ReuseConfig;
  readonly healthCheck: HealthCheckConfig | undefined;
  readonly agentCheck: AgentCheckConfig | undefined;
  /** Undefined when switched off. Off by default for a pool that only inbound listeners use. */
  readonly outlierDetection: OutlierDetectionConfig | undefined;
  /** Undefined when switched off, as it is by default. */
  readonly slowStart: SlowStartConfig | undefined;
  readonly limits: PoolLimits;
  /** All usable backups share the work, rather than the first tier of them (HAProxy's `allbackups`). */
  readonly allBackups: boolean;
  /** Percent of healthy backends below which health is ignored (Envoy); 0 never ignores it. */
  readonly panicThreshold: number;
  /** Undefined when zones make no difference, as by default. */
  readonly zone: ZoneConfig | undefined;
  /** Sessions bound to a backend go there also while it is down or ejected (HAProxy's `option persist`). */
  readonly persist: boolean;
  /** A client that will send no more is out of the queue (HAProxy's `option abortonclose`). */
  readonly abortOnClose: boolean;
  /** Name of the pool that is used while this one has nothing healthy. */
  readonly fallback: string | undefined;
  /** How long a backend that left discovery may finish its open work. */
  readonly drainDeadlineMs: number;
}

/** Backends of the own zone come first. */
export interface ZoneConfig {
  readonly own: string;
  /** Of its fair share of the weight, that the own zone has to have. */
  readonly minPercent: number;
  /** Fewest healthy backends at which a zone is preferred. */
  readonly minBackends: number;
  /** Times the load of the others at which work spills over; 0 where only limits count. */
  readonly spillFactor: number;
}

/** Where the endpoints of a pool come from. */
export type DiscoveryConfig =
  | ConsulDiscoveryConfig
  | DnsDiscoveryConfig
  | DnsSdDiscoveryConfig
  | StaticDiscoveryConfig
  | FileDiscoveryConfig;

/** Endpoints written in the configuration. */
export interface StaticDiscoveryConfig {
  readonly type: "static";
  readonly endpoints: readonly StaticEndpointConfig[];
  readonly resolve: "all" | "one";
}

/** One endpoint that is written down. */
export interface StaticEndpointConfig {
  readonly id: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  /** Lower numbers take the work first. */
  readonly priority: number;
  /** Takes work only while nothing else is usable. */
  readonly backup: boolean;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
}

/** Endpoints from a file that is watched. */
export interface FileDiscoveryConfig {
  readonly type: "file";
  /** YAML or JSON: a list of endpoints, or an object with `endpoints`. */
  readonly path: string;
  readonly resolve: "all" | "one";
}

/** 0 means no limit, except for `connectMs` and `queueMs`, which are at least 1. */
export interface PoolTimeouts {
  readonly connectMs: number;
  /** Longest silence of a backend that we wait for (`timeout server`). */
  readonly serverMs: number;
  readonly queueMs: number;
  /** How long requests wait for a pool without a usable backend to have one again, from when it lost the last. */
  readonly awaitBackendMs: number;
  /** Both directions silent, once a connection is a tunnel (`timeout tunnel`). */
  readonly tunnelMs: number;
  /** From the request's arrival to the end of its response, all attempts together. */
  readonly requestTotalMs: number;
  /** An upstream connection idle for longer is closed. */
  readonly upstreamIdleMs: number;
}

/** How much one backend, and the queue, may hold. */
export interface PoolLimits {
  /** 0 means no limit. */
  readonly maxConnectionsPerBackend: number;
  /** 0 means no limit. Tunnels of TCP listeners are no requests: 0 for a pool that only they use. */
  readonly maxRequestsPerBackend: number;
  /** How far the limit falls while the pool has little to do (HAProxy's `minconn`); 0 for a fixed limit. */
  readonly minConnectionsPerBackend: number;
  /** Open and waiting work at which the whole limit is granted (HAProxy's `fullconn`). */
  readonly fullConnections: number;
  /** How the limit of each backend follows its latency; undefined when it does not, as by default. */
  readonly adaptive: AdaptiveLimitOptions | undefined;
  /** Requests that wait for a slot; beyond it 503 at once. 0 means that none waits. */
  readonly maxQueue: number;
  /** Of these at one backend, for whoever is bound to it (HAProxy's `maxqueue`); 0 means no limit of its own. */
  readonly maxQueuePerBackend: number;
  /** What clients that are turned away are told to wait; 0 for nothing. */
  readonly retryAfterMs: number;
}
