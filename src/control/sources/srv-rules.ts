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
  readonly admitted: boolean;
  readonly reason: string;
}

/**
 * Judges each record among all of a service. Only the lowest priority number takes work. Weights are passed on
 * as they are, 0 to 65535; 0 takes no new work, as in HAProxy, except where all of a priority have it: there
 * it says that there is nothing to choose by. Pure.
 */
export function judgeSrv(shares: readonly SrvShare[]): (share: SrvShare) => SrvVerdict {
  const ranks = [...new Set(shares.map(({ priority }) => priority))].sort((a, b) => a - b);
  const first = ranks[0];
  const weighted = new Set(shares.filter(({ weight }) => weight > 0).map(({ priority }) => priority));
  return ({ priority, weight }) => {
    const admitted = priority === first;
    return {
      priority: ranks.indexOf(priority),
      weight: weighted.has(priority) ? weight : 1,
      admitted,
      reason: admitted ? "" : `priority ${priority} waits until priority ${first} has no instance`,
    };
  };
}
