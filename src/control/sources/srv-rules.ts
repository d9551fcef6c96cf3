import { rankPriorities } from "./tier-rules.js";

/** What an SRV record says of where work goes (RFC 2782). */
export interface SrvShare {
  /** Lower numbers first. */
  readonly priority: number;
  readonly weight: number;
}

/** What that means for an endpoint. */
export interface SrvVerdict {
  /** Rank of the record's priority among those of the service, 0 first. */
  readonly priority: number;
  readonly weight: number;
}

/**
 * Judges each record among all of a service. The lowest priority number is the first tier, the others stand by
 * as backups. Weights are passed on as they are, 0 to 65535; 0 takes no new work, as in HAProxy, except where
 * all of a priority have it: there it says that there is nothing to choose by. Pure.
 */
export function judgeSrv(shares: readonly SrvShare[]): (share: SrvShare) => SrvVerdict {
  const rankOf = rankPriorities(shares.map(({ priority }) => priority));
  const weighted = new Set(shares.filter(({ weight }) => weight > 0).map(({ priority }) => priority));
  return ({ priority, weight }) => ({
    weight: weighted.has(priority) ? weight : 1,
    priority: rankOf(priority),
  });
}
