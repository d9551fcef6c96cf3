import type { Backend } from "../core/backend.js";

/** Words of a backend's state, HAProxy's and ours. */
export const STATUSES = [
  "UP",
  "NOLB",
  "DOWN",
  "MAINT",
  "DRAIN",
  "EJECTED",
  "REFUSED",
  "SUPPRESSED",
  "LEAVING",
] as const;

/** Results of a health check, as HAProxy names them. */
export const CHECK_CODES = [
  "L4OK",
  "L4CON",
  "L4TOUT",
  "L6OK",
  "L6RSP",
  "L6TOUT",
  "L7OK",
  "L7STS",
  "L7RSP",
  "L7TOUT",
] as const;

/** The strongest of the facts, for boards that show one word. */
export function statusOf(backend: Backend): (typeof STATUSES)[number] {
  const { discovery, check, admin, detection } = backend.facts;
  if (discovery.state === "gone") return "LEAVING";
  if (admin.state === "maint") return "MAINT";
  if (discovery.state === "refused" && !backend.speaks("discovery")) return "REFUSED";
  if (discovery.state === "suppressed") return "SUPPRESSED";
  if (!backend.speaks("check")) return check.state === "nolb" ? "NOLB" : "DOWN";
  if (detection.state === "ejected") return "EJECTED";
  return admin.state === "drain" || backend.row.weight16 === 0 ? "DRAIN" : "UP";
}
