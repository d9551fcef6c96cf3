/** Consul's verdict on an instance, worst check wins; other sources say `passing`. */
export type DiscoveryStatus = "passing" | "warning" | "critical" | "maintenance";

/**
 * One instance as discovery describes it: an immutable value. Two endpoints with the same key and address
 * are the same backend, whatever else changed.
 */
export interface Endpoint {
  /**
   * Identity: `source/datacenter/partition/namespace/node/id`, or `source/id` where there is no catalog. A
   * service id alone is unique per agent only.
   */
  readonly key: string;
  /** Service id, the given id, or host:port. Need not be unique in a pool. */
  readonly id: string;
  /** IP literal without brackets; names were resolved before. */
  readonly host: string;
  readonly port: number;
  /** As discovered for its present status, 0 to 65535. 0 means no new work. */
  readonly weight: number;
  readonly status: DiscoveryStatus;
  /** Whether the source's rules (such as `minStatus`) let it take new work. */
  readonly admitted: boolean;
  /** It would be admitted, but comes and goes too often; never true of one that is admitted. */
  readonly suppressed?: boolean;
  /** Why `status` and `admitted` are what they are, in words; empty when all is well. */
  readonly reason: string;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly node: string | undefined;
  readonly datacenter: string | undefined;
  readonly zone: string | undefined;
  /** 0 first; a higher number is for when the lower ones cannot serve. Without gaps within one source. */
  readonly priority: number;
}

/** One complete list. A failed query is never an empty snapshot. */
export interface Snapshot {
  readonly endpoints: readonly Endpoint[];
}

/** `host:port`, with brackets around an IPv6 literal. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What names one row of a pool: the identity at one address. */
export function rowIdOf(endpoint: Endpoint): string {
  return `${endpoint.key}@${formatAddress(endpoint.host, endpoint.port)}`;
}

/** Whether two descriptions of one backend say the same. */
export function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.id === b.id &&
    a.weight === b.weight &&
    a.status === b.status &&
    a.admitted === b.admitted &&
    a.suppressed === b.suppressed &&
    a.node === b.node &&
    a.datacenter === b.datacenter &&
    a.zone === b.zone &&
    a.priority === b.priority &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, index) => tag === b.tags[index]) &&
    isSameMeta(a.meta, b.meta)
  );
}

function isSameMeta(a: Endpoint["meta"], b: Endpoint["meta"]): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
