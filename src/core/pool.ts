import { Announcer } from "./announcer.js";
import type { AdminFact, Backend, CheckFact, CheckSource } from "./backend.js";
import { type BegunEjection, Detection } from "./detection.js";
import type { EjectionCounts } from "./ejection-counts.js";
import type { Snapshot } from "./endpoint.js";
import type { PoolListener } from "./events.js";
import type { Lease, LeaseOwner } from "./lease.js";
import type { Waiter } from "./line.js";
import { Members } from "./members.js";
import type { Outcome } from "./outcome.js";
import type { PoolCensus } from "./outlier.js";
import type { OverrideOrigin, OverrideTerms } from "./override.js";
import { type KeptOverrides, Overrides } from "./overrides.js";
import type { PoolOptions } from "./pool-options.js";
import type { Ticket, WaitQueue } from "./queue.js";
import { COUNTER, type CounterName, type Row, Scoreboard, WRITER } from "./scoreboard.js";
import { type Refusal, Slots } from "./slots.js";
import { Standing } from "./standing.js";
import type { Tiers } from "./tiers.js";
import type { WeightChange } from "./weight.js";
import type { Wish } from "./wish.js";

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
  /** What was said of its backends by whom. */
  readonly overrides: Overrides;
  #options: PoolOptions;
  readonly #announcer: Announcer;
  readonly #standing: Standing;
  readonly #members: Members;
  readonly #slots: Slots;
  readonly #detection: Detection;
  #appliedMs: number | undefined;
  #isDueMoved = false;
  #onDueChanged: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.#options = options;
    const host = {
      options: () => this.#options,
      backends: () => this.backends(),
      dueMoved: () => {
        this.#isDueMoved = true;
      },
    };
    this.overrides = new Overrides(host);
    this.#announcer = new Announcer((what) => this.invariantBroken(what));
    this.#standing = new Standing(host, this.overrides, this.#announcer);
    const scoreboard = options.scoreboard ?? new Scoreboard();
    this.#members = new Members(scoreboard, host.options, this.#standing, this.#announcer);
    this.#slots = new Slots(this, this.#standing, this.#members.row);
    this.#detection = this.#detect(host);
  }

  // ---------------------------------------------------------------- reading

  /** As configured now. */
  get options(): PoolOptions {
    return this.#options;
  }

  /** Who takes new work. */
  get tiers(): Tiers {
    return this.#standing.tiers;
  }

  get algorithm(): string {
    return this.tiers.algorithm;
  }

  /** Who waits for a slot. */
  get queue(): WaitQueue {
    return this.#slots.queue;
  }

  /** Counts of the pool itself and of the backends that were removed. */
  get row(): Row {
    return this.#members.row;
  }

  /** All backends, those that are leaving included, in order of joining. */
  backends(): IterableIterator<Backend> {
    return this.#members[Symbol.iterator]();
  }

  backend(id: string): Backend | undefined {
    return this.#members.get(id);
  }

  get size(): number {
    return this.#members.size;
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
    return this.#standing.weightScale;
  }

  get inFlight(): number {
    return this.#members.inFlight;
  }

  /** A counter over the pool itself, its backends, and those removed since the start. */
  total(counter: CounterName): number {
    return this.#members.total(COUNTER[counter]);
  }

  census(): PoolCensus {
    return this.#members.census(this.eligibleCount);
  }

  /** What the detectors found since the start, by cause. */
  get ejectionCounts(): EjectionCounts {
    return this.#detection.counts;
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

  clearMaxima(): void {
    this.queue.clearMaxima();
    for (const backend of this.#members) {
      backend.row.clearMaxima();
      this.queue.at(backend)?.clearMaxima();
    }
  }

  // ---------------------------------------------------------------- data plane

  /**
   * Request path. Takes a slot of the backend the balancer picks, in the same step; undefined when there is
   * none, and `refusal` says why. Those in `avoid` are taken only when nothing else is left. Nobody overtakes
   * those who wait.
   */
  acquire(avoid: readonly Backend[], nowMs: number): Lease | undefined {
    return this.#slots.acquire(avoid, nowMs);
  }

  /** Request path. As `acquire`, for whoever is bound to a backend or has a key that decides. */
  acquireFor(wish: Wish, nowMs: number): Lease | undefined {
    return this.#slots.acquireFor(wish, nowMs);
  }

  /** Why nothing was given: everyone at its limit is worth waiting for, nobody usable is not. */
  refusal(wish?: Wish): Refusal {
    return this.#slots.refusal(wish);
  }

  /** Whether no backend is left, and one may be back before long: then requests wait for it. */
  isAwaitingBackend(nowMs: number): boolean {
    return this.#slots.isAwaitingBackend(nowMs);
  }

  /** Waits for a slot. Undefined when there is no room to wait; both are counted. */
  enqueue(waiter: Waiter, nowMs: number): Ticket | undefined {
    const ticket = this.#slots.enqueue(waiter, nowMs);
    if (this.tiers.state.usable === 0) this.#onDueChanged?.();
    return ticket;
  }

  /** Counts something that concerns the pool rather than one backend. */
  count(counter: CounterName, amount = 1): void {
    this.row.add(COUNTER[counter], WRITER, amount);
  }

  /** Request path. The one settle point of a lease; called by the lease. */
  settle(lease: Lease, outcome: Outcome, status: number, nowMs: number): void {
    const { backend } = lease;
    const { tiers } = this.#standing;
    this.#slots.giveBack(lease, outcome, status, nowMs);
    tiers.observe(backend, lease.latencyMs, outcome, nowMs);
    tiers.released(backend);
    if (!backend.isGone) this.#judge(lease, outcome, status, nowMs);
    if (backend.adaptive !== undefined) this.#standing.limits.settled(lease, outcome, nowMs);
    backend.observer?.settled(outcome, status, nowMs);
    if (backend.isGone) this.#members.emptied(backend, nowMs);
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
    this.#members.apply(snapshot, nowMs);
    this.overrides.markPresence(nowMs);
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
    for (const backend of this.#members) this.#standing.reconfigured(backend, options);
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
    if (!this.#members.has(backend)) return;
    const verdict = backend.check(source, { state, why });
    if (backend.facts.check.state !== "down" && verdict.state === "down")
      backend.row.add(COUNTER.timesDown, WRITER, 1);
    this.#standing.state(backend, "check", verdict.state, verdict.why, undefined, nowMs);
    this.#finish(nowMs);
  }

  /** An active check passed, and its verdict is up. */
  checkPassed(backend: Backend, nowMs: number): void {
    if (!this.#members.has(backend)) return;
    this.#detection.checkPassed(backend, nowMs);
    this.#finish(nowMs);
  }

  /** Overrides the discovered weight; undefined takes back what this origin said. */
  setWeight(backend: Backend, change: WeightChange | undefined, terms: OverrideTerms, nowMs: number): void {
    const { key } = backend.endpoint;
    this.overrides.say(key, "weight", change, terms, nowMs);
    for (const each of this.#members.withKey(key)) this.#standing.weigh(each, terms.reason, nowMs);
    this.#finish(nowMs);
  }

  /** Overrides the admin state; `ready` takes back the drain or maint of this origin, and of no other. */
  setAdmin(backend: Backend, state: AdminFact, terms: OverrideTerms, nowMs: number): void {
    const { key } = backend.endpoint;
    this.overrides.say(key, "admin", state === "ready" ? undefined : state, terms, nowMs);
    for (const each of this.#members.withKey(key)) this.#standing.administer(each, terms.reason, nowMs);
    this.#finish(nowMs);
  }

  /** Overrides the most leases at once, 0 for no limit; undefined takes back what this origin said. */
  setLimit(backend: Backend, most: number | undefined, terms: OverrideTerms, nowMs: number): void {
    const { key } = backend.endpoint;
    this.overrides.say(key, "limit", most, terms, nowMs);
    for (const each of this.#members.withKey(key)) this.#standing.limits.put(each);
    this.#finish(nowMs);
  }

  /**
   * Puts what `origins` said before in force, in place of all they say now; what it says of absent backends waits
   * for them.
   */
  restoreOverrides(origins: readonly OverrideOrigin[], kept: readonly KeptOverrides[], nowMs: number): void {
    for (const key of this.overrides.restore(origins, kept, nowMs))
      this.#layersChanged(key, "restored", nowMs);
    this.#finish(nowMs);
  }

  /** Cuts the open work of a drained backend at this time; undefined lifts the deadline. */
  setDrainDeadline(backend: Backend, deadlineMs: number | undefined): void {
    backend.drainUntil(deadlineMs);
    this.#onDueChanged?.();
  }

  /** The operator ejects; the cap does not hold him back. */
  eject(backend: Backend, durationMs: number | undefined, why: string, nowMs: number): void {
    if (!this.#members.has(backend)) return;
    this.#detection.eject(backend, "manual", why, durationMs, nowMs);
    this.#finish(nowMs);
  }

  /** Goes on with an ejection that another process began; the cap does not hold it back. */
  resumeEjection(backend: Backend, begun: BegunEjection, nowMs: number): void {
    if (!this.#members.has(backend) || backend.facts.detection.state === "ejected") return;
    backend.monitor.multiplier = begun.multiplier;
    this.#detection.eject(backend, begun.cause, begun.why, begun.leftMs, nowMs);
    this.#finish(nowMs);
  }

  /** Ends an ejection before its time. */
  unEject(backend: Backend, why: string, nowMs: number): void {
    if (!this.#members.has(backend) || backend.facts.detection.state !== "ejected") return;
    this.#detection.unEject(backend, why, nowMs);
    this.#finish(nowMs);
  }

  /**
   * Does what is due: returns from ejection, forgiveness, overrides that expire, drain deadlines. Answers when
   * to call again, infinite when nothing is due; `onDueChanged` tells when that moved.
   */
  tick(nowMs: number): number {
    this.#detection.tick(nowMs);
    this.#standing.slowStart.tick(nowMs);
    this.#standing.limits.tick(nowMs);
    this.#members.tick(nowMs);
    for (const key of this.overrides.expire(nowMs)) this.#layersChanged(key, "override expired", nowMs);
    this.#finish(nowMs);
    return this.#nextDueMs();
  }

  // ---------------------------------------------------------------- inner workings

  #layersChanged(key: string, why: string, nowMs: number): void {
    for (const backend of this.#members.withKey(key)) this.#standing.layersChanged(backend, why, nowMs);
  }

  #detect(host: { backends(): Iterable<Backend>; dueMoved(): void }): Detection {
    const standing = this.#standing;
    return new Detection(
      {
        ...host,
        options: () => this.#options.outlier,
        census: () => this.census(),
        state: (backend, state, why, untilMs, nowMs) =>
          standing.state(backend, "detection", state, why, untilMs, nowMs),
        limited: (backend) => standing.limits.put(backend),
        demoted: (backend, why, nowMs) => standing.weigh(backend, why, nowMs),
        note: (event, nowMs) => this.#announcer.note(event, nowMs),
      },
      WRITER,
      () => this.#options.random(),
    );
  }

  /** Ends every change: tells of it, wakes whoever calls `tick`, and lets waiters have what became free. */
  #finish(nowMs: number): void {
    this.#standing.settle(nowMs);
    if (this.#announcer.isPending) this.#announcer.deliver();
    if (this.#isDueMoved) {
      this.#isDueMoved = false;
      this.#onDueChanged?.();
    }
    this.#slots.serve(nowMs);
  }

  #nextDueMs(): number {
    return Math.min(
      this.overrides.nextExpiryMs(),
      this.#detection.nextDueMs(),
      this.#standing.slowStart.nextDueMs(),
      this.#standing.limits.nextDueMs(),
      this.#members.nextDueMs(),
      this.#slots.nextDueMs(),
    );
  }
}
