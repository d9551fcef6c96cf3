import type { CheckFact, DiscoveryFact } from "./backend.js";
import type { DiscoveryStatus } from "./endpoint.js";

/** What a check says, in a state and in words. */
export interface CheckVerdict {
  readonly state: CheckFact;
  readonly why: string;
}

/** Nobody has checked. */
export const UNCHECKED: CheckVerdict = { state: "unchecked", why: "" };

/** What one check found last, as operators read it in HAProxy's stats. */
export interface CheckReport {
  /** `UP 2/3`, `DOWN`; what an agent said. */
  readonly text: string;
  /** HAProxy's name of the result: `L4OK`, `L7STS`. */
  readonly code: string;
  readonly detail: string;
  readonly durationMs: number;
  readonly atMs: number;
}

/** HAProxy: a server is up when its health check and its agent check both say so; either takes it down. */
export function combineChecks(own: CheckVerdict, agent: CheckVerdict): CheckVerdict {
  if (agent.state === "down") return agent;
  if (own.state !== "unchecked") return own;
  return agent;
}

/**
 * Whose verdict decides. `both`: discovery's and the check's, each alone is enough to take a backend out. `consul`:
 * discovery's alone. `own`: the check's alone once it has one; what is held back for other reasons than its status
 * (maintenance, flapping) stays out.
 */
export type VerdictRule = "both" | "consul" | "own";

/** Whether discovery's fact speaks for a backend under a rule. */
export function isListed(
  rule: VerdictRule,
  discovery: DiscoveryFact,
  status: DiscoveryStatus,
  check: CheckFact,
): boolean {
  if (discovery === "admitted") return true;
  return rule === "own" && discovery === "refused" && status !== "maintenance" && check !== "unchecked";
}

/** Whether the check's fact speaks for a backend under a rule. */
export function isHealthy(rule: VerdictRule, check: CheckFact): boolean {
  return rule === "consul" || check === "unchecked" || check === "up";
}
