import type { ConsulDiscoveryConfig } from "./consul-model.js";
import type { DnsDiscoveryConfig } from "./dns-model.js";
import type { FlapDampingConfig, SuspicionConfig } from "./list-model.js";
import type { DiscoveryConfig } from "./model.js";
import type { ParsedConfig } from "./schema/config.js";

type ParsedPool = ParsedConfig["pools"][number];
type ParsedDiscovery = ParsedPool["discovery"];
type ParsedSource = Exclude<ParsedDiscovery, readonly unknown[]>;
type ParsedConsul = Extract<ParsedSource, { readonly type: "consul" }>;

/** The sources of a pool in their order; each datacenter of a failover is one of its own. */
export function compileDiscovery(discovery: ParsedDiscovery): readonly DiscoveryConfig[] {
  return [discovery].flat().flatMap(compileSource);
}

function compileSource(source: ParsedSource): readonly DiscoveryConfig[] {
  switch (source.type) {
    case "consul":
      return compileConsul(source);
    case "dns":
      return [compileDns(source)];
    case "static":
      return [{ ...source, endpoints: source.endpoints.map(({ id, ...rest }) => ({ id, ...rest })) }];
    case "dns-sd":
      return [{ ...source, interfaces: source.interfaces }];
    case "file":
      return [source];
  }
}

function compileConsul(consul: ParsedConsul): readonly ConsulDiscoveryConfig[] {
  const { type, tags, minStatus, zoneKey, resolve, service, query, queryInterval } = consul;
  const shared = {
    ...{ type, tags, minStatus, zoneKey, resolve },
    subject:
      query === undefined
        ? ({ kind: "service", name: service ?? "" } as const)
        : ({ kind: "query", name: query, intervalMs: queryInterval } as const),
    namespace: consul.namespace,
    partition: consul.partition,
    filter: consul.filter,
    near: consul.near,
  };
  const own = { datacenter: consul.datacenter, taggedAddress: consul.taggedAddress };
  const others = consul.failover.map((other) => ({
    datacenter: other.datacenter,
    taggedAddress: other.taggedAddress ?? consul.taggedAddress,
  }));
  return [own, ...others].map((place, priority) => ({ ...shared, ...place, priority }));
}

function compileDns(dns: Extract<ParsedSource, { readonly type: "dns" }>): DnsDiscoveryConfig {
  const { type, name, record, port, resolvers, retries, resolve, hold } = dns;
  return {
    ...{ type, name, record, port, resolvers, retries, resolve },
    minTtlMs: dns.minTtl,
    maxTtlMs: dns.maxTtl,
    timeoutMs: dns.timeout,
    hold: {
      nxMs: hold.nx,
      timeoutMs: hold.timeout,
      refusedMs: hold.refused,
      otherMs: hold.other,
      obsoleteMs: hold.obsolete,
    },
  };
}

/** Milliseconds in the names, undefined when off. */
export function compileSuspicion(suspicion: ParsedPool["suspicion"]): SuspicionConfig | undefined {
  if (suspicion === undefined) return undefined;
  const { removedPercent, hold, evidence } = suspicion;
  return { removedPercent, holdMs: hold, evidenceMs: evidence };
}

/** Milliseconds in the names, undefined when off. */
export function compileFlapDamping(damping: ParsedPool["flapDamping"]): FlapDampingConfig | undefined {
  if (damping === undefined) return undefined;
  const { halfLife, maxSuppress, ...rest } = damping;
  return { ...rest, halfLifeMs: halfLife, maxSuppressMs: maxSuppress };
}
