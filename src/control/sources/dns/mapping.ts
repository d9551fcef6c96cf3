import { type Endpoint, formatAddress, rowIdOf } from "../../../core/endpoint.js";
import { judgeSrv, type SrvVerdict } from "../srv-rules.js";
import type { FoundInstance } from "./lookup.js";

/** How instances become endpoints. */
export interface DnsMappingRules {
  /** `srv`: named by target and port; `a`: by address and port. */
  readonly record: "srv" | "a";
  /** `all`: each address of a target is a backend; `one`: one of them, and the same one while it is there. */
  readonly resolve: "all" | "one";
}

/** Endpoints of one pool; more than Consul's own limit for an answer has no other cause than a fault. */
const endpointsMax = 4_096;

/**
 * Endpoints in the order of their keys. Priorities and weights count as `judgeSrv` says. Pure.
 *
 * @param previous the endpoints before, which `resolve: one` keeps to.
 */
export function mapInstances(
  instances: readonly FoundInstance[],
  rules: DnsMappingRules,
  previous: readonly Endpoint[],
): readonly Endpoint[] {
  const judge = judgeSrv(instances);
  const rows = new Map<string, Endpoint>();
  for (const instance of [...instances].sort((a, b) => a.priority - b.priority)) {
    const hosts =
      rules.resolve === "one" && rules.record === "srv"
        ? [chooseAddress(instance, previous)]
        : instance.addresses;
    for (const host of hosts) {
      const endpoint = toEndpoint(instance, host, rules, judge(instance));
      const rowId = rowIdOf(endpoint);
      // The same row twice, or in two priorities: the lower one counts.
      if (!rows.has(rowId)) rows.set(rowId, endpoint);
    }
  }
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
  return sorted.slice(0, endpointsMax);
}

function chooseAddress(instance: FoundInstance, previous: readonly Endpoint[]): string {
  const key = keyOf(instance.target, instance.port);
  const held = previous.find(
    (endpoint) => endpoint.key === key && instance.addresses.includes(endpoint.host),
  );
  return held?.host ?? instance.addresses[0] ?? "";
}

function toEndpoint(
  instance: FoundInstance,
  host: string,
  rules: DnsMappingRules,
  verdict: SrvVerdict,
): Endpoint {
  const named = rules.record === "srv" ? instance.target : host;
  return {
    key: keyOf(named, instance.port),
    id: formatAddress(named, instance.port),
    host,
    port: instance.port,
    status: "passing",
    admitted: true,
    reason: "",
    ...verdict,
    tags: [],
    meta: {},
    node: undefined,
    datacenter: undefined,
    zone: undefined,
  };
}

function keyOf(named: string, port: number): string {
  return `dns/${formatAddress(named, port).replace(/[%/@]/g, (found) => encodeURIComponent(found))}`;
}
