import type { Backend } from "../../src/core/backend.js";
import type { ZoneOptions } from "../../src/core/zoned-balancer.js";

/**
 * Who may be picked by the rule of zones for whoever avoids nobody, from the facts alone and the long way round.
 *
 * @param workers who takes work, outside of a panic
 * @param free those of them that have room
 */
export function zoneChoice(
  workers: Iterable<Backend>,
  free: readonly Backend[],
  { own, minPercent, minBackends, spillFactor }: ZoneOptions,
): readonly Backend[] {
  const all = [...workers];
  const isOwn = ({ endpoint }: Backend) => endpoint.zone === own;
  const ours = all.filter(isOwn);
  const theirs = all.filter((backend) => !isOwn(backend));
  const zones = new Set([own, ...theirs.map(({ endpoint }) => endpoint.zone)]).size;
  const share = weightOf(ours) / weightOf(all);
  if (all.length < minBackends || ours.length === 0 || share * 100 * zones < minPercent - 1e-9) return free;
  const load = openOn(ours) / weightOf(ours);
  const spared = (openOn(theirs) + theirs.length) / weightOf(theirs);
  const isSpilling = theirs.length > 0 && spillFactor > 0 && load > spillFactor * spared + 1e-12;
  const preferred = free.filter((backend) => isOwn(backend) !== isSpilling);
  return preferred.length > 0 ? preferred : free;
}

function weightOf(backends: readonly Backend[]): number {
  return backends.reduce((sum, { weight }) => sum + weight, 0);
}

function openOn(backends: readonly Backend[]): number {
  return backends.reduce((sum, { inFlight }) => sum + inFlight, 0);
}
