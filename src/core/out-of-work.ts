import type { Backend } from "./backend.js";

/**
 * Why nobody takes work, in words: `2 critical, 1 down by its check`. Tells a service whose instances are all
 * critical from one that discovery lists no more. Each backend counts once, by what weighs most.
 */
export function outOfWorkWords(backends: Iterable<Backend>): string {
  const counts = new Map<string, number>();
  for (const backend of backends) {
    const cause = causeOf(backend);
    counts.set(cause, (counts.get(cause) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, few], [b, many]) => many - few || (a < b ? -1 : 1));
  return sorted.map(([cause, count]) => `${count} ${cause}`).join(", ");
}

function causeOf({ facts, endpoint, row }: Backend): string {
  switch (facts.discovery.state) {
    case "gone":
      return "no longer listed";
    case "suppressed":
      return "suppressed";
    case "refused":
      // Endpoints may be well and yet not wanted, as by a rule of their source.
      return endpoint.status === "passing" ? "held back by discovery" : `${endpoint.status} in discovery`;
    case "admitted":
      break;
  }
  if (facts.admin.state !== "ready") return `in ${facts.admin.state}`;
  if (facts.check.state === "down") return "down by its check";
  if (facts.detection.state === "ejected") return "ejected";
  return row.weight16 === 0 ? "of weight 0" : "in use";
}
