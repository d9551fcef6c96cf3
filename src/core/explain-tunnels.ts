import type { Backend } from "./backend.js";
import { isRequestsLimited } from "./limits.js";
import type { Pool } from "./pool.js";

/** Which limit counts for a tunnel of a TCP listener, and how many have room by it; empty where all limits count. */
export function tunnelWords(pool: Pool): string {
  if (!isRequestsLimited(pool.options)) return "";
  const working = [...pool.backends()].filter((backend) => pool.tiers.takesWork(backend));
  const withRoom = working.filter((backend) => !backend.isFullForTunnels).length;
  const limit = "limits of requests alone do not concern tunnels of tcp listeners";
  return `; ${limit}: ${withRoom} of ${working.length} have room for one`;
}

/** What tunnels have to do with a backend's being at its limit; empty where none is open. */
export function tunnelsApartWords({ tunnels, isFullForTunnels }: Backend): string {
  return tunnels === 0 || isFullForTunnels
    ? ""
    : `, ${tunnels} of them tunnels, which the limit leaves room for`;
}
