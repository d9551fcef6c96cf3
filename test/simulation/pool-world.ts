import type { AdminFact, Backend, CheckFact } from "../../src/core/backend.js";
import type { Balancer } from "../../src/core/balancer.js";
import { Leastconn } from "../../src/core/balancers/leastconn.js";
import { RandomDraws } from "../../src/core/balancers/random.js";
import { RoundRobin } from "../../src/core/balancers/roundrobin.js";
import type { Endpoint } from "../../src/core/endpoint.js";
import type { PoolEvent } from "../../src/core/events.js";
import type { Lease } from "../../src/core/lease.js";
import { type GrowingLimit, limitAt } from "../../src/core/limit.js";
import type { Priority } from "../../src/core/line.js";
import type { Outcome } from "../../src/core/outcome.js";
import type { Pool } from "../../src/core/pool.js";
import { COUNTER_NAMES, type CounterName } from "../../src/core/scoreboard.js";
import { rampedLimit } from "../../src/core/slow-start.js";
import type { TierOptions } from "../../src/core/tiers.js";
import type { WeightChange } from "../../src/core/weight.js";
import { endpoint, newPool, OUTLIER, terms } from "../support/pool-fixture.js";
import { seededRandom } from "../support/seeded-random.js";
import { workersOf } from "./tier-rule.js";
import { type Guest, WaitingRoom } from "./waiting-room.js";
import { zoneChoice } from "./zone-rule.js";

const MAX_EJECTION_PERCENT = 40;
const MOST_WAITING = 6;
const SLOW_START_MS = 4_000;
const ZONE = { own: "a", minPercent: 100, minBackends: 3, spillFactor: 2 };

/** What the world expects of one backend, beside what the pool says. */
interface Expectation {
  check: CheckFact;
  ejectedUntilMs: number | undefined;
  served: number;
}

interface KeyExpectation {
  admin?: { value: AdminFact; untilMs: number };
  weight?: { value: WeightChange; untilMs: number };
}

function balancerFor(kind: number, random: () => number): Balancer {
  if (kind === 0) return new Leastconn({ idle: "weighted" });
  if (kind === 1) return new Leastconn({ idle: "haproxy" });
  if (kind === 2) return new RoundRobin();
  return new RandomDraws({ draws: 2 }, random);
}

/**
 * A pool in a world of chance that depends on the seed alone: lists come and go, backends fail, operators meddle,
 * clients take, wait, give up and give back, and time passes. After every step the pool is compared with what
 * the world knows by itself. Whatever differs throws.
 */
export class PoolWorld {
  readonly pool: Pool;
  readonly #random: () => number;
  readonly #limit: number;
  readonly #growing: GrowingLimit | undefined;
  readonly #tiers: TierOptions;
  readonly #priorities: readonly number[];
  readonly #leases: Lease[] = [];
  readonly #room = new WaitingRoom();
  readonly #hasPriorities: boolean;
  readonly #mostAtOne: number;
  readonly #awaitBackendMs: number;
  readonly #expected = new Map<Backend, Expectation>();
  readonly #overrides = new Map<string, KeyExpectation>();
  readonly #totals = new Map<CounterName, number>();
  readonly #picks = new Map<string, number>();
  #listed: readonly Endpoint[] = [];
  #nowMs = 0;
  #dueMs = Number.POSITIVE_INFINITY;
  #isDueStale = false;
  #arrivals = 0;
  /** When the last backend that takes work was lost; undefined while there is one, or never was. */
  #lostMs: number | undefined;
  #ejections = 0;
  #ramps = 0;
  #zonePicks = 0;
  #sentAway = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#limit = this.#below(4);
    this.#growing = seed % 3 === 0 ? { least: 1, fullLoad: 12 } : undefined;
    this.#tiers = {
      allBackups: seed % 8 < 4,
      panicThreshold: seed % 2 === 0 ? 0 : 50,
      zone: seed % 7 < 4 ? ZONE : undefined,
    };
    this.#hasPriorities = seed % 6 < 3;
    this.#mostAtOne = seed % 5 === 0 ? 2 : MOST_WAITING;
    this.#awaitBackendMs = seed % 4 === 1 ? 1_500 : 0;
    this.#priorities = seed % 5 < 2 ? [0] : [0, 0, 1, 2];
    this.pool = newPool({
      tiers: this.#tiers,
      balancer: () => balancerFor(seed % 4, this.#random),
      outlier: { ...OUTLIER, maxEjectionPercent: MAX_EJECTION_PERCENT, probation: seed % 2 },
      maxInFlightPerBackend: this.#limit,
      growingLimit: this.#growing,
      maxQueue: MOST_WAITING,
      maxQueuePerBackend: this.#mostAtOne,
      awaitBackendMs: this.#awaitBackendMs,
      drainDeadlineMs: 3_000,
      slowStart: seed % 3 === 0 ? undefined : { windowMs: SLOW_START_MS, aggression: 1.5, minPercent: 0 },
    });
    this.pool.onDueChanged(() => {
      this.#isDueStale = true;
    });
    this.pool.subscribe((event, nowMs) => this.#onEvent(event, nowMs));
  }

  /** How much happened, to be sure that something did. */
  get story(): {
    picks: number;
    ejections: number;
    backends: number;
    ramps: number;
    zonePicks: number;
    sentAway: number;
    handedBack: number;
    servedAtOwn: number;
  } {
    return {
      picks: this.#picks.size,
      ejections: this.#ejections,
      backends: this.#expected.size,
      ramps: this.#ramps,
      zonePicks: this.#zonePicks,
      sentAway: this.#sentAway,
      handedBack: this.#room.handedBack,
      servedAtOwn: this.#room.servedAtOwn,
    };
  }

  step(): void {
    const dice = this.#random();
    if (dice < 0.32) this.#acquire();
    else if (dice < 0.4) this.#acquireBound();
    else if (dice < 0.72) this.#release();
    else if (dice < 0.77) this.#cancel();
    else if (dice < 0.87) this.#pass(this.#below(800));
    else if (dice < 0.9) this.#apply();
    else if (dice < 0.94) this.#check();
    else if (dice < 0.96) this.#overrideWeight();
    else if (dice < 0.98) this.#overrideAdmin();
    else this.#meddle();
    if (this.#isDueStale) this.#tick();
    this.#verify();
  }

  /** Gives everything back, lists nothing, and lets time pass: nothing may stay behind. */
  end(): void {
    while (this.#room.length > 0) this.#cancel();
    while (this.#leases.length > 0) this.#release();
    this.pool.apply({ endpoints: [] }, this.#nowMs);
    this.#verify();
    if (this.pool.size !== 0) throw new Error(`${this.pool.size} backends stayed behind`);
    if (this.pool.acquire([], this.#nowMs) !== undefined) throw new Error("an empty pool gave a lease");
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #oneOf<Item>(items: readonly Item[]): Item | undefined {
    return items[this.#below(items.length)];
  }

  // ---------------------------------------------------------------- what happens

  #acquire(): void {
    const avoid = this.#random() < 0.2 ? [...this.pool.backends()].slice(0, 1 + this.#below(2)) : [];
    const free = [...this.pool.backends()].filter(
      (backend) => this.#takesWork(backend) && this.#hasRoom(backend, 1),
    );
    const inZone = avoid.length === 0 && this.#room.length === 0 ? this.#zoneChoice(free) : undefined;
    const lease = this.pool.acquire(avoid, this.#nowMs);
    if (lease !== undefined) {
      if (inZone !== undefined) {
        if (!inZone.includes(lease.backend))
          throw new Error(
            `${lease.backend.id} of zone ${lease.backend.endpoint.zone} was picked out of turn`,
          );
        if (inZone.length < free.length) this.#zonePicks++;
      }
      if (this.#room.hasAnyone) throw new Error("a newcomer overtook those who wait");
      // Where only those to be avoided have room, or there are no others, a backup comes before them.
      const left = free.length > 0 ? free : [...this.#workers()];
      const isSpared = left.every((backend) => avoid.includes(backend));
      if (!free.includes(lease.backend) && !(isSpared && this.#isEligible(lease.backend)))
        throw new Error(`${lease.backend.id} was picked though not eligible`);
      if (avoid.includes(lease.backend) && free.some((backend) => !avoid.includes(backend)))
        throw new Error(`${lease.backend.id} was picked though to be avoided`);
      this.#leases.push(lease);
      this.#picks.set(lease.backend.id, (this.#picks.get(lease.backend.id) ?? 0) + 1);
      return;
    }
    const [left] = free.filter((backend) => this.#hasRoom(backend, 1));
    if (left !== undefined) throw new Error(`nothing was picked though ${left.id} is free`);
    const hasUsable = [...this.pool.backends()].some((backend) => this.#takesWork(backend));
    if (this.pool.refusal() !== (hasUsable ? "all-full" : "no-usable-backend"))
      throw new Error("wrong refusal");
    if (this.pool.isAwaitingBackend(this.#nowMs) !== (!hasUsable && this.#isAwaiting()))
      throw new Error("a backend is awaited for too long or too short a time");
    // Nobody waits for a pool that has no backend, unless one is awaited.
    if ((hasUsable || this.#isAwaiting()) && this.#random() < 0.7) this.#wait(undefined);
  }

  /** Whoever has a session gets its backend or waits for it, whatever the others do. */
  #acquireBound(): void {
    const backend = this.#oneOf([...this.pool.backends()]);
    if (backend === undefined || !this.#takesSessions(backend)) return;
    const isOpen = this.#hasRoom(backend, 1) && this.#room.boundTo(backend).length === 0;
    const isLineFull = this.#room.boundTo(backend).length >= this.#mostAtOne;
    const lease = this.pool.acquireFor({ avoid: [], bound: backend }, this.#nowMs);
    if (lease !== undefined) {
      if (lease.backend !== backend && !isLineFull)
        throw new Error(`bound to ${backend.id}, got ${lease.backend.id}`);
      this.#leases.push(lease);
      return;
    }
    // Serving those who wait may have taken the last slot of a backend that takes work of anyone.
    if (isOpen && this.#hasRoom(backend, 1)) throw new Error(`${backend.id} had room for its session`);
    if (this.#random() < 0.8) this.#wait(backend);
  }

  #takesSessions({ facts }: Backend): boolean {
    return (
      facts.discovery.state === "admitted" &&
      facts.check.state !== "down" &&
      facts.admin.state !== "maint" &&
      facts.detection.state === "active"
    );
  }

  /** Whether those who come while no backend is left wait for one. */
  #isAwaiting(): boolean {
    return this.#lostMs !== undefined && this.#nowMs < this.#lostMs + this.#awaitBackendMs;
  }

  /** Among whom zones leave the choice; undefined where they do not matter. */
  #zoneChoice(free: readonly Backend[]): readonly Backend[] | undefined {
    const { zone } = this.#tiers;
    if (zone === undefined || this.pool.tiers.state.isPanicking) return undefined;
    return zoneChoice(this.#workers(), free, zone);
  }

  /** @param bound as whoever asked and was refused */
  #wait(bound: Backend | undefined): void {
    const guest: Guest = {
      number: ++this.#arrivals,
      priority: this.#priority(),
      arrivedMs: this.#nowMs,
      bound,
      isHandedBack: false,
      ticket: undefined,
    };
    const isFull = this.#room.length >= MOST_WAITING;
    const isLineFull = bound !== undefined && this.#room.boundTo(bound).length >= this.#mostAtOne;
    // Beyond the limit of its line it waits for anyone.
    if (isLineFull) guest.isHandedBack = true;
    const ticket = this.pool.enqueue(
      {
        avoid: [],
        bound,
        priority: guest.priority,
        stranded: () => {
          const isAnyoneUsable = [...this.pool.backends()].some((backend) => this.#takesWork(backend));
          if (this.#isAwaiting()) throw new Error(`waiter ${guest.number} was sent away too early`);
          this.#room.sentAway(guest, isAnyoneUsable);
          this.#sentAway++;
        },
        granted: (lease) => {
          this.#room.served(guest, lease.backend, this.#takesWork(lease.backend));
          if (this.#random() < 0.2) lease.release("success", 200, this.#nowMs);
          else this.#leases.push(lease);
        },
      },
      this.#nowMs,
    );
    if ((ticket === undefined) !== isFull) throw new Error("the queue's limit is not kept");
    if (ticket === undefined) return;
    guest.ticket = ticket;
    this.#room.enter(guest);
    if (ticket.backend !== (isLineFull ? undefined : bound))
      throw new Error(`waiter ${guest.number} waits at ${ticket.backend?.id}`);
  }

  #priority(): Priority | undefined {
    if (!this.#hasPriorities || this.#random() < 0.5) return undefined;
    return { class: this.#below(3) - 1, offsetMs: this.#oneOf([0, -300, 200]) ?? 0 };
  }

  #cancel(): void {
    const guest = this.#oneOf(this.#room.guests());
    if (guest === undefined) return;
    this.#room.leave(guest);
    guest.ticket?.cancel();
  }

  #release(): void {
    const [lease] = this.#leases.splice(this.#below(this.#leases.length), 1);
    if (lease === undefined) return;
    // Some backends fail most of the time, so that streaks come about.
    const isBad = lease.backend.endpoint.port % 3 === 0;
    const [outcome, status] =
      this.#random() < (isBad ? 0.85 : 0.15) ? this.#failure() : (["success", 200] as const);
    lease.release(outcome, status, this.#nowMs);
  }

  #failure(): readonly [Outcome, number] {
    return this.#oneOf([
      ["server-error", 500],
      ["server-error", 503],
      ["connect-failure", 0],
      ["timeout", 0],
      ["reset", 0],
      ["ignored", 0],
    ] as const) as readonly [Outcome, number];
  }

  #apply(): void {
    const endpoints: Endpoint[] = [];
    for (let id = 0; id < 8; id++) {
      if (this.#random() < 0.25) continue;
      endpoints.push(
        endpoint(`b${id}`, {
          priority: this.#oneOf(this.#priorities) ?? 0,
          port: 1 + id + (this.#random() < 0.1 ? 100 : 0),
          zone: this.#oneOf(["a", "a", "b", undefined]),
          weight: this.#oneOf([1, 1, 2, 10, 0, 300]) ?? 1,
          admitted: this.#random() < 0.9,
        }),
      );
      const last = endpoints.at(-1);
      if (last !== undefined && this.#random() < 0.05) endpoints.push({ ...last, weight: 5 });
      if (last !== undefined && this.#random() < 0.05) endpoints.push({ ...last, port: last.port + 200 });
    }
    this.#listed = this.#random() < 0.05 ? [] : endpoints;
    this.pool.apply({ endpoints: this.#listed }, this.#nowMs);
  }

  #check(): void {
    const backend = this.#oneOf([...this.#expected.keys()]);
    if (backend === undefined) return;
    const state = this.#oneOf(["up", "up", "down", "unchecked"] as const) ?? "up";
    const isHeld = this.pool.backend(backend.id) === backend;
    if (isHeld) this.#expectationOf(backend).check = state;
    this.pool.setCheck(backend, state, "", this.#nowMs);
  }

  #terms(): { ttlMs: number | undefined; untilMs: number } {
    const ttlMs = this.#random() < 0.7 ? 1 + this.#below(3_000) : undefined;
    return { ttlMs, untilMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : this.#nowMs + ttlMs };
  }

  #overrideWeight(): void {
    const backend = this.#oneOf([...this.pool.backends()]);
    if (backend === undefined) return;
    const { ttlMs, untilMs } = this.#terms();
    const value: WeightChange | undefined = this.#oneOf([
      { kind: "weight", weight: this.#below(257) },
      { kind: "weight", weight: 0 },
      { kind: "percent", percent: 50 },
      undefined,
    ] as const);
    const held = this.#overrides.get(backend.endpoint.key) ?? {};
    this.#overrides.set(
      backend.endpoint.key,
      value === undefined ? { ...held } : { ...held, weight: { value, untilMs } },
    );
    if (value === undefined) delete this.#overrides.get(backend.endpoint.key)?.weight;
    this.pool.setWeight(backend, value, terms(ttlMs), this.#nowMs);
  }

  #overrideAdmin(): void {
    const backend = this.#oneOf([...this.pool.backends()]);
    if (backend === undefined) return;
    const { ttlMs, untilMs } = this.#terms();
    const value = this.#oneOf(["drain", "maint", "ready", "ready"] as const) ?? "ready";
    const held = { ...this.#overrides.get(backend.endpoint.key) };
    if (value === "ready") delete held.admin;
    else held.admin = { value, untilMs };
    this.#overrides.set(backend.endpoint.key, held);
    this.pool.setAdmin(backend, value, terms(ttlMs), this.#nowMs);
  }

  #meddle(): void {
    const backend = this.#oneOf([...this.pool.backends()]);
    if (backend === undefined) return;
    if (this.#random() < 0.5) {
      const durationMs = 1 + this.#below(4_000);
      this.#expectationOf(backend).ejectedUntilMs = this.#nowMs + durationMs;
      this.pool.eject(backend, durationMs, "by hand", this.#nowMs);
    } else {
      this.#expectationOf(backend).ejectedUntilMs = undefined;
      this.pool.unEject(backend, "by hand", this.#nowMs);
    }
  }

  /** Time passes as the pool's keeper lets it: a tick exactly whenever one is due. */
  #pass(durationMs: number): void {
    const targetMs = this.#nowMs + durationMs;
    while (this.#dueMs <= targetMs) {
      if (this.#dueMs < this.#nowMs) throw new Error(`due ${this.#dueMs} lies before ${this.#nowMs}`);
      this.#nowMs = this.#dueMs;
      this.#tick();
    }
    this.#nowMs = targetMs;
  }

  #tick(): void {
    for (const [key, { admin, weight }] of this.#overrides) {
      const left: KeyExpectation = {};
      if (admin !== undefined && admin.untilMs > this.#nowMs) left.admin = admin;
      if (weight !== undefined && weight.untilMs > this.#nowMs) left.weight = weight;
      this.#overrides.set(key, left);
    }
    const dueMs = this.pool.tick(this.#nowMs);
    if (dueMs <= this.#nowMs) throw new Error(`due ${dueMs} at ${this.#nowMs}, after its tick`);
    this.#dueMs = dueMs;
    this.#isDueStale = false;
  }

  // ---------------------------------------------------------------- what is told

  #onEvent(event: PoolEvent, nowMs: number): void {
    if (nowMs !== this.#nowMs) throw new Error(`${event.type} is told of ${nowMs}, it is ${this.#nowMs}`);
    if (event.type === "backend-added") {
      this.#expected.set(event.backend, { check: "unchecked", ejectedUntilMs: undefined, served: 0 });
    } else if (event.type === "backend-removed") {
      if (event.backend.inFlight !== 0)
        throw new Error(`${event.backend.id} was removed with work in flight`);
    } else if (event.type === "usable-changed") {
      this.#lostMs = event.isUsable ? undefined : nowMs;
    } else if (event.type === "state-changed" && event.fact === "detection") {
      if (event.to === "ejected") this.#onEjected(event.backend, event.why, event.untilMs);
      else this.#onReturned(event.backend, event.why);
    }
    // A listener that takes work must find a whole pool.
    if (this.#random() < 0.02) {
      const lease = this.pool.acquire([], nowMs);
      if (lease === undefined) return;
      if (!this.#takesWork(lease.backend)) throw new Error(`${lease.backend.id} was picked by a listener`);
      this.#leases.push(lease);
    }
  }

  #onEjected(backend: Backend, why: string, untilMs: number | undefined): void {
    this.#ejections++;
    this.#expectationOf(backend).ejectedUntilMs = untilMs;
    if (why === "by hand") return;
    const { present, ejected, eligible } = this.#count();
    if (ejected > 1 && (100 * ejected) / present > MAX_EJECTION_PERCENT)
      throw new Error(`${ejected} of ${present} are ejected, over the cap`);
    if (eligible === 0 && backend.row.state !== 0 && this.#wouldBeEligible(backend))
      throw new Error(`${backend.id} was the last usable backend and was ejected`);
  }

  #onReturned(backend: Backend, why: string): void {
    const expected = this.#expectationOf(backend);
    if (why === "ejection time served" && expected.ejectedUntilMs !== this.#nowMs)
      throw new Error(`${backend.id} returned at ${this.#nowMs} instead of ${expected.ejectedUntilMs}`);
    expected.ejectedUntilMs = undefined;
  }

  // ---------------------------------------------------------------- what must hold

  #expectationOf(backend: Backend): Expectation {
    const expected = this.#expected.get(backend);
    if (expected === undefined) throw new Error(`${backend.id} was never announced`);
    return expected;
  }

  /** From the facts alone, not from the bits the pool keeps. */
  #isEligible(backend: Backend): boolean {
    return backend.facts.detection.state === "active" && this.#wouldBeEligible(backend);
  }

  #wouldBeEligible(backend: Backend): boolean {
    const { discovery, check, admin } = backend.facts;
    return (
      discovery.state === "admitted" &&
      check.state !== "down" &&
      admin.state === "ready" &&
      backend.row.weight16 > 0
    );
  }

  #mayBePicked(backend: Backend): boolean {
    return this.#takesWork(backend) && this.#hasRoom(backend, 0);
  }

  #workers(): ReadonlySet<Backend> {
    return workersOf(this.pool.backends(), this.#tiers);
  }

  #takesWork(backend: Backend): boolean {
    return this.#workers().has(backend);
  }

  /** Under the limit that load, slow start and probation grant. @param more who is about to ask */
  #hasRoom(backend: Backend, more: number): boolean {
    const load = this.#leases.length + this.#room.length + more;
    const granted = rampedLimit(limitAt(this.#limit, this.#growing, load), backend.ramp);
    const limit = backend.probation.limit(granted);
    return limit === 0 || this.#openOn(backend) < limit;
  }

  #openOn(backend: Backend): number {
    return this.#leases.filter((lease) => lease.backend === backend).length;
  }

  #count(): { present: number; ejected: number; eligible: number } {
    const backends = [...this.pool.backends()];
    const present = backends.filter((backend) => !backend.isGone);
    return {
      present: present.length,
      ejected: present.filter((backend) => backend.facts.detection.state === "ejected").length,
      eligible: backends.filter((backend) => this.#isEligible(backend)).length,
    };
  }

  #verify(): void {
    const census = this.pool.census();
    const counted = this.#count();
    for (const name of ["present", "ejected", "eligible"] as const) {
      if (census[name] !== counted[name])
        throw new Error(`census says ${census[name]} ${name}, not ${counted[name]}`);
    }
    if (this.pool.inFlight !== this.#leases.length)
      throw new Error(`${this.pool.inFlight} in flight, ${this.#leases.length} leases open`);
    if (this.pool.queue.length !== this.#room.length)
      throw new Error(`${this.pool.queue.length} queued, ${this.#room.length} waiting`);
    this.#verifyWaiting();
    for (const backend of this.pool.backends()) this.#verifyBackend(backend);
    this.#verifyTotals();
  }

  #verifyWaiting(): void {
    this.#room.refresh();
    const backends = [...this.pool.backends()];
    const hasUsable = backends.some((backend) => this.#takesWork(backend));
    const hasRoom = backends.some((backend) => this.#mayBePicked(backend));
    for (const { number, bound, isHandedBack } of this.#room.guests()) {
      const isStanding = bound !== undefined && !isHandedBack;
      if (isStanding ? this.#hasRoom(bound, 0) : hasRoom)
        throw new Error(`waiter ${number} waits although a slot is free`);
      if (!hasUsable && !this.#isAwaiting() && (bound === undefined || !this.#takesSessions(bound)))
        throw new Error(`waiter ${number} waits though no backend is left`);
    }
    for (const backend of backends) {
      const length = this.pool.queue.at(backend)?.length ?? 0;
      const standing = this.#room.boundTo(backend).length;
      if (length < standing) throw new Error(`${standing} wait at ${backend.id}, not ${length}`);
    }
  }

  #verifyBackend(backend: Backend): void {
    const expected = this.#expectationOf(backend);
    const { id, endpoint: described, facts, inFlight } = backend;
    const open = this.#openOn(backend);
    if (inFlight !== open) throw new Error(`${id} counts ${inFlight} in flight, ${open} leases are open`);
    if (inFlight < 0 || (this.#limit > 0 && inFlight > this.#limit))
      throw new Error(`${id} has ${inFlight} in flight`);
    if (backend.isGone && inFlight === 0) throw new Error(`${id} is gone and empty, and still here`);
    const isListed = this.#listed.some((each) => each.key === described.key && each.port === described.port);
    if (backend.isGone === isListed && this.pool.appliedMs !== undefined && this.#listed.length > 0)
      throw new Error(`${id} is ${isListed ? "listed and gone" : "neither listed nor gone"}`);
    if (facts.check.state !== expected.check) throw new Error(`${id} lost its check: ${facts.check.state}`);
    const isEjected = facts.detection.state === "ejected";
    if (isEjected !== (expected.ejectedUntilMs !== undefined))
      throw new Error(`${id} lost or gained an ejection`);
    const override = this.#overrides.get(described.key);
    if (facts.admin.state !== (override?.admin?.value ?? "ready"))
      throw new Error(`${id} is ${facts.admin.state}, not ${override?.admin?.value ?? "ready"}`);
    const change = override?.weight?.value;
    const asked = change?.kind === "weight" ? change.weight * 16 : undefined;
    const expectedWeight16 = asked && Math.max(1, Math.round(asked * backend.ramp));
    if (asked !== undefined && backend.row.weight16 !== expectedWeight16 && !backend.isGone)
      throw new Error(`${id} weighs ${backend.row.weight16} sixteenths, not ${expectedWeight16}`);
    this.#verifyRamp(backend);
    const served = backend.row.read(0);
    if (served < expected.served) throw new Error(`${id} served ${served}, less than before`);
    expected.served = served;
  }

  #verifyRamp({ id, ramp, rampSinceMs, rampUntilMs }: Backend): void {
    if (ramp < 1 / 16 || ramp > 1) throw new Error(`${id} is granted ${ramp}`);
    if (ramp < 1 !== (rampSinceMs !== undefined))
      throw new Error(`${id} ramps at ${ramp} since ${rampSinceMs}`);
    if (rampSinceMs === undefined) return;
    this.#ramps++;
    if (rampUntilMs === undefined || rampUntilMs <= this.#nowMs || rampUntilMs > rampSinceMs + SLOW_START_MS)
      throw new Error(`${id} ramps until ${rampUntilMs}, since ${rampSinceMs}`);
  }

  #verifyTotals(): void {
    for (const name of COUNTER_NAMES) {
      const total = this.pool.total(name);
      if (total < (this.#totals.get(name) ?? 0)) throw new Error(`the total of ${name} fell to ${total}`);
      this.#totals.set(name, total);
    }
  }
}
