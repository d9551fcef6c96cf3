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

/** What is told of pools to see who uses them. */
type NamedPools = readonly { readonly name: string; readonly fallback?: string | undefined }[];

/** The pools that listeners of a protocol send traffic to, be it as somebody's fallback. */
export function poolsUsedBy(
  protocol: ListenerConfig["protocol"],
  listeners: readonly ListenerConfig[],
  pools: NamedPools,
): ReadonlySet<string> {
  const used = new Set(listeners.filter((each) => each.protocol === protocol).flatMap(poolsOf));
  for (let size = -1; size !== used.size; ) {
    size = used.size;
    for (const { name, fallback } of pools) if (fallback !== undefined && used.has(name)) used.add(fallback);
  }
  return used;
}

/** Answers whether only tcp listeners send traffic to a pool, and at least one does. */
export function findTcpOnly(
  listeners: readonly ListenerConfig[],
  pools: NamedPools,
): (pool: string) => boolean {
  const byHttp = poolsUsedBy("http", listeners, pools);
  const byTcp = poolsUsedBy("tcp", listeners, pools);
  return (pool) => byTcp.has(pool) && !byHttp.has(pool);
}

/** The inbound listeners that can be registered for others to connect to: a unix socket has no port. */
export function findAdvertisable(listeners: readonly ListenerConfig[]): readonly ListenerConfig[] {
  return listeners.filter(
    ({ direction, bind }) => direction === "inbound" && bind.some(({ kind }) => kind !== "unix"),
  );
}
