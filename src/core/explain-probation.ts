import type { Backend } from "./backend.js";
import type { Pool } from "./pool.js";
import { otherThan } from "./slots.js";
import type { Wish } from "./wish.js";

/** What a probation still asks for, and whom it lets in meanwhile. */
export function probationWords({ probation }: Backend, nowMs: number): string {
  const { cause, owed } = probation;
  const owes = `on probation after ${cause}, ${owed} more ${owed === 1 ? "success" : "successes"} to go`;
  return probation.wantsRepeatable(nowMs)
    ? `${owes}, risked for now with requests alone that may be sent twice`
    : owes;
}

/** Where a request goes that may not be sent twice, if not to the picked backend; empty where there is no difference. */
export function riskWords(pool: Pool, picked: Backend | undefined, wish: Wish, nowMs: number): string {
  if (picked === undefined || !picked.probation.wantsRepeatable(nowMs)) return "";
  if (pool.tiers.state.isPanicking) return "; so would a POST, as in a panic others may be worse";
  const other = otherThan(pool.tiers, picked, wish);
  return other === picked
    ? "; so would a POST, as no other takes new work"
    : `; a POST, or whatever else may not be sent twice, would go to ${other.endpoint.id} at ${other.address}`;
}
