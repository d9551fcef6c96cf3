import type { AdaptiveLimit } from "./adaptive-limit.js";
import {
  type CheckReport,
  type CheckVerdict,
  combineChecks,
  isHealthy,
  isListed,
  UNCHECKED,
  type VerdictRule,
} from "./check-verdict.js";
import { type Endpoint, formatAddress, rowIdOf } from "./endpoint.js";
import { LatencyMonitor } from "./latency.js";
import type { Outcome } from "./outcome.js";
import { OutlierMonitor } from "./outlier.js";
import { Probation } from "./probation.js";
import type { Row } from "./scoreboard.js";

/** Present and good enough, present but not good enough, held back for flapping, or no longer in the list. */
export type DiscoveryFact = "admitted" | "refused" | "suppressed" | "gone";
/**
 * The sidecar's own active checks. `unchecked` counts as up; `nolb` is up without balanced traffic: only work that
 * is bound to the backend may go there (HAProxy's NOLB).
 */
export type CheckFact = "unchecked" | "up" | "nolb" | "down";
/** Which of the active checks. */
export type CheckSource = "health" | "agent";
/** Ready; drain: no new work; maint: nothing at all, probes stopped. */
export type AdminFact = "ready" | "drain" | "maint";
/** Whether outlier detection lets it take work. */
export type DetectionFact = "active" | "ejected";

/** One of the four facts that decide eligibility, since when, and why. */
export interface Fact<State extends string> {
  readonly state: State;
  readonly sinceMs: number;
  /** In words; empty for the ordinary state. */
  readonly why: string;
}

/** Hears how each attempt on a backend ended. On the request path. */
export interface OutcomeObserver {
  /** @param status the HTTP status, 0 where there was none */
  settled(outcome: Outcome, status: number, nowMs: number): void;
}

/** Which of the four facts. */
export type FactName = "discovery" | "check" | "admin" | "detection";

/** All four, each independent of the others. */
export interface Facts {
  readonly discovery: Fact<DiscoveryFact>;
  readonly check: Fact<CheckFact>;
  readonly admin: Fact<AdminFact>;
  readonly detection: Fact<DetectionFact>;
}

/** Bits of the scoreboard's state column: set where the fact speaks for the backend. */
export const STATE_BIT = { discovery: 1, check: 2, admin: 4, detection: 8 } as const;
const ALL_BITS = 15;
/** What stays in force when health is ignored. */
const CANDIDATE_BITS = STATE_BIT.discovery | STATE_BIT.admin;

/**
 * The live state of one endpoint inside a pool. The pool alone changes it; everyone else reads.
 *
 * Eligibility is four independent facts, never one: a backend takes new work when discovery admits it, the
 * check does not say down, the operator has it ready, and detection has not ejected it, and its weight is
 * not 0.
 */
export class Backend {
  readonly row: Row;
  /** For the pool's tiers: whether the balancer of its tier holds this backend. */
  isFiled = false;
  /** Share of its weight and of its limit that slow start grants now, above 0 to 1; 1 when it is not ramping. */
  ramp = 1;
  /** When the slow start in force began and will be over; undefined when it is not ramping. */
  rampSinceMs: number | undefined;
  rampUntilMs: number | undefined;
  /** For slow start: the step in force, and whether its next work begins with one. */
  rampStep = 0;
  isCold = false;
  /** Share of its weight that is left to it while it is slower than the others, above 0 to 1. */
  demotion = 1;
  #isGone = false;
  /** Not a number when never used: a field that is always a number is written in place. */
  #lastUsedMs = Number.NaN;
  #lastSuccessMs = Number.NaN;
  #lastKeptMs = Number.NaN;
  readonly monitor = new OutlierMonitor();
  readonly latency = new LatencyMonitor();
  readonly probation = new Probation();
  /** Tunnels of TCP listeners that are open on it. */
  tunnels = 0;
  /** Leases at which it takes no tunnel more, as the row's limit is for requests; 0 for no limit. */
  tunnelLimit = 0;
  /** The limit that follows its latency; undefined where none does. */
  adaptive: AdaptiveLimit | undefined;
  /** Whoever judges its health by its traffic; undefined where nobody does. */
  observer: OutcomeObserver | undefined;
  /** What its checks found last; undefined before the first. */
  readonly reports: Record<CheckSource, CheckReport | undefined> = { health: undefined, agent: undefined };
  readonly #verdicts: Record<CheckSource, CheckVerdict> = { health: UNCHECKED, agent: UNCHECKED };
  #rule: VerdictRule = "both";
  /** The identity at one address: `key@host:port`. Unique in a pool. */
  readonly id: string;
  /** `host:port` to connect to, with brackets around an IPv6 literal. */
  readonly address: string;
  readonly joinedMs: number;
  #endpoint: Endpoint;
  #facts: Facts;
  #drainUntilMs: number | undefined;

  constructor(endpoint: Endpoint, row: Row, nowMs: number) {
    this.id = rowIdOf(endpoint);
    this.address = formatAddress(endpoint.host, endpoint.port);
    this.row = row;
    this.joinedMs = nowMs;
    this.#endpoint = endpoint;
    this.#facts = {
      discovery: { state: "admitted", sinceMs: nowMs, why: "" },
      check: { state: "unchecked", sinceMs: nowMs, why: "" },
      admin: { state: "ready", sinceMs: nowMs, why: "" },
      detection: { state: "active", sinceMs: nowMs, why: "" },
    };
    this.row.state = ALL_BITS;
  }

  /** As discovery describes it now. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get facts(): Facts {
    return this.#facts;
  }

  /** Weight in force, 0 to 256: the discovered or overridden one times `ramp` and `demotion`. */
  get weight(): number {
    return this.row.weight16 / 16;
  }

  get inFlight(): number {
    return this.row.inFlight;
  }

  /** Whether it takes no tunnel of a TCP listener more, as the row's `isFull` is for requests. */
  get isFullForTunnels(): boolean {
    return this.tunnelLimit > 0 && this.inFlight >= this.tunnelLimit;
  }

  /** When its open work will be cut; undefined unless it is leaving or drained with a deadline. */
  get drainUntilMs(): number | undefined {
    return this.#drainUntilMs;
  }

  /** When a lease was last taken; undefined when never. */
  get lastUsedMs(): number | undefined {
    return Number.isNaN(this.#lastUsedMs) ? undefined : this.#lastUsedMs;
  }

  /** When it last answered well; undefined when never. */
  get lastSuccessMs(): number | undefined {
    return Number.isNaN(this.#lastSuccessMs) ? undefined : this.#lastSuccessMs;
  }

  /** When a client that is bound to it was last served by it; undefined when none ever was. */
  get lastKeptMs(): number | undefined {
    return Number.isNaN(this.#lastKeptMs) ? undefined : this.#lastKeptMs;
  }

  /** Whether it may take new work. */
  get isEligible(): boolean {
    return this.row.state === ALL_BITS && this.row.weight16 > 0;
  }

  /** Whether all four facts speak for it, whatever its weight. */
  get isVouchedFor(): boolean {
    return this.row.state === ALL_BITS;
  }

  /** Whether it may take new work as far as discovery, operator and weight go, whatever its health. */
  get isCandidate(): boolean {
    const { row } = this;
    return (row.state & CANDIDATE_BITS) === CANDIDATE_BITS && row.weight16 > 0;
  }

  /** Whether one of the four facts speaks for it. */
  speaks(name: FactName): boolean {
    return (this.row.state & STATE_BIT[name]) !== 0;
  }

  /** Whether discovery dropped it and it only finishes its open work. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** For the pool: replaces the description. Key and address stay. */
  describe(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    this.#count();
  }

  /** For the pool: states one fact. */
  state<Name extends FactName>(name: Name, state: Facts[Name]["state"], why: string, nowMs: number): void {
    const previous = this.#facts[name];
    const sinceMs = previous.state === state ? previous.sinceMs : nowMs;
    this.#facts = { ...this.#facts, [name]: { state, sinceMs, why } };
    this.#isGone = this.#facts.discovery.state === "gone";
    this.#count();
  }

  /** Whose verdict decides on it. */
  get verdictRule(): VerdictRule {
    return this.#rule;
  }

  /** For the pool: lets another verdict decide. */
  judgeBy(rule: VerdictRule): void {
    this.#rule = rule;
    this.#count();
  }

  /** For the pool: one of its checks says so; answers what follows of both. */
  check(source: CheckSource, verdict: CheckVerdict): CheckVerdict {
    this.#verdicts[source] = verdict;
    return combineChecks(this.#verdicts.health, this.#verdicts.agent);
  }

  /** What one of its checks says. */
  verdictOf(source: CheckSource): CheckVerdict {
    return this.#verdicts[source];
  }

  #count(): void {
    const { discovery, check, admin, detection } = this.#facts;
    const rule = this.#rule;
    this.row.state =
      (isListed(rule, discovery.state, this.#endpoint.status, check.state) ? STATE_BIT.discovery : 0) |
      (isHealthy(rule, check.state) ? STATE_BIT.check : 0) |
      (admin.state === "ready" ? STATE_BIT.admin : 0) |
      (detection.state === "active" ? STATE_BIT.detection : 0);
  }

  /** For the pool: puts a weight in force, in sixteenths. */
  weigh(weight16: number): void {
    this.row.weight16 = weight16;
  }

  /** For the pool: sets or lifts the deadline of its open work. */
  drainUntil(deadlineMs: number | undefined): void {
    this.#drainUntilMs = deadlineMs;
  }

  /** For the pool: a lease was taken. */
  used(nowMs: number): void {
    this.#lastUsedMs = nowMs;
  }

  /** For the pool: a lease ended with success. */
  succeeded(nowMs: number): void {
    this.#lastSuccessMs = nowMs;
  }

  /** A client that is bound to it was served by it. */
  kept(nowMs: number): void {
    this.#lastKeptMs = nowMs;
  }
}
