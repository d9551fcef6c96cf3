/** What the configuration says of discovery over DNS, checked and complete as all of `model.ts`. */

/** Instances behind a DNS name. */
export interface DnsDiscoveryConfig {
  readonly type: "dns";
  readonly name: string;
  /** `srv`: ports, weights and priorities come with the records; `a`: A and AAAA records and `port`. */
  readonly record: "srv" | "a";
  /** Set for `a` alone. */
  readonly port: number | undefined;
  /** IP literals, asked in turn; undefined for the system's own. */
  readonly resolvers: readonly { readonly host: string; readonly port: number }[] | undefined;
  /** Bounds on how long an answer is believed. */
  readonly minTtlMs: number;
  readonly maxTtlMs: number;
  readonly hold: DnsHoldConfig;
  /** For one attempt. */
  readonly timeoutMs: number;
  /** Attempts after the first. */
  readonly retries: number;
  readonly resolve: "all" | "one";
}

/**
 * HAProxy's `hold`: for how long after the last good answer its endpoints take work while answers of a kind
 * come instead. Undefined: for ever.
 */
export interface DnsHoldConfig {
  /** The name or its records do not exist. */
  readonly nxMs: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly refusedMs: number | undefined;
  /** SERVFAIL and everything else. */
  readonly otherMs: number | undefined;
  /** How long an endpoint stays that is missing in a good answer. */
  readonly obsoleteMs: number;
}

/** Instances that announce themselves on the local network (RFC 6763 over RFC 6762). */
export interface DnsSdDiscoveryConfig {
  readonly type: "dns-sd";
  /** `_http._tcp.local`. */
  readonly service: string;
  /** Names or addresses; undefined for all but loopback. */
  readonly interfaces: readonly string[] | undefined;
  /** Whether each address of an instance is a backend, or one of them. */
  readonly resolve: "all" | "one";
}
