import type { Backend } from "./backend.js";
import { loadKey } from "./balancers/leastconn.js";
import { probationWords, riskWords } from "./explain-probation.js";
import { tunnelsApartWords } from "./explain-tunnels.js";
import { outOfWorkWords } from "./out-of-work.js";
import type { Override } from "./override.js";
import type { Pool } from "./pool.js";
import type { Refusal } from "./slots.js";
import { scaledWeight, type WeightChange } from "./weight.js";
import { boundBackend, type Wish } from "./wish.js";

/** What may count against a backend: one of the four facts, its weight, limit or tier. */
export type ReasonLayer = "discovery" | "check" | "admin" | "detection" | "weight" | "limit" | "tier";

/** One thing that keeps a backend from taking new work. */
export interface Reason {
  readonly layer: ReasonLayer;
  /** In words. */
  readonly text: string;
  /** Undefined where it is not a matter of time. */
  readonly sinceMs: number | undefined;
  /** When it ends by itself, if it does. */
  readonly untilMs: number | undefined;
}

/** The weight in force and its layers. */
export interface WeightLayers {
  /** As discovered, 0 to 65535. */
  readonly discovered: number;
  /** As discovered, on the pool's scale of 0 to 256. */
  readonly scaled: number;
  readonly override: Override<WeightChange> | undefined;
  /** Undefined unless it is ramping. */
  readonly ramp: RampLayer | undefined;
  /** Undefined unless it answers much slower than the others. */
  readonly demotion: DemotionLayer | undefined;
  /** 0 to 256. */
  readonly inForce: number;
  /** As balancers see it, 0 to 4096. */
  readonly sixteenths: number;
}

/** A slow start that is under way. */
export interface RampLayer {
  /** Of the weight and of the limit, above 0 to 1. */
  readonly share: number;
  readonly sinceMs: number;
  /** When it will have its full share. */
  readonly untilMs: number | undefined;
}

/** A demotion for being slow. */
export interface DemotionLayer {
  /** Of the weight, above 0 to 1. */
  readonly share: number;
  readonly sinceMs: number | undefined;
  readonly why: string;
}

/** How one backend stands when a pick is made. */
export interface Candidate {
  readonly backend: Backend;
  readonly isPicked: boolean;
  readonly isEligible: boolean;
  /** Its tier, 0 for actives. */
  readonly tier: number;
  /** Eligible and of the tier in use, or drawn in by a panic. */
  readonly takesWork: boolean;
  /** Takes work and is below its limit. */
  readonly isAvailable: boolean;
  readonly isAvoided: boolean;
  readonly reasons: readonly Reason[];
  /** What the algorithm compares, lowest first; undefined where it does not compare loads. */
  readonly load: number | undefined;
  readonly weight: WeightLayers;
  /** In words. */
  readonly text: string;
}

/** The decision a pool would take now. */
export interface PickTrace {
  readonly picked: Backend | undefined;
  /** Undefined when one is picked. */
  readonly refusal: Refusal | undefined;
  /** In words. */
  readonly summary: string;
  /** The picked one first, then those available by load, then those that are full, then those that are out. */
  readonly candidates: readonly Candidate[];
}

/** Where no time is given nothing is young. */
const NEVER_MS = Number.POSITIVE_INFINITY;

/** Everything that counts against a backend; empty when it can take new work now. */
export function reasonsAgainst(pool: Pool, backend: Backend, nowMs = NEVER_MS): readonly Reason[] {
  const { discovery, check, admin, detection } = backend.facts;
  const reasons: Reason[] = [];
  if (discovery.state === "gone") {
    const cut = backend.drainUntilMs;
    reasons.push(
      reason("discovery", says("discovery no longer lists it", discovery.why), discovery.sinceMs, cut),
    );
  } else if (discovery.state === "refused" && !backend.speaks("discovery")) {
    const text = says(`discovery status is ${backend.endpoint.status}`, discovery.why);
    reasons.push(reason("discovery", text, discovery.sinceMs, undefined));
  } else if (discovery.state === "suppressed") {
    const text = says("suppressed, since it comes and goes", discovery.why);
    reasons.push(reason("discovery", text, discovery.sinceMs, undefined));
  }
  if (!backend.speaks("check")) {
    const text = check.state === "nolb" ? "up, but for bound work only" : "its checks say down";
    reasons.push(reason("check", says(text, check.why), check.sinceMs, undefined));
  }
  if (admin.state !== "ready") {
    const override = pool.overrides.of(backend.endpoint.key).admin;
    const text = says(`admin state is ${admin.state}`, ownedWords(override, admin.why));
    reasons.push(reason("admin", text, admin.sinceMs, override?.expiresMs));
  }
  if (detection.state === "ejected") {
    const { cause, ejectedUntilMs } = backend.monitor;
    const text = says(
      "ejected",
      cause === detection.why ? detection.why : `${cause ?? ""} ${detection.why}`.trim(),
    );
    reasons.push(reason("detection", text, detection.sinceMs, ejectedUntilMs));
  }
  if (backend.row.weight16 === 0) {
    const override = pool.overrides.of(backend.endpoint.key).weight;
    const text =
      override === undefined
        ? "the discovered weight is 0"
        : says("weight set to 0", ownedWords(override, ""));
    reasons.push(reason("weight", text, override?.sinceMs, override?.expiresMs));
  }
  if (backend.row.isFull) {
    const text = `at its limit: ${backend.inFlight} of ${backend.row.limit} in flight${tunnelsApartWords(backend)}${adaptiveWords(backend)}`;
    const { owed, sinceMs, untilMs } = backend.probation;
    if (owed === 0) reasons.push(reason("limit", text, undefined, undefined));
    else reasons.push(reason("limit", `${text}, ${probationWords(backend, nowMs)}`, sinceMs, untilMs));
  }
  if (backend.isEligible && !pool.tiers.takesWork(backend)) {
    const text = `a backup of tier ${pool.tiers.numberOf(backend)} while tier ${pool.tiers.state.tier} has usable ones`;
    reasons.push(reason("tier", text, undefined, undefined));
  }
  return reasons;
}

/** The layers the weight in force comes from. */
export function weightLayers(pool: Pool, backend: Backend): WeightLayers {
  const discovered = backend.endpoint.weight;
  return {
    discovered,
    scaled: scaledWeight(discovered, pool.weightScale),
    override: pool.overrides.of(backend.endpoint.key).weight,
    ramp: rampLayer(backend),
    demotion: demotionLayer(backend),
    inForce: backend.weight,
    sixteenths: backend.row.weight16,
  };
}

function rampLayer({ ramp, rampSinceMs, rampUntilMs }: Backend): RampLayer | undefined {
  if (rampSinceMs === undefined) return undefined;
  return { share: ramp, sinceMs: rampSinceMs, untilMs: rampUntilMs };
}

function demotionLayer({ demotion, latency }: Backend): DemotionLayer | undefined {
  if (demotion === 1) return undefined;
  return { share: demotion, sinceMs: latency.demotedSinceMs, why: latency.why };
}

/**
 * Says who would be picked now and why each backend is in or out. Takes nothing.
 *
 * @param asked what the request says of its backend; left out for any request
 * @param nowMs left out for a time at which every probation is old
 */
export function explainPick(
  pool: Pool,
  avoid: readonly Backend[] = [],
  asked: Pick<Wish, "hash" | "bound"> = {},
  nowMs = NEVER_MS,
): PickTrace {
  const wish: Wish = { ...asked, avoid };
  const { hash } = wish;
  const bound = boundBackend(wish, pool.options.persist === true);
  const wanted = bound ?? (hash === undefined ? undefined : pool.tiers.home(avoid, hash));
  const picked = wanted === undefined ? pool.peek(avoid, hash) : wanted.row.isFull ? undefined : wanted;
  const candidates = [...pool.backends()].map((backend) =>
    candidateOf(pool, backend, backend === picked, avoid, nowMs),
  );
  candidates.sort(compareCandidates);
  const refusal = picked === undefined ? pool.refusal(wish) : undefined;
  const summary =
    bound === undefined
      ? `${summaryOf(pool, picked, avoid, wish.hash)}${riskWords(pool, picked, wish, nowMs)}`
      : boundSummary(bound, picked);
  return { picked, refusal, summary, candidates };
}

function candidateOf(
  pool: Pool,
  backend: Backend,
  isPicked: boolean,
  avoid: readonly Backend[],
  nowMs: number,
): Candidate {
  const reasons = reasonsAgainst(pool, backend, nowMs);
  const isEligible = backend.isEligible;
  const takesWork = pool.tiers.takesWork(backend);
  const load = takesWork && !backend.row.isFull ? loadOf(pool.algorithm, backend) : undefined;
  const isAvoided = avoid.includes(backend);
  return {
    backend,
    isPicked,
    isEligible,
    tier: pool.tiers.numberOf(backend),
    takesWork,
    isAvailable: takesWork && !backend.row.isFull,
    isAvoided,
    reasons,
    load,
    weight: weightLayers(pool, backend),
    text: candidateText(backend, reasons, load, { isPicked, isAvoided, takesWork }, nowMs),
  };
}

/** What the algorithm compares; round robin compares turns, which say nothing outside of it. */
function loadOf(algorithm: string, backend: Backend): number | undefined {
  if (algorithm === "leastconn") return loadKey(backend);
  if (algorithm === "random") return (backend.inFlight * 16) / backend.row.weight16;
  return undefined;
}

function candidateText(
  backend: Backend,
  reasons: readonly Reason[],
  load: number | undefined,
  { isPicked, isAvoided, takesWork }: { isPicked: boolean; isAvoided: boolean; takesWork: boolean },
  nowMs: number,
): string {
  const against = reasons.map(({ text }) => text).join("; ");
  if (reasons.length > 0 && (!takesWork || backend.row.isFull) && !isPicked) return `out: ${against}`;
  const anyway = against === "" ? "" : `, in spite of: ${against}`;
  const loaded = load === undefined ? "" : `, load ${Math.round(load * 1000) / 1000}`;
  const reduced = `${reductionWords(backend, nowMs)}${loaded}${overruledWords(backend)}`;
  const numbers = `${backend.inFlight} in flight at weight ${backend.weight}${reduced}${anyway}`;
  if (isPicked) return `picked: ${numbers}`;
  return isAvoided ? `in, but to be avoided: ${numbers}` : `in: ${numbers}`;
}

/** How its limit follows its latency; empty where it does not. */
function adaptiveWords({ adaptive }: Backend): string {
  if (adaptive === undefined) return "";
  const { minRttMs, sampleMs, isMeasuring } = adaptive;
  if (minRttMs === undefined) return ", the least until its latency at little load is known";
  const now = sampleMs === undefined ? "" : `, ${Math.round(sampleMs * 10) / 10} ms of late`;
  const measuring = isMeasuring ? ", halved while that is measured anew" : "";
  return `, which follows its latency: ${Math.round(minRttMs * 10) / 10} ms at little load${now}${measuring}`;
}

/** Why it gets less than was asked for. */
function reductionWords(backend: Backend, nowMs: number): string {
  const words: string[] = [];
  if (backend.rampSinceMs !== undefined) words.push(`slow start grants ${percent(backend.ramp)}`);
  if (backend.probation.owed > 0) words.push(probationWords(backend, nowMs));
  if (backend.adaptive !== undefined) words.push(`limit ${backend.row.limit}${adaptiveWords(backend)}`);
  if (backend.demotion < 1) words.push(`demoted to ${percent(backend.demotion)}, ${backend.latency.why}`);
  return words.length === 0 ? "" : ` (${words.join("; ")})`;
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10}%`;
}

/** A verdict that speaks against a backend, but does not decide. */
function overruledWords(backend: Backend): string {
  const { discovery, check } = backend.facts;
  const rule = `does not count by the rule ${backend.verdictRule}`;
  if (check.state === "down" && backend.speaks("check")) return `; its check says down, which ${rule}`;
  if (discovery.state === "refused" && backend.speaks("discovery"))
    return `; its discovery status ${backend.endpoint.status} ${rule}`;
  return "";
}

function summaryOf(
  pool: Pool,
  picked: Backend | undefined,
  avoid: readonly Backend[],
  hash: number | undefined,
): string {
  const waiting = pool.queue.length > 0 ? `; ${pool.queue.length} in the queue come first` : "";
  const zone = pool.tiers.zoneWords;
  const among = `${amongWords(pool)}${zone === "" ? "" : `; ${zone}`}${waiting}`;
  if (picked === undefined) {
    if (pool.size === 0) {
      const why = pool.appliedMs === undefined ? "discovery has not answered yet" : "discovery lists none";
      return `nothing to pick: ${why}`;
    }
    return pool.tiers.state.usable === 0
      ? `nothing to pick: none of ${pool.size} backends takes new work: ${outOfWorkWords(pool.backends())}`
      : `nothing to pick now: ${among}, all of them at their limit; requests wait in the queue`;
  }
  const isByKey = hash !== undefined && pool.tiers.placeOf(hash) !== undefined;
  const how = isByKey ? "by the hash of its key" : pickedWords(pool.algorithm, picked);
  const anyway = avoid.includes(picked) ? ", to be avoided but nothing else is left" : "";
  return `${pool.algorithm} picks ${picked.endpoint.id} at ${picked.address}: ${how}${anyway}; ${among}`;
}

function boundSummary({ endpoint, address }: Backend, picked: Backend | undefined): string {
  const where = `the client is bound to ${endpoint.id} at ${address}`;
  return picked === undefined ? `${where}, which is at its limit; the request waits for it` : where;
}

function amongWords(pool: Pool): string {
  const { tier, isPanicking, usable } = pool.tiers.state;
  const take = `${usable} of ${pool.size} backends take new work`;
  if (isPanicking) return `${take}, in a panic: only ${pool.eligibleCount} are healthy, so health is ignored`;
  return tier === 0 ? take : `${take}, backups of tier ${tier}`;
}

function pickedWords(algorithm: string, picked: Backend): string {
  switch (algorithm) {
    case "leastconn":
      return picked.inFlight === 0 ? "idle, and its turn among the idle" : `least load, ${loadKey(picked)}`;
    case "roundrobin":
      return "its turn";
    case "random":
      return "the less loaded of this draw; the next draw may differ";
    case "first":
      return "the first with a slot left";
    case "consistent-hash":
    case "maglev":
      return "the place of a key at random, since no key was given";
    case "ewma":
      return "the less of latency times load in this draw; the next draw may differ";
    default:
      return "chosen by the algorithm";
  }
}

function compareCandidates(a: Candidate, b: Candidate): number {
  return (
    Number(b.isPicked) - Number(a.isPicked) ||
    Number(b.isAvailable) - Number(a.isAvailable) ||
    Number(b.takesWork) - Number(a.takesWork) ||
    Number(b.isEligible) - Number(a.isEligible) ||
    Number(a.isAvoided) - Number(b.isAvoided) ||
    (a.load ?? 0) - (b.load ?? 0) ||
    (a.backend.id < b.backend.id ? -1 : 1)
  );
}

function reason(
  layer: ReasonLayer,
  text: string,
  sinceMs: number | undefined,
  untilMs: number | undefined,
): Reason {
  return { layer, text, sinceMs, untilMs };
}

function says(what: string, why: string): string {
  return why === "" ? what : `${what} (${why})`;
}

function ownedWords(override: Override<unknown> | undefined, why: string): string {
  if (override === undefined) return why;
  return override.reason === "" ? `by ${override.owner}` : `by ${override.owner}: ${override.reason}`;
}
