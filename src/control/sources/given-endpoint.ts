import { type DiscoveryStatus, type Endpoint, formatAddress } from "../../core/endpoint.js";
import { tiersOf } from "./tier-rules.js";

/** An endpoint that a person wrote down, in the configuration or in a file. */
export interface GivenEndpoint {
  /** Names it for ever; host:port where left out. */
  readonly id: string | undefined;
  /** Address or name. */
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  /** Lower numbers take the work first; 0 where left out. */
  readonly priority?: number | undefined;
  /** Takes work only while nothing else does; no where left out. */
  readonly backup?: boolean | undefined;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  /** `passing` where left out. */
  readonly status?: DiscoveryStatus | undefined;
}

/** The given id, else host:port. */
export function givenIdOf(given: GivenEndpoint): string {
  return given.id ?? formatAddress(given.host, given.port);
}

/**
 * Endpoints of a source without a catalog, keyed `<source>/<id>`. Passing and warning ones take new work,
 * critical ones and those in maintenance do not.
 */
export function mapGivenEndpoints(
  source: "static" | "file",
  given: readonly GivenEndpoint[],
): readonly Endpoint[] {
  const tiers = tiersOf(given.map(({ priority = 0, backup = false }) => ({ priority, backup })));
  return given.map((entry, index) => {
    const id = givenIdOf(entry);
    const status = entry.status ?? "passing";
    return {
      key: `${source}/${id.replace(/[%/@]/g, (found) => encodeURIComponent(found))}`,
      id,
      host: entry.host,
      port: entry.port,
      weight: entry.weight,
      status,
      admitted: status === "passing" || status === "warning",
      reason: status === "passing" ? "" : `listed as ${status}`,
      tags: entry.tags,
      meta: entry.meta,
      node: undefined,
      datacenter: undefined,
      zone: entry.meta.zone,
      priority: tiers[index] ?? 0,
    };
  });
}

/** The position of the first entry whose id another one has, and of that other one. */
export function findDuplicateId(
  given: readonly GivenEndpoint[],
): { readonly id: string; readonly first: number; readonly second: number } | undefined {
  const seen = new Map<string, number>();
  for (const [second, entry] of given.entries()) {
    const id = givenIdOf(entry);
    const first = seen.get(id);
    if (first !== undefined) return { id, first, second };
    seen.set(id, second);
  }
  return undefined;
}
