import { Announcer } from "./announcer.js";
import {
  type AdminFact,
  Backend,
  type CheckFact,
  type CheckSource,
  type DetectionFact,
  type DiscoveryFact,
  type FactName,
  type Facts,
} from "./backend.js";
import type { Balancer } from "./balancer.js";
import type { VerdictRule } from "./check-verdict.js";
import { Detection } from "./detection.js";
import type { EjectionCounts } from "./ejection-counts.js";
import { type Endpoint, isSameEndpoint, rowIdOf, type Snapshot } from "./endpoint.js";
import type { PoolEvent, PoolListener } from "./events.js";
import { Lease, type LeaseOwner } from "./lease.js";
import { type GrowingLimit, limitAt } from "./limit.js";
import type { Outcome } from "./outcome.js";
import { outcomeIndex } from "./outcome.js";
import type { EjectionCause, OutlierOptions, PoolCensus } from "./outlier.js";
import {
  type KeyOverrides,
  NO_OVERRIDES,
  OverrideBook,
  type OverrideOrigin,
  type OverrideTerms,
  overrideOf,
} from "./override.js";
import { type Ticket, type Waiter, WaitQueue } from "./queue.js";
import { COUNTER, type CounterName, type Row, Scoreboard } from "./scoreboard.js";
import { rampedLimit, SlowStart, type SlowStartOptions } from "./slow-start.js";
import { type TierOptions, Tiers } from "./tiers.js";
import { reducedWeight, scaledWeight, type WeightChange, weightInSixteenths, weightScale } from "./weight.js";
import { boundBackend, type Wish } from "./wish.js";

/** What a pool is made of, and its limits. */
export interface PoolOptions {
  readonly name: string;
  /** Makes one balancer for each tier. */
  readonly balancer: () => Balancer;
  readonly tiers: TierOptions;
  /** Undefined switches detection off; the operator can still eject. */
  readonly outlier: OutlierOptions | undefined;
  /** Undefined: who joins or returns has its full share at once. */
  readonly slowStart?: SlowStartOptions | undefined;
  /** Whose verdict decides on a backend; `both` when left out. */
  readonly verdict?: VerdictRule | undefined;
  /** Most leases on one backend at once; 0 for no limit. */
  readonly maxInFlightPerBackend: number;
  /** Undefined: the limit is the same at every load. */
  readonly growingLimit?: GrowingLimit | undefined;
  /** Most waiters for a slot. */
  readonly maxQueue: number;
  /** How long a backend that left discovery may finish its open work. */
  readonly drainDeadlineMs: number;
  /** From 0 to below 1: the chance of detection's enforcing percentages and jitter. */
  readonly random: () => number;
  /** Told of what must never happen; tests throw here. */
  readonly onInvariantBroken: (what: string) => void;
  readonly scoreboard?: Scoreboard;
}

/** Why no lease was given. */
export type Refusal = "no-usable-backend" | "all-full";

/** One thread counts today; the scoreboard is laid out for several. */
const WRITER = 0;

const NOBODY: readonly Backend[] = [];

/**
 * One upstream service: its backends, balancer, detector and queue. Here the two planes meet: the data plane
 * takes and gives back leases, the control plane states facts and weights, and each sees the other's work at
 * the next call. Pure: no clock, no chance, no input or output; `tick` does what is due.
 *
 * Every change ends the same way (`#finish`): first the pool is whole, then listeners hear of it, then free
 * slots go to those who wait. So listeners and waiters may call the pool. A change to a backend that was
 * removed meanwhile is ignored.
 */
export class Pool implements LeaseOwner {
  readonly name: string;
  #options: PoolOptions;
  readonly queue: WaitQueue;
  /** Counts of the pool itself and of the backends that were removed. */
  readonly row: Row;
  readonly #scoreboard: Scoreboard;
  readonly #detection: Detection;
  readonly #slowStart: SlowStart;
  /** Who takes new work. */
  readonly tiers: Tiers;
  readonly #overrides = new OverrideBook();
  readonly #backends = new Map<string, Backend>();
  readonly #announcer: Announcer;
  #isGranting = false;
  /** Leases that are open. */
  #open = 0;
  /** The load that limits were last made for. */
  #limitedLoad = 0;
  #weightScale = 1;
  #appliedMs: number | undefined;
  #isDueMoved = false;
  #onDueChanged: (() => void) | undefined;
  #onOverridesChanged: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.#options = options;
    this.queue = new WaitQueue(options.maxQueue);
    this.#scoreboard = options.scoreboard ?? new Scoreboard();
    this.row = this.#scoreboard.allocate();
    this.tiers = new Tiers(options.balancer, () => this.options.tiers);
    this.#announcer = new Announcer((what) => this.invariantBroken(what));
    this.#detection = this.#detect();
    this.#slowStart = new SlowStart({
      options: () => this.options.slowStart,
      ramped: (backend, why, nowMs) => {
        this.#weigh(backend, why, nowMs, backend.rampUntilMs);
        this.#limit(backend);
      },
      dueMoved: () => this.#moveDue(),
    });
  }

  // ---------------------------------------------------------------- reading

  /** As configured now. */
  get options(): PoolOptions {
    return this.#options;
  }

  get algorithm(): string {
    return this.tiers.algorithm;
  }

  /** All backends, those that are leaving included, in order of joining. */
  backends(): IterableIterator<Backend> {
    return this.#backends.values();
  }

  backend(id: string): Backend | undefined {
    return this.#backends.get(id);
  }

  get size(): number {
    return this.#backends.size;
  }

  /** Backends that everything speaks for, whatever their tier. */
  get eligibleCount(): number {
    return this.tiers.healthyCount;
  }

  /** When a snapshot was last applied; undefined before the first. */
  get appliedMs(): number | undefined {
    return this.#appliedMs;
  }

  /** Factor from discovered weights to those in force; below 1 when one exceeds 256. */
  get weightScale(): number {
    return this.#weightScale;
  }

  get inFlight(): number {
    let sum = 0;
    for (const backend of this.#backends.values()) sum += backend.inFlight;
    return sum;
  }

  /** A counter over the pool itself, its backends, and those removed since the start. */
  total(counter: CounterName): number {
    const column = COUNTER[counter];
    let sum = this.row.read(column);
    for (const backend of this.#backends.values()) sum += backend.row.read(column);
    return sum;
  }

  census(): PoolCensus {
    let present = 0;
    let ejected = 0;
    for (const backend of this.#backends.values()) {
      if (backend.isGone) continue;
      present++;
      if (backend.facts.detection.state === "ejected") ejected++;
    }
    return { present, ejected, eligible: this.eligibleCount };
  }

  /** What the detectors found since the start, by cause. */
  get ejectionCounts(): EjectionCounts {
    return this.#detection.counts;
  }

  /** What is in force of what was said of a key: of weight, admin state and limit the strongest each. */
  overridesOf(key: string): KeyOverrides {
    return this.#overrides.of(key);
  }

  /** What each origin says of a key, strongest first, hidden or not. */
  overrideLayers(key: string): readonly (readonly [origin: OverrideOrigin, held: KeyOverrides])[] {
    return this.#overrides.layers(key);
  }

  /** What the balancer would pick now for whoever is bound to nobody, without taking it. */
  peek(avoid: readonly Backend[] = NOBODY, hash?: number): Backend | undefined {
    return this.tiers.pick(avoid, hash);
  }

  /** Tells of everything that happens from now on. Answers how to stop. */
  subscribe(listener: PoolListener): () => void {
    return this.#announcer.subscribe(listener);
  }

  /** Whoever calls `tick` learns here that something may be due earlier than it was told. */
  onDueChanged(callback: () => void): void {
    this.#onDueChanged = callback;
  }

  /** Whoever keeps overrides beyond this process learns here that they changed. */
  onOverridesChanged(callback: () => void): void {
    this.#onOverridesChanged = callback;
  }

  /** What each origin says of every key that is overridden, present or not. */
  overrides(): readonly (readonly [key: string, held: KeyOverrides])[] {
    return this.#overrides.keys().flatMap((key) => {
      return this.#overrides.layers(key).map(([, held]) => [key, held] as const);
    });
  }

  /**
   * Puts what `origins` said before in force, in place of all they say now; what it says of absent backends waits
   * for them.
   */
  restoreOverrides(
    origins: readonly OverrideOrigin[],
    kept: readonly (readonly [key: string, origin: OverrideOrigin, held: KeyOverrides])[],
    nowMs: number,
  ): void {
    const touched = new Set(kept.map(([key]) => key));
    for (const key of this.#overrides.keys()) {
      for (const origin of origins) {
        if (this.#overrides.said(key, origin) === NO_OVERRIDES) continue;
        this.#override(key, origin, NO_OVERRIDES, nowMs);
        touched.add(key);
      }
    }
    for (const [key, origin, held] of kept) this.#override(key, origin, held, nowMs);
    for (const key of touched) this.#layersChanged(key, "restored", nowMs);
    this.#finish(nowMs);
  }

  clearMaxima(): void {
    this.queue.clearMaxima();
    for (const backend of this.#backends.values()) backend.row.clearMaxima();
  }

  // ---------------------------------------------------------------- data plane

  /**
   * Request path. Takes a slot of the backend the balancer picks, in the same step; undefined when there is
   * none, and `refusal` says why. Those in `avoid` are taken only when nothing else is left. Nobody overtakes
   * those who wait.
   */
  acquire(avoid: readonly Backend[], nowMs: number): Lease | undefined {
    if (!this.#haveWaitersTheirDue(nowMs)) return undefined;
    const backend = this.tiers.pick(avoid);
    return backend === undefined ? undefined : this.#take(backend, nowMs);
  }

  /** Request path. As `acquire`, for whoever is bound to a backend or has a key that decides. */
  acquireFor(wish: Wish, nowMs: number): Lease | undefined {
    if (!this.#haveWaitersTheirDue(nowMs)) return undefined;
    const backend = this.#choose(wish);
    return backend === undefined ? undefined : this.#take(backend, nowMs);
  }

  /** Why nothing was given: everyone at its limit is worth waiting for, nobody usable is not. */
  refusal(wish?: Wish): Refusal {
    const isBound = wish !== undefined && boundBackend(wish) !== undefined;
    return this.tiers.state.usable === 0 && !isBound ? "no-usable-backend" : "all-full";
  }

  /** Waits for a slot. Undefined when the queue is full; both are counted. */
  enqueue(waiter: Waiter): Ticket | undefined {
    const ticket = this.queue.join(waiter);
    this.row.add(ticket === undefined ? COUNTER.refusedQueueFull : COUNTER.queued, WRITER, 1);
    return ticket;
  }

  /** Counts something that concerns the pool rather than one backend. */
  count(counter: CounterName, amount = 1): void {
    this.row.add(COUNTER[counter], WRITER, amount);
  }

  /** Request path. The one settle point of a lease; called by the lease. */
  settle(lease: Lease, outcome: Outcome, status: number, nowMs: number): void {
    const { backend } = lease;
    backend.row.giveBack(lease.writer);
    this.#open--;
    if (this.#options.growingLimit !== undefined) this.#growLimits(0);
    backend.row.add(COUNTER.success + outcomeIndex(outcome), lease.writer, 1);
    if (outcome === "success") backend.succeeded(nowMs);
    if (status >= 100 && status < 600) {
      backend.row.add(COUNTER.status1xx + Math.floor(status / 100) - 1, lease.writer, 1);
    }
    this.tiers.observe(backend, lease.latencyMs, outcome, nowMs);
    this.tiers.released(backend);
    if (!backend.isGone) this.#judge(lease, outcome, status, nowMs);
    backend.observer?.settled(outcome, status, nowMs);
    if (backend.isGone && backend.inFlight === 0) this.#remove(backend, nowMs);
    this.#finish(nowMs);
  }

  /** Detection hears of an attempt. */
  #judge(lease: Lease, outcome: Outcome, status: number, nowMs: number): void {
    const { backend, judgedStatus, latencyMs } = lease;
    const judged = judgedStatus === 0 ? status : judgedStatus;
    this.#detection.settled(backend, outcome, judged, lease.takenMs, nowMs);
    if (latencyMs >= 0) this.#detection.timed(backend, latencyMs, nowMs);
  }

  invariantBroken(what: string): void {
    this.#options.onInvariantBroken(`pool ${this.name}: ${what}`);
  }

  // ---------------------------------------------------------------- control plane

  /**
   * Puts a complete list in force. Backends are matched by identity and address: new ones join, kept ones keep
   * counts, health, ejection and overrides, missing ones take no new work and leave when their open work is
   * done or the drain deadline passes.
   */
  apply(snapshot: Snapshot, nowMs: number): void {
    this.#appliedMs = nowMs;
    this.#weightScale = weightScale(snapshot.endpoints.map((endpoint) => endpoint.weight));
    const areMostNew = this.#areMostNew(snapshot);
    const listed = new Set<string>();
    for (const endpoint of snapshot.endpoints) {
      const id = rowIdOf(endpoint);
      if (listed.has(id)) continue;
      listed.add(id);
      const backend = this.#backends.get(id);
      if (backend === undefined) this.#join(endpoint, areMostNew, nowMs);
      else this.#keep(backend, endpoint, areMostNew, nowMs);
    }
    for (const backend of [...this.#backends.values()]) {
      if (!listed.has(backend.id) && !backend.isGone) this.#leave(backend, nowMs);
    }
    this.#markPresence(nowMs);
    this.#isDueMoved = true;
    this.#finish(nowMs);
  }

  /**
   * Puts other options in force without forgetting anything: counts, health, ejections, overrides and whoever waits
   * stay. Name and scoreboard are those of the beginning.
   */
  reconfigure(options: PoolOptions, nowMs: number): void {
    const { balancer, tiers } = this.#options;
    const isOtherBalancer = options.balancer !== balancer || options.tiers.zone?.own !== tiers.zone?.own;
    this.#options = options;
    this.queue.limitTo(options.maxQueue);
    if (isOtherBalancer) this.tiers.rebalance(options.balancer);
    for (const backend of this.#backends.values()) {
      this.#limit(backend);
      backend.judgeBy(options.verdict ?? "both");
      this.tiers.place(backend);
    }
    this.#isDueMoved = true;
    this.#finish(nowMs);
  }

  /** What an active check says. A backend is down when its health check or its agent check says so. */
  setCheck(
    backend: Backend,
    state: CheckFact,
    why: string,
    nowMs: number,
    source: CheckSource = "health",
  ): void {
    if (!this.#holds(backend)) return;
    const verdict = backend.check(source, { state, why });
    if (backend.facts.check.state !== "down" && verdict.state === "down")
      backend.row.add(COUNTER.timesDown, WRITER, 1);
    this.#state(backend, "check", verdict.state, verdict.why, undefined, nowMs);
    this.#finish(nowMs);
  }

  /** An active check passed, and its verdict is up. */
  checkPassed(backend: Backend, nowMs: number): void {
    if (!this.#holds(backend)) return;
    this.#detection.checkPassed(backend, nowMs);
    this.#finish(nowMs);
  }

  /** Overrides the discovered weight; undefined takes back what this origin said. */
  setWeight(backend: Backend, change: WeightChange | undefined, terms: OverrideTerms, nowMs: number): void {
    const weight = change === undefined ? undefined : overrideOf(change, terms, nowMs);
    this.#override(backend.endpoint.key, terms.origin, { weight }, nowMs);
    this.#forKey(backend.endpoint.key, (each) => this.#weigh(each, terms.reason, nowMs));
    this.#finish(nowMs);
  }

  /** Overrides the admin state; `ready` takes back the drain or maint of this origin, and of no other. */
  setAdmin(backend: Backend, state: AdminFact, terms: OverrideTerms, nowMs: number): void {
    const admin = state === "ready" ? undefined : overrideOf(state, terms, nowMs);
    this.#override(backend.endpoint.key, terms.origin, { admin }, nowMs);
    this.#forKey(backend.endpoint.key, (each) => this.#administer(each, terms.reason, nowMs));
    this.#finish(nowMs);
  }

  /** Overrides the most leases at once, 0 for no limit; undefined takes back what this origin said. */
  setLimit(backend: Backend, most: number | undefined, terms: OverrideTerms, nowMs: number): void {
    const limit = most === undefined ? undefined : overrideOf(most, terms, nowMs);
    this.#override(backend.endpoint.key, terms.origin, { limit }, nowMs);
    this.#forKey(backend.endpoint.key, (each) => this.#limit(each));
    this.#finish(nowMs);
  }

  /** Whether one more key may be overridden. */
  canOverride(key: string): boolean {
    return this.#overrides.layers(key).length > 0 || !this.#overrides.isFull;
  }

  /** Cuts the open work of a drained backend at this time; undefined lifts the deadline. */
  setDrainDeadline(backend: Backend, deadlineMs: number | undefined): void {
    backend.drainUntil(deadlineMs);
    this.#onDueChanged?.();
  }

  /** The operator ejects; the cap does not hold him back. */
  eject(backend: Backend, durationMs: number | undefined, why: string, nowMs: number): void {
    if (!this.#holds(backend)) return;
    this.#detection.eject(backend, "manual", why, durationMs, nowMs);
    this.#finish(nowMs);
  }

  /** Goes on with an ejection that another process began; the cap does not hold it back. */
  resumeEjection(
    backend: Backend,
    begun: {
      readonly cause: EjectionCause;
      readonly why: string;
      readonly leftMs: number;
      readonly multiplier: number;
    },
    nowMs: number,
  ): void {
    if (!this.#holds(backend) || backend.facts.detection.state === "ejected") return;
    backend.monitor.multiplier = begun.multiplier;
    this.#detection.eject(backend, begun.cause, begun.why, begun.leftMs, nowMs);
    this.#finish(nowMs);
  }

  /** Ends an ejection before its time. */
  unEject(backend: Backend, why: string, nowMs: number): void {
    if (!this.#holds(backend) || backend.facts.detection.state !== "ejected") return;
    this.#detection.unEject(backend, why, nowMs);
    this.#finish(nowMs);
  }

  /**
   * Does what is due: returns from ejection, forgiveness, overrides that expire, drain deadlines. Answers when
   * to call again, infinite when nothing is due; `onDueChanged` tells when that moved.
   */
  tick(nowMs: number): number {
    this.#detection.tick(nowMs);
    this.#slowStart.tick(nowMs);
    for (const backend of this.#backends.values()) {
      const { drainUntilMs } = backend;
      if (drainUntilMs !== undefined && drainUntilMs <= nowMs) {
        backend.drainUntil(undefined);
        this.#announcer.note({ type: "drain-deadline", backend }, nowMs);
      }
    }
    for (const key of this.#overrides.expire(nowMs)) {
      this.#layersChanged(key, "override expired", nowMs);
      this.#onOverridesChanged?.();
    }
    this.#finish(nowMs);
    return this.#nextDueMs();
  }

  // ---------------------------------------------------------------- membership

  /** Whether over half of those a list admits were not admitted before. */
  #areMostNew(snapshot: Snapshot): boolean {
    let admitted = 0;
    let fresh = 0;
    for (const endpoint of snapshot.endpoints) {
      if (!endpoint.admitted) continue;
      admitted++;
      if (this.#backends.get(rowIdOf(endpoint))?.facts.discovery.state !== "admitted") fresh++;
    }
    return fresh > admitted / 2;
  }

  #join(endpoint: Endpoint, isOneOfMany: boolean, nowMs: number): void {
    const backend = new Backend(endpoint, this.#scoreboard.allocate(), nowMs);
    backend.judgeBy(this.#options.verdict ?? "both");
    this.#limit(backend);
    backend.state("discovery", discoveryFact(endpoint), endpoint.reason, nowMs);
    this.#backends.set(backend.id, backend);
    const { admin } = this.#overrides.of(endpoint.key);
    if (admin !== undefined) backend.state("admin", admin.value, admin.reason, nowMs);
    backend.weigh(this.#weight16Of(backend));
    this.#announcer.note({ type: "backend-added", backend }, nowMs);
    this.#slowStart.listed(backend, isOneOfMany);
    this.#slowStart.entered(backend, nowMs);
    this.tiers.place(backend);
  }

  #keep(backend: Backend, endpoint: Endpoint, isOneOfMany: boolean, nowMs: number): void {
    if (backend.facts.discovery.state !== "admitted") this.#slowStart.listed(backend, isOneOfMany);
    const previous = backend.endpoint;
    backend.describe(endpoint);
    const isMoved = previous.priority !== endpoint.priority || previous.zone !== endpoint.zone;
    if (isMoved) this.tiers.place(backend);
    if (backend.isGone) {
      backend.drainUntil(undefined);
      this.#announcer.note({ type: "backend-returned", backend }, nowMs);
    }
    if (!isSameEndpoint(previous, endpoint))
      this.#announcer.note({ type: "endpoint-changed", backend, previous }, nowMs);
    this.#state(backend, "discovery", discoveryFact(endpoint), endpoint.reason, undefined, nowMs);
    this.#weigh(backend, "discovery", nowMs);
    // A status alone may decide, where the rule of verdicts looks at it.
    if (backend.isFiled !== backend.isEligible) this.tiers.place(backend);
  }

  #leave(backend: Backend, nowMs: number): void {
    const untilMs = nowMs + this.#options.drainDeadlineMs;
    this.#state(backend, "discovery", "gone", "left discovery", untilMs, nowMs);
    backend.drainUntil(untilMs);
    this.#announcer.note({ type: "backend-leaving", backend, untilMs }, nowMs);
    if (backend.inFlight === 0) this.#remove(backend, nowMs);
  }

  #remove(backend: Backend, nowMs: number): void {
    if (!this.#backends.delete(backend.id)) return;
    for (const column of Object.values(COUNTER)) this.row.add(column, WRITER, backend.row.read(column));
    this.#announcer.note({ type: "backend-removed", backend }, nowMs);
    this.#slowStart.removed(backend);
    this.#scoreboard.free(backend.row);
  }

  /** Whether this very backend is in the pool, leaving or not. */
  #holds(backend: Backend): boolean {
    return this.#backends.get(backend.id) === backend;
  }

  #markPresence(nowMs: number): void {
    const present = new Set<string>();
    for (const backend of this.#backends.values()) if (!backend.isGone) present.add(backend.endpoint.key);
    for (const key of this.#overrides.keys()) this.#overrides.seen(key, present.has(key), nowMs);
  }

  #override(key: string, origin: OverrideOrigin, change: Partial<KeyOverrides>, nowMs: number): void {
    this.#overrides.set(key, origin, change);
    this.#markPresence(nowMs);
    this.#isDueMoved = true;
    this.#onOverridesChanged?.();
  }

  #forKey(key: string, act: (backend: Backend) => void): void {
    for (const backend of [...this.#backends.values()]) if (backend.endpoint.key === key) act(backend);
  }

  // ---------------------------------------------------------------- facts and weights

  #state<Name extends FactName>(
    backend: Backend,
    fact: Name,
    state: Facts[Name]["state"],
    why: string,
    untilMs: number | undefined,
    nowMs: number,
  ): void {
    const from = backend.facts[fact].state;
    backend.state(fact, state, why, nowMs);
    if (from === state) return;
    this.#announcer.note({ type: "state-changed", backend, fact, from, to: state, why, untilMs }, nowMs);
    this.#slowStart.changed(backend, fact, from, state, nowMs);
    this.tiers.place(backend);
  }

  /** Puts all that is said of a key in force anew. */
  #layersChanged(key: string, why: string, nowMs: number): void {
    this.#forKey(key, (backend) => {
      this.#administer(backend, why, nowMs);
      this.#weigh(backend, why, nowMs);
      this.#limit(backend);
    });
  }

  /** What was configured, unless it is overridden, as far as load, slow start and probation grant it. */
  #limit(backend: Backend): void {
    const { maxInFlightPerBackend, growingLimit } = this.#options;
    const most = this.#overrides.of(backend.endpoint.key).limit?.value ?? maxInFlightPerBackend;
    const granted = rampedLimit(limitAt(most, growingLimit, this.#limitedLoad), backend.ramp);
    const limit = backend.probation.limit(granted);
    const { row } = backend;
    if (row.limit === limit) return;
    const wasFull = row.isFull;
    row.limit = limit;
    // Those who order backends only ask whether one is full, and whoever is filed anew loses its turn.
    if (row.isFull !== wasFull) this.tiers.place(backend);
  }

  /** Limits follow the load: what is open, what waits, and `more`. */
  #growLimits(more: number): void {
    const { growingLimit, maxInFlightPerBackend } = this.#options;
    const load = Math.min(this.#open + this.queue.length + more, growingLimit?.fullLoad ?? 0);
    if (load === this.#limitedLoad) return;
    const before = limitAt(maxInFlightPerBackend, growingLimit, this.#limitedLoad);
    this.#limitedLoad = load;
    const isSame = limitAt(maxInFlightPerBackend, growingLimit, load) === before;
    if (isSame && this.#overrides.size === 0) return;
    for (const backend of this.#backends.values()) this.#limit(backend);
  }

  #administer(backend: Backend, why: string, nowMs: number): void {
    const override = this.#overrides.of(backend.endpoint.key).admin;
    if (override === undefined && !backend.isGone) backend.drainUntil(undefined);
    this.#state(
      backend,
      "admin",
      override?.value ?? "ready",
      override?.reason ?? why,
      override?.expiresMs,
      nowMs,
    );
  }

  /** Override, ramp and demotion laid over the discovered weight. */
  #weight16Of(backend: Backend): number {
    const { key, weight } = backend.endpoint;
    const asked = weightInSixteenths(
      scaledWeight(weight, this.#weightScale),
      this.#overrides.of(key).weight?.value,
    );
    return reducedWeight(asked, backend.ramp * backend.demotion);
  }

  /** Puts the weight in force anew. Without `why` nobody is told. */
  #weigh(backend: Backend, why: string | undefined, nowMs: number, untilMs?: number): void {
    const from = backend.weight;
    const weight16 = this.#weight16Of(backend);
    if (backend.row.weight16 === weight16) return;
    backend.weigh(weight16);
    if (why !== undefined) {
      const to = backend.weight;
      this.#announcer.note({ type: "weight-changed", backend, from, to, why, untilMs }, nowMs);
    }
    this.tiers.place(backend);
  }

  /** Who takes new work may be others than before; says so. */
  #settleTiers(nowMs: number): void {
    const before = this.tiers.settle();
    const now = this.tiers.state;
    if (now.isPanicking !== before.isPanicking) {
      const { healthyCount } = this.tiers;
      this.#announcer.note(
        { type: "panic-changed", isPanicking: now.isPanicking, healthy: healthyCount, usable: now.usable },
        nowMs,
      );
    }
    if (now.tier !== before.tier)
      this.#announcer.note({ type: "tier-changed", from: before.tier, to: now.tier }, nowMs);
    if (now.usable > 0 !== before.usable > 0)
      this.#announcer.note({ type: "usable-changed", isUsable: now.usable > 0 }, nowMs);
  }

  // ---------------------------------------------------------------- inner workings

  #moveDue(): void {
    this.#isDueMoved = true;
  }

  #detect(): Detection {
    const host = {
      options: () => this.#options.outlier,
      backends: () => this.#backends.values(),
      census: () => this.census(),
      state: (
        backend: Backend,
        state: DetectionFact,
        why: string,
        untilMs: number | undefined,
        nowMs: number,
      ) => this.#state(backend, "detection", state, why, untilMs, nowMs),
      limited: (backend: Backend) => this.#limit(backend),
      demoted: (backend: Backend, why: string, nowMs: number) => this.#weigh(backend, why, nowMs),
      note: (event: PoolEvent, nowMs: number) => this.#announcer.note(event, nowMs),
      dueMoved: () => this.#moveDue(),
    };
    return new Detection(host, WRITER, () => this.options.random());
  }

  /** Once they were served, whoever waits still can use nothing of what is free. */
  #haveWaitersTheirDue(nowMs: number): boolean {
    if (this.#options.growingLimit !== undefined) this.#growLimits(1);
    if (this.queue.length === 0) return true;
    if (this.#isGranting) return false;
    this.#grant(nowMs);
    // Whoever was served may have given its slot back already.
    if (this.#options.growingLimit !== undefined) this.#growLimits(1);
    return this.queue.length === 0 || this.queue.boundCount > 0;
  }

  /** The backend the wish is bound to, which may be drained or of weight 0, or else the balancer's pick. */
  #choose(wish: Wish): Backend | undefined {
    const bound = boundBackend(wish);
    if (bound === undefined) return this.tiers.pick(wish.avoid, wish.hash);
    return bound.row.isFull ? undefined : bound;
  }

  #take(backend: Backend, nowMs: number): Lease {
    backend.row.take(WRITER);
    this.#open++;
    backend.used(nowMs);
    if (this.tiers.state.isPanicking) this.row.add(COUNTER.panicPicks, WRITER, 1);
    const { zone } = this.#options.tiers;
    if (zone !== undefined) {
      const isOwn = backend.endpoint.zone === zone.own;
      this.row.add(isOwn ? COUNTER.ownZonePicks : COUNTER.otherZonePicks, WRITER, 1);
    }
    this.tiers.taken(backend);
    return new Lease(this, backend, WRITER, nowMs);
  }

  /** Ends every change: tells of it, wakes whoever calls `tick`, and lets waiters have what became free. */
  #finish(nowMs: number): void {
    if (this.tiers.isStale) this.#settleTiers(nowMs);
    if (this.#announcer.isPending) this.#announcer.deliver();
    if (this.#isDueMoved) {
      this.#isDueMoved = false;
      this.#onDueChanged?.();
    }
    if (this.queue.length > 0) this.#grant(nowMs);
  }

  /**
   * Hands free slots to those who wait, longest wait first. Who is bound to a backend at its limit waits for that one and
   * holds up nobody behind.
   */
  #grant(nowMs: number): void {
    if (this.#isGranting) return;
    this.#isGranting = true;
    try {
      let place = this.queue.first;
      while (place !== undefined) {
        const { waiter } = place;
        const backend = this.#choose(waiter);
        if (backend !== undefined) {
          this.queue.leave(place);
          this.#hand(waiter, this.#take(backend, nowMs), nowMs);
          place = this.queue.first;
        } else if (this.queue.boundCount === 0) {
          return;
        } else {
          place = place.next;
        }
      }
    } finally {
      this.#isGranting = false;
    }
  }

  /** A waiter that fails must not take down whoever gave the slot back. */
  #hand(waiter: Waiter, lease: Lease, nowMs: number): void {
    try {
      waiter.granted(lease);
    } catch (error) {
      if (lease.isOpen) lease.release("ignored", 0, nowMs);
      this.invariantBroken(`a waiter failed on its slot: ${String(error)}`);
    }
  }

  #nextDueMs(): number {
    let due = Math.min(
      this.#overrides.nextExpiryMs(),
      this.#detection.nextDueMs(),
      this.#slowStart.nextDueMs(),
    );
    for (const { drainUntilMs } of this.#backends.values()) due = Math.min(due, drainUntilMs ?? due);
    return due;
  }
}

function discoveryFact(endpoint: Endpoint): DiscoveryFact {
  if (endpoint.admitted) return "admitted";
  return endpoint.suppressed === true ? "suppressed" : "refused";
}
