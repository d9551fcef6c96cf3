import { type Endpoint, formatAddress, rowIdOf } from "../../../core/endpoint.js";
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
 * Endpoints in the order of their keys. Pure.
 *
 * - Only the lowest priority number that has instances takes work; the others are listed as not admitted.
 * - Weights are passed on as they are, 0 to 65535; the pool scales them. 0 takes no new work, as in HAProxy,
 *   except where all of a priority have 0: RFC 2782 asks for it where there is nothing to choose.
 *
 * @param previous the endpoints before, which `resolve: one` keeps to.
 */
export function mapInstances(
  instances: readonly FoundInstance[],
  rules: DnsMappingRules,
  previous: readonly Endpoint[],
): readonly Endpoint[] {
  const first = Math.min(...instances.map((instance) => instance.priority));
  const weighted = new Set(
    instances.filter((instance) => instance.weight > 0).map((instance) => instance.priority),
  );
  const rows = new Map<string, Endpoint>();
  for (const instance of [...instances].sort((a, b) => a.priority - b.priority)) {
    const hosts =
      rules.resolve === "one" && rules.record === "srv"
        ? [chooseAddress(instance, previous)]
        : instance.addresses;
    for (const host of hosts) {
      const weight = weighted.has(instance.priority) ? instance.weight : 1;
      const endpoint = toEndpoint(instance, host, { record: rules.record, weight, first });
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
  of: { readonly record: "srv" | "a"; readonly weight: number; readonly first: number },
): Endpoint {
  const named = of.record === "srv" ? instance.target : host;
  const isFirst = instance.priority === of.first;
  return {
    key: keyOf(named, instance.port),
    id: formatAddress(named, instance.port),
    host,
    port: instance.port,
    weight: of.weight,
    status: "passing",
    admitted: isFirst,
    reason: isFirst ? "" : `priority ${instance.priority} waits until priority ${of.first} has no instance`,
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
