import type { Announcer } from "./announcer.js";
import { Backend, type DiscoveryFact } from "./backend.js";
import { type Endpoint, isSameEndpoint, rowIdOf, type Snapshot } from "./endpoint.js";
import type { PoolCensus } from "./outlier.js";
import type { PoolOptions } from "./pool-options.js";
import { COUNTER, type Row, type Scoreboard, WRITER } from "./scoreboard.js";
import type { Standing } from "./standing.js";
import { weightScale } from "./weight.js";

/**
 * The backends of a pool. A complete list is compared by identity and address: new ones join, kept ones keep all they
 * learnt, missing ones take no new work and leave when their open work is done or the drain deadline passes. What one
 * counted goes to the pool's own row when it is removed.
 */
export class Members {
  /** Counts of those that were removed, and of the pool itself. */
  readonly row: Row;
  readonly #byId = new Map<string, Backend>();
  readonly #scoreboard: Scoreboard;
  readonly #options: () => PoolOptions;
  readonly #standing: Standing;
  readonly #announcer: Announcer;

  /** @param options read at each use, since a reload may change them */
  constructor(scoreboard: Scoreboard, options: () => PoolOptions, standing: Standing, announcer: Announcer) {
    this.#scoreboard = scoreboard;
    this.row = scoreboard.allocate();
    this.#options = options;
    this.#standing = standing;
    this.#announcer = announcer;
  }

  /** All, those that are leaving included, in order of joining. */
  [Symbol.iterator](): IterableIterator<Backend> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  get inFlight(): number {
    let sum = 0;
    for (const backend of this.#byId.values()) sum += backend.inFlight;
    return sum;
  }

  /** A counter over the pool itself, its backends, and those removed since the start. @param column of `COUNTER` */
  total(column: number): number {
    let sum = this.row.read(column);
    for (const backend of this.#byId.values()) sum += backend.row.read(column);
    return sum;
  }

  /** @param eligible as the tiers count them */
  census(eligible: number): PoolCensus {
    let present = 0;
    let ejected = 0;
    for (const backend of this.#byId.values()) {
      if (backend.isGone) continue;
      present++;
      if (backend.facts.detection.state === "ejected") ejected++;
    }
    return { present, ejected, eligible };
  }

  get(id: string): Backend | undefined {
    return this.#byId.get(id);
  }

  /** Whether it is this very backend, leaving or not. */
  has(backend: Backend): boolean {
    return this.#byId.get(backend.id) === backend;
  }

  /** Those with one key: at every address it has or had. */
  withKey(key: string): readonly Backend[] {
    return [...this.#byId.values()].filter((backend) => backend.endpoint.key === key);
  }

  /** Puts a complete list in force; the first of duplicates counts. */
  apply(snapshot: Snapshot, nowMs: number): void {
    this.#standing.weightScale = weightScale(snapshot.endpoints.map((endpoint) => endpoint.weight));
    const areMostNew = this.#areMostNew(snapshot);
    const listed = new Set<string>();
    for (const endpoint of snapshot.endpoints) {
      const id = rowIdOf(endpoint);
      if (listed.has(id)) continue;
      listed.add(id);
      const backend = this.#byId.get(id);
      if (backend === undefined) this.#join(endpoint, areMostNew, nowMs);
      else this.#keep(backend, endpoint, areMostNew, nowMs);
    }
    for (const backend of [...this.#byId.values()]) {
      if (!listed.has(backend.id) && !backend.isGone) this.#leave(backend, nowMs);
    }
  }

  /** Its last work may be done: whoever is leaving then goes. */
  emptied(backend: Backend, nowMs: number): void {
    if (!backend.isGone || backend.inFlight > 0 || !this.#byId.delete(backend.id)) return;
    for (const column of Object.values(COUNTER)) this.row.add(column, WRITER, backend.row.read(column));
    this.#announcer.note({ type: "backend-removed", backend }, nowMs);
    this.#standing.slowStart.removed(backend);
    this.#scoreboard.free(backend.row);
  }

  /** Says of whose open work the time is over. */
  tick(nowMs: number): void {
    for (const backend of this.#byId.values()) {
      const { drainUntilMs } = backend;
      if (drainUntilMs === undefined || drainUntilMs > nowMs) continue;
      backend.drainUntil(undefined);
      this.#announcer.note({ type: "drain-deadline", backend }, nowMs);
    }
  }

  /** When `tick` next has something to do; infinite when nobody has a deadline. */
  nextDueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { drainUntilMs } of this.#byId.values()) due = Math.min(due, drainUntilMs ?? due);
    return due;
  }

  /** Whether over half of those a list admits were not admitted before. */
  #areMostNew(snapshot: Snapshot): boolean {
    let admitted = 0;
    let fresh = 0;
    for (const endpoint of snapshot.endpoints) {
      if (!endpoint.admitted) continue;
      admitted++;
      if (this.#byId.get(rowIdOf(endpoint))?.facts.discovery.state !== "admitted") fresh++;
    }
    return fresh > admitted / 2;
  }

  #join(endpoint: Endpoint, isOneOfMany: boolean, nowMs: number): void {
    const backend = new Backend(endpoint, this.#scoreboard.allocate(), nowMs);
    backend.judgeBy(this.#options().verdict ?? "both");
    this.#standing.limits.put(backend);
    backend.state("discovery", discoveryFact(endpoint), endpoint.reason, nowMs);
    this.#byId.set(backend.id, backend);
    this.#standing.enter(backend, isOneOfMany, nowMs);
  }

  #keep(backend: Backend, endpoint: Endpoint, isOneOfMany: boolean, nowMs: number): void {
    const { slowStart, tiers } = this.#standing;
    if (backend.facts.discovery.state !== "admitted") slowStart.listed(backend, isOneOfMany);
    const previous = backend.endpoint;
    backend.describe(endpoint);
    const isMoved = previous.priority !== endpoint.priority || previous.zone !== endpoint.zone;
    if (isMoved) tiers.place(backend);
    if (backend.isGone) {
      backend.drainUntil(undefined);
      this.#announcer.note({ type: "backend-returned", backend }, nowMs);
    }
    if (!isSameEndpoint(previous, endpoint))
      this.#announcer.note({ type: "endpoint-changed", backend, previous }, nowMs);
    this.#standing.state(backend, "discovery", discoveryFact(endpoint), endpoint.reason, undefined, nowMs);
    this.#standing.weigh(backend, "discovery", nowMs);
    // A status alone may decide, where the rule of verdicts looks at it.
    if (backend.isFiled !== backend.isEligible) tiers.place(backend);
  }

  #leave(backend: Backend, nowMs: number): void {
    const untilMs = nowMs + this.#options().drainDeadlineMs;
    this.#standing.state(backend, "discovery", "gone", "left discovery", untilMs, nowMs);
    backend.drainUntil(untilMs);
    this.#announcer.note({ type: "backend-leaving", backend, untilMs }, nowMs);
    this.emptied(backend, nowMs);
  }
}

function discoveryFact(endpoint: Endpoint): DiscoveryFact {
  if (endpoint.admitted) return "admitted";
  return endpoint.suppressed === true ? "suppressed" : "refused";
}
