import type { Endpoint } from "../core/endpoint.js";

/**
 * Failover between the datacenters of one service in Consul: the first in which an instance takes work has all of it,
 * those after it wait. What other sources list is left as it is. Pure.
 */
export function holdLaterDatacenters(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  let first = Number.POSITIVE_INFINITY;
  for (const endpoint of endpoints)
    if (isOfConsul(endpoint) && endpoint.admitted && endpoint.weight > 0)
      first = Math.min(first, endpoint.priority);
  if (!endpoints.some((endpoint) => isLater(endpoint, first))) return endpoints;
  return endpoints.map((endpoint) =>
    isLater(endpoint, first)
      ? {
          ...endpoint,
          admitted: false,
          reason: "waits while a datacenter before its own has usable instances",
        }
      : endpoint,
  );
}

function isLater(endpoint: Endpoint, first: number): boolean {
  return isOfConsul(endpoint) && endpoint.admitted && endpoint.priority > first;
}

function isOfConsul({ key }: Endpoint): boolean {
  return key.startsWith("consul/");
}
