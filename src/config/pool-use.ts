import type { ListenerConfig } from "./model.js";

/** The pools that a listener can send traffic to, in order; one may come more than once. */
export function poolsOf({ pool, routes }: Pick<ListenerConfig, "pool" | "routes">): readonly string[] {
  const routed = routes.flatMap((route) => route.pools.map((share) => share.pool));
  return pool === undefined ? routed : [pool, ...routed];
}

/** Answers whether every listener that uses a pool is an inbound one, and there is one. */
export function findInboundOnly(listeners: readonly ListenerConfig[]): (pool: string) => boolean {
  const outbound = new Set<string>();
  const inbound = new Set<string>();
  for (const listener of listeners) {
    for (const pool of poolsOf(listener)) (listener.direction === "inbound" ? inbound : outbound).add(pool);
  }
  return (pool) => inbound.has(pool) && !outbound.has(pool);
}

/** The inbound listeners that can be registered for others to connect to: a unix socket has no port. */
export function findAdvertisable(listeners: readonly ListenerConfig[]): readonly ListenerConfig[] {
  return listeners.filter(
    ({ direction, bind }) => direction === "inbound" && bind.some(({ kind }) => kind !== "unix"),
  );
}
