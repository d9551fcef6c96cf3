import {
  type AdminFact,
  Backend,
  type CheckFact,
  type DiscoveryFact,
  type FactName,
  type Facts,
} from "./backend.js";
import type { Balancer } from "./balancer.js";
import type { Endpoint, Snapshot } from "./endpoint.js";
import { rowIdOf } from "./endpoint.js";
import type { PoolEvent, PoolListener } from "./events.js";
import { Lease, type LeaseOwner } from "./lease.js";
import type { Outcome } from "./outcome.js";
import { outcomeIndex } from "./outcome.js";
import { type EjectionCause, OutlierDetector, type OutlierOptions, type PoolCensus } from "./outlier.js";
import { type KeyOverrides, type Override, OverrideBook, type OverrideTerms } from "./override.js";
import { type Ticket, type Waiter, WaitQueue } from "./queue.js";
import { COUNTER, type CounterName, type Row, Scoreboard } from "./scoreboard.js";
import { scaledWeight, type WeightChange, weightInSixteenths, weightScale } from "./weight.js";

export interface PoolOptions {
  readonly name: string;
  readonly balancer: Balancer;
  /** Undefined switches detection off; the operator can still eject. */
  readonly outlier: OutlierOptions | undefined;
  /** Most leases on one backend at once; 0 for no limit. */
  readonly maxInFlightPerBackend: number;
  /** Most waiters for a slot. */
  readonly maxQueue: number;
  /** How long a backend that left discovery may finish its open work. */
  readonly drainDeadlineMs: number;
  /** Told of what must never happen; tests throw here. */
  readonly onInvariantBroken: (what: string) => void;
  readonly scoreboard?: Scoreboard;
}

/** Why no lease was given. */
export type Refusal = "no-usable-backend" | "all-full";

/** The operator's ejections need durations even where detection is off. */
const MANUAL_OUTLIER_OPTIONS: OutlierOptions = {
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
  consecutiveConnectFailure: 0,
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  maxEjectionTimeMs: 300_000,
  maxEjectionPercent: 100,
};

/** One thread counts today; the scoreboard is laid out for several. */
const WRITER = 0;

const NOBODY: readonly Backend[] = [];

/**
 * One upstream service: its backends, balancer, detector and queue. Here the two planes meet: the data plane
 * takes and gives back leases, the control plane states facts and weights, and each sees the other's work at
 * the next call. Pure: no clock, no chance, no input or output; `tick` does what is due.
 */
export class Pool implements LeaseOwner {
  readonly name: string;
  readonly options: PoolOptions;
  readonly queue: WaitQueue;
  /** Counts of the pool itself and of the backends that were removed. */
  readonly row: Row;
  readonly #scoreboard: Scoreboard;
  readonly #balancer: Balancer;
  readonly #detector: OutlierDetector;
  readonly #overrides = new OverrideBook();
  readonly #backends = new Map<string, Backend>();
  readonly #eligible = new Set<Backend>();
  readonly #listeners = new Set<PoolListener>();
  #isGranting = false;
  #weightScale = 1;
  #appliedMs: number | undefined;
  #forgiveAtMs = Number.POSITIVE_INFINITY;
  #onDueChanged: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.options = options;
    this.queue = new WaitQueue(options.maxQueue);
    this.#scoreboard = options.scoreboard ?? new Scoreboard();
    this.row = this.#scoreboard.allocate();
    this.#balancer = options.balancer;
    this.#detector = new OutlierDetector(options.outlier ?? MANUAL_OUTLIER_OPTIONS);
  }

  // ---------------------------------------------------------------- reading

  get algorithm(): string {
    return this.#balancer.algorithm;
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

  /** Backends that take new work. */
  get eligibleCount(): number {
    return this.#eligible.size;
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
    return { present, ejected, eligible: this.#eligible.size };
  }

  overridesOf(key: string): KeyOverrides {
    return this.#overrides.of(key);
  }

  /** What the balancer would pick now, without taking it. */
  peek(avoid: readonly Backend[] = NOBODY): Backend | undefined {
    return this.#balancer.pick(avoid);
  }

  /** Answers how to stop. */
  subscribe(listener: PoolListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whoever calls `tick` learns here that something may be due earlier than it was told. */
  onDueChanged(callback: () => void): void {
    this.#onDueChanged = callback;
  }

  clearMaxima(): void {
    this.queue.clearMaxima();
    for (const backend of this.#backends.values()) backend.row.clearMaxima();
  }

  // ---------------------------------------------------------------- data plane

  /**
   * Request path. Takes a slot of the backend the balancer picks, in the same step; undefined when there is
   * none, and `refusal` says why. Those in `avoid` are taken only when nothing else is left.
   */
  acquire(avoid: readonly Backend[], nowMs: number): Lease | undefined {
    const backend = this.#balancer.pick(avoid);
    if (backend === undefined) return undefined;
    return this.#take(backend, nowMs);
  }

  /** Why `acquire` gave nothing: everyone at its limit is worth waiting for, nobody usable is not. */
  refusal(): Refusal {
    return this.#eligible.size === 0 ? "no-usable-backend" : "all-full";
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
    backend.row.add(COUNTER.success + outcomeIndex(outcome), lease.writer, 1);
    if (status >= 100 && status < 600) {
      backend.row.add(COUNTER.status1xx + Math.floor(status / 100) - 1, lease.writer, 1);
    }
    if (this.#eligible.has(backend)) this.#balancer.released(backend);
    if (this.options.outlier !== undefined && !backend.isGone) this.#detect(backend, outcome, status, nowMs);
    if (backend.isGone && backend.inFlight === 0) this.#remove(backend, nowMs);
    if (this.queue.length > 0) this.#grant(nowMs);
  }

  invariantBroken(what: string): void {
    this.options.onInvariantBroken(`pool ${this.name}: ${what}`);
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
    const listed = new Set<string>();
    for (const endpoint of snapshot.endpoints) {
      const id = rowIdOf(endpoint);
      if (listed.has(id)) continue;
      listed.add(id);
      const backend = this.#backends.get(id);
      if (backend === undefined) this.#join(endpoint, nowMs);
      else this.#keep(backend, endpoint, nowMs);
    }
    for (const backend of [...this.#backends.values()]) {
      if (!listed.has(backend.id) && !backend.isGone) this.#leave(backend, nowMs);
    }
    this.#markPresence(nowMs);
    this.#dueChanged();
    this.#grant(nowMs);
  }

  /** The active check's verdict. */
  setCheck(backend: Backend, state: CheckFact, why: string, nowMs: number): void {
    if (backend.facts.check.state !== "down" && state === "down")
      backend.row.add(COUNTER.timesDown, WRITER, 1);
    this.#state(backend, "check", state, why, undefined, nowMs);
  }

  /** Overrides the discovered weight; undefined takes the override back. */
  setWeight(backend: Backend, change: WeightChange | undefined, terms: OverrideTerms, nowMs: number): void {
    const weight = change === undefined ? undefined : overrideOf(change, terms, nowMs);
    this.#overrides.set(backend.endpoint.key, { weight });
    this.#forKey(backend.endpoint.key, (each) => this.#weigh(each, terms.reason, nowMs));
    this.#dueChanged();
    this.#grant(nowMs);
  }

  /** Overrides the admin state; `ready` takes a drain or maint back. */
  setAdmin(backend: Backend, state: AdminFact, terms: OverrideTerms, nowMs: number): void {
    const admin = state === "ready" ? undefined : overrideOf(state, terms, nowMs);
    this.#overrides.set(backend.endpoint.key, { admin });
    this.#forKey(backend.endpoint.key, (each) => this.#administer(each, terms.reason, nowMs));
    this.#dueChanged();
    this.#grant(nowMs);
  }

  /** Whether one more key may be overridden. */
  canOverride(key: string): boolean {
    const held = this.#overrides.of(key);
    return held.weight !== undefined || held.admin !== undefined || !this.#overrides.isFull;
  }

  /** Cuts the open work of a drained backend at this time; undefined lifts the deadline. */
  setDrainDeadline(backend: Backend, deadlineMs: number | undefined): void {
    backend.drainUntil(deadlineMs);
    this.#dueChanged();
  }

  /** The operator ejects; the cap does not hold him back. */
  eject(backend: Backend, durationMs: number | undefined, why: string, nowMs: number): void {
    this.#eject(backend, "manual", why, durationMs, nowMs);
  }

  unEject(backend: Backend, why: string, nowMs: number): void {
    if (backend.facts.detection.state !== "ejected") return;
    this.#detector.unEject(backend.monitor, nowMs);
    this.#state(backend, "detection", "active", why, undefined, nowMs);
    this.#dueChanged();
    this.#grant(nowMs);
  }

  /**
   * Does what is due: returns from ejection, forgiveness, overrides that expire, drain deadlines. Answers when
   * to call again, infinite when nothing is due; `onDueChanged` tells when that moved.
   */
  tick(nowMs: number): number {
    for (const backend of [...this.#backends.values()]) {
      const { ejectedUntilMs } = backend.monitor;
      if (ejectedUntilMs !== undefined && ejectedUntilMs <= nowMs)
        this.unEject(backend, "ejection time served", nowMs);
      if (backend.drainUntilMs !== undefined && backend.drainUntilMs <= nowMs) {
        backend.drainUntil(undefined);
        this.#emit({ type: "drain-deadline", backend }, nowMs);
      }
    }
    this.#forgive(nowMs);
    for (const key of this.#overrides.expire(nowMs)) {
      this.#forKey(key, (backend) => {
        this.#administer(backend, "override expired", nowMs);
        this.#weigh(backend, "override expired", nowMs);
      });
    }
    this.#grant(nowMs);
    return this.#nextDueMs();
  }

  // ---------------------------------------------------------------- membership

  #join(endpoint: Endpoint, nowMs: number): void {
    const backend = new Backend(endpoint, this.#scoreboard.allocate(), nowMs);
    backend.row.limit = this.options.maxInFlightPerBackend;
    backend.state("discovery", discoveryFact(endpoint), endpoint.reason, nowMs);
    this.#backends.set(backend.id, backend);
    const { admin } = this.#overrides.of(endpoint.key);
    if (admin !== undefined) backend.state("admin", admin.value, admin.reason, nowMs);
    backend.weigh(...this.#weightOf(endpoint));
    this.#emit({ type: "backend-added", backend }, nowMs);
    this.#refile(backend, nowMs);
  }

  #keep(backend: Backend, endpoint: Endpoint, nowMs: number): void {
    const previous = backend.endpoint;
    backend.describe(endpoint);
    if (backend.isGone) {
      backend.drainUntil(undefined);
      this.#emit({ type: "backend-returned", backend }, nowMs);
    }
    if (!isSameEndpoint(previous, endpoint))
      this.#emit({ type: "endpoint-changed", backend, previous }, nowMs);
    this.#state(backend, "discovery", discoveryFact(endpoint), endpoint.reason, undefined, nowMs);
    this.#weigh(backend, "discovery", nowMs);
  }

  #leave(backend: Backend, nowMs: number): void {
    const untilMs = nowMs + this.options.drainDeadlineMs;
    this.#state(backend, "discovery", "gone", "left discovery", untilMs, nowMs);
    backend.drainUntil(untilMs);
    this.#emit({ type: "backend-leaving", backend, untilMs }, nowMs);
    if (backend.inFlight === 0) this.#remove(backend, nowMs);
  }

  #remove(backend: Backend, nowMs: number): void {
    if (!this.#backends.delete(backend.id)) return;
    for (const column of Object.values(COUNTER)) this.row.add(column, WRITER, backend.row.read(column));
    this.#emit({ type: "backend-removed", backend }, nowMs);
    this.#scoreboard.free(backend.row);
  }

  #markPresence(nowMs: number): void {
    const present = new Set<string>();
    for (const backend of this.#backends.values()) if (!backend.isGone) present.add(backend.endpoint.key);
    for (const key of this.#overrides.keys()) this.#overrides.seen(key, present.has(key), nowMs);
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
    this.#emit({ type: "state-changed", backend, fact, from, to: state, why, untilMs }, nowMs);
    this.#refile(backend, nowMs);
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

  #weightOf(endpoint: Endpoint): [weight: number, weight16: number] {
    const discovered = scaledWeight(endpoint.weight, this.#weightScale);
    const weight16 = weightInSixteenths(discovered, this.#overrides.of(endpoint.key).weight?.value);
    return [weight16 / 16, weight16];
  }

  #weigh(backend: Backend, why: string, nowMs: number): void {
    const from = backend.weight;
    const [weight, weight16] = this.#weightOf(backend.endpoint);
    if (backend.row.weight16 === weight16) return;
    backend.weigh(weight, weight16);
    this.#emit({ type: "weight-changed", backend, from, to: weight, why }, nowMs);
    this.#refile(backend, nowMs);
  }

  /** Brings the balancer's view in line with the backend's state. */
  #refile(backend: Backend, nowMs: number): void {
    const wasUsable = this.#eligible.size > 0;
    if (!backend.isEligible) {
      if (this.#eligible.delete(backend)) this.#balancer.remove(backend);
    } else if (this.#eligible.has(backend)) {
      this.#balancer.reweigh(backend);
    } else {
      this.#eligible.add(backend);
      this.#balancer.add(backend);
    }
    const isUsable = this.#eligible.size > 0;
    if (isUsable !== wasUsable) this.#emit({ type: "usable-changed", isUsable }, nowMs);
  }

  // ---------------------------------------------------------------- detection

  #detect(backend: Backend, outcome: Outcome, status: number, nowMs: number): void {
    const cause = this.#detector.record(backend.monitor, outcome, status);
    if (cause === undefined || backend.facts.detection.state === "ejected") return;
    backend.row.add(COUNTER.ejectionsDetected, WRITER, 1);
    if (this.#detector.hasRoom(this.census(), backend.isEligible)) {
      this.#eject(backend, cause, cause, undefined, nowMs);
    } else {
      backend.row.add(COUNTER.ejectionsOverflowed, WRITER, 1);
      this.#emit({ type: "ejection-overflowed", backend, cause }, nowMs);
    }
  }

  #eject(
    backend: Backend,
    cause: EjectionCause,
    why: string,
    durationMs: number | undefined,
    nowMs: number,
  ): void {
    backend.row.add(COUNTER.ejectionsEnforced, WRITER, 1);
    const untilMs = this.#detector.eject(backend.monitor, cause, nowMs, durationMs);
    this.#state(backend, "detection", "ejected", why, untilMs, nowMs);
    this.#dueChanged();
  }

  #forgive(nowMs: number): void {
    if (nowMs < this.#forgiveAtMs) return;
    this.#forgiveAtMs = Number.POSITIVE_INFINITY;
    for (const backend of this.#backends.values()) this.#detector.forgive(backend.monitor, nowMs);
  }

  // ---------------------------------------------------------------- inner workings

  #take(backend: Backend, nowMs: number): Lease {
    backend.row.take(WRITER);
    backend.used(nowMs);
    this.#balancer.taken(backend);
    return new Lease(this, backend, WRITER, nowMs);
  }

  /** Hands free slots to those who wait, longest wait first. */
  #grant(nowMs: number): void {
    if (this.#isGranting) return;
    this.#isGranting = true;
    try {
      for (let waiter = this.queue.head(); waiter !== undefined; waiter = this.queue.head()) {
        const backend = this.#balancer.pick(waiter.avoid);
        if (backend === undefined) return;
        this.queue.shift();
        waiter.granted(this.#take(backend, nowMs));
      }
    } finally {
      this.#isGranting = false;
    }
  }

  #nextDueMs(): number {
    let due = this.#overrides.nextExpiryMs();
    for (const { monitor, drainUntilMs } of this.#backends.values()) {
      due = Math.min(due, monitor.ejectedUntilMs ?? due, drainUntilMs ?? due);
      if (monitor.multiplier > 0 && monitor.ejectedUntilMs === undefined) {
        this.#forgiveAtMs = Math.min(
          this.#forgiveAtMs,
          (monitor.returnedAtMs ?? 0) + this.#detector.options.intervalMs,
        );
      }
    }
    return Math.min(due, this.#forgiveAtMs);
  }

  #dueChanged(): void {
    this.#onDueChanged?.();
  }

  #emit(event: PoolEvent, nowMs: number): void {
    for (const listener of this.#listeners) listener(event, nowMs);
  }
}

function discoveryFact(endpoint: Endpoint): DiscoveryFact {
  return endpoint.admitted ? "admitted" : "refused";
}

function overrideOf<Value>(value: Value, terms: OverrideTerms, nowMs: number): Override<Value> {
  const { origin, owner, reason, ttlMs } = terms;
  return {
    value,
    origin,
    owner,
    reason,
    sinceMs: nowMs,
    expiresMs: ttlMs === undefined ? undefined : nowMs + ttlMs,
  };
}

function isSameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return (
    a.id === b.id &&
    a.weight === b.weight &&
    a.status === b.status &&
    a.admitted === b.admitted &&
    a.node === b.node &&
    a.datacenter === b.datacenter &&
    a.zone === b.zone &&
    a.tags.length === b.tags.length &&
    a.tags.every((tag, index) => tag === b.tags[index]) &&
    isSameMeta(a.meta, b.meta)
  );
}

function isSameMeta(a: Endpoint["meta"], b: Endpoint["meta"]): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
