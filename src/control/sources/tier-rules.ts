/** What a person said of an endpoint's place among the others. */
export interface GivenPlace {
  /** Lower numbers first. */
  readonly priority: number;
  /** Behind all that are none, one after the other in the order of the list, as in HAProxy. */
  readonly backup: boolean;
}

/** The tier of each priority number: 0 for the lowest, then one more for each that occurs. Pure. */
export function rankPriorities(priorities: Iterable<number>): (priority: number) => number {
  const sorted = [...new Set(priorities)].sort((a, b) => a - b);
  const ranks = new Map(sorted.map((priority, rank) => [priority, rank]));
  return (priority) => ranks.get(priority) ?? 0;
}

/**
 * The tiers of a list: by priority for those that are no backups; each backup is a tier of its own, never the
 * first, so that HAProxy's rule holds: without an active the first usable backup takes all the work. Pure.
 */
export function tiersOf(places: readonly GivenPlace[]): readonly number[] {
  const actives = places.filter(({ backup }) => !backup).map(({ priority }) => priority);
  const rankOf = rankPriorities(actives);
  let next = Math.max(1, new Set(actives).size);
  return places.map(({ priority, backup }) => (backup ? next++ : rankOf(priority)));
}
