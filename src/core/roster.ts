import type { Backend } from "./backend.js";
import type { Balancer } from "./balancer.js";
import { ExactLoadIndex, type LoadIndex } from "./load-index.js";

/**
 * Request path. Backends that share work: a balancer over them, and which of them has room for a tunnel of a TCP
 * listener while all are at the limit of requests alone, of which a balancer cannot say more. The order by room is not
 * kept before a tunnel was in want of it.
 */
export class Roster {
  balancer: Balancer;
  #room: LoadIndex | undefined;

  constructor(balancer: Balancer) {
    this.balancer = balancer;
  }

  add(backend: Backend): void {
    this.balancer.add(backend);
    this.tunnelLimitMoved(backend);
  }

  remove(backend: Backend): void {
    this.balancer.remove(backend);
    this.#room?.remove(backend);
  }

  /** Its weight changed, or whether it is at its limit. */
  reweigh(backend: Backend): void {
    this.balancer.reweigh(backend);
    this.tunnelLimitMoved(backend);
  }

  taken(backend: Backend): void {
    this.balancer.taken(backend);
    if (this.#room !== undefined) this.tunnelLimitMoved(backend);
  }

  released(backend: Backend): void {
    this.balancer.released(backend);
    if (this.#room !== undefined) this.tunnelLimitMoved(backend);
  }

  /** The balancer knows nothing of it, so nobody loses its turn. */
  tunnelLimitMoved(backend: Backend): void {
    this.#room?.file(backend, tunnelLoad(backend));
  }

  /**
   * The one with the least load behind a tunnel more, equal loads in the order in which they came about; undefined when
   * there is no room outside `avoid`.
   *
   * @param members all that were added; read the first time
   */
  firstForTunnel(avoid: readonly Backend[], members: Iterable<Backend>): Backend | undefined {
    if (this.#room === undefined) {
      this.#room = new ExactLoadIndex();
      for (const backend of members) this.tunnelLimitMoved(backend);
    }
    return this.#room.first(avoid);
  }
}

/** Infinite when it takes no tunnel more. */
function tunnelLoad(backend: Backend): number {
  if (backend.isFullForTunnels) return Number.POSITIVE_INFINITY;
  return (backend.inFlight + 1) / backend.row.weight16;
}
