import type { Backend } from "../../src/core/backend.js";
import type { TierOptions } from "../../src/core/tiers.js";

/** Who takes new work by the rules of tiers and panic, from the facts alone and the long way round. */
export function workersOf(backends: Iterable<Backend>, options: TierOptions): ReadonlySet<Backend> {
  const byTier = new Map<number, Backend[]>();
  for (const backend of backends) {
    const { discovery, admin } = backend.facts;
    if (discovery.state !== "admitted" || admin.state !== "ready" || backend.row.weight16 === 0) continue;
    const { priority } = backend.endpoint;
    const tier = options.allBackups && priority > 1 ? 1 : priority;
    byTier.set(tier, [...(byTier.get(tier) ?? []), backend]);
  }
  const tiers = [...byTier].sort(([a], [b]) => a - b).map(([, members]) => members);
  const percents = tiers.map((members) => (100 * members.filter(isHealthy).length) / members.length);
  const sum = percents.reduce((total, percent) => total + Math.min(100, Math.floor(1.4 * percent + 1e-9)), 0);
  const isInPanic = (percent: number) => sum < 100 && percent < options.panicThreshold;
  if (tiers.length > 0 && percents.every(isInPanic)) return new Set(tiers.flat());
  const inUse = percents.findIndex((percent) => percent > 0);
  const members = tiers[inUse] ?? [];
  return new Set(isInPanic(percents[inUse] ?? 100) ? members : members.filter(isHealthy));
}

function isHealthy({ facts }: Backend): boolean {
  return facts.check.state !== "down" && facts.detection.state === "active";
}
