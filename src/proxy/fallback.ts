import type { UpstreamService } from "./upstream-service.js";

/** Something that leads to a pool, and what stands behind it. */
interface Led {
  readonly service: Pick<UpstreamService, "pool">;
  /** Used while the pool has nothing healthy; undefined where there is none. */
  readonly fallback: Led | undefined;
}

/**
 * Request path. The first in a chain of fallbacks whose pool has a healthy backend; where none has, the first that
 * takes work all the same (in a panic), and else the one asked for, which then says why.
 */
export function firstHealthy<Destination extends Led & { readonly fallback: Destination | undefined }>(
  wanted: Destination,
): Destination {
  if (wanted.fallback === undefined || wanted.service.pool.eligibleCount > 0) return wanted;
  for (let next: Destination | undefined = wanted.fallback; next !== undefined; next = next.fallback) {
    if (next.service.pool.eligibleCount > 0) return passTo(next, wanted);
  }
  for (let next: Destination | undefined = wanted; next !== undefined; next = next.fallback) {
    if (next.service.pool.tiers.state.usable > 0) return passTo(next, wanted);
  }
  return wanted;
}

/** Those before it in the chain had nothing for the request, and count it as work that they miss. */
function passTo<Destination extends Led>(found: Destination, wanted: Destination): Destination {
  for (let each: Led | undefined = wanted; each !== undefined && each !== found; each = each.fallback)
    each.service.pool.count("passedOver");
  return found;
}

/** What tells whether somebody is bound to a backend of a pool. */
interface Keeping<Head, Client> {
  readonly service: {
    readonly affinity: { binds(head: Head, client: Client): boolean } | undefined;
  };
}

/**
 * Request path. As `firstHealthy`, for a request whose client may be bound to a backend: one that is drained serves it
 * still, though nothing in its pool takes new work.
 */
export function firstServing<
  Head,
  Client,
  Destination extends Led & Keeping<Head, Client> & { readonly fallback: Destination | undefined },
>(wanted: Destination, head: Head, client: Client): Destination {
  if (wanted.fallback === undefined) return wanted;
  for (let next: Destination | undefined = wanted; next !== undefined; next = next.fallback) {
    if (next.service.pool.eligibleCount > 0) return passTo(next, wanted);
    if (next.service.affinity?.binds(head, client) === true) return passTo(next, wanted);
  }
  return firstHealthy(wanted);
}
