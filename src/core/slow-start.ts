import type { Backend, FactName } from "./backend.js";

/** How a backend that joins or returns is brought to its full share. */
export interface SlowStartOptions {
  readonly windowMs: number;
  /** Envoy's `aggression`: the share grows with time to the power of 1/aggression. 1 is linear, as HAProxy. */
  readonly aggression: number;
  /** Least share from the start, in percent; Envoy has 10. A sixteenth is granted in any case. */
  readonly minPercent: number;
}

/** HAProxy ramps in so many steps. */
const STEPS = 16;

/** What slow start may do in its pool. */
export interface SlowStartHost {
  /** Read at each use, since a reload may change them. Undefined: everyone starts with the full share. */
  options(): SlowStartOptions | undefined;
  /** The ramp of a backend moved: weight and limit follow. Without `why` it is a step nobody need be told of. */
  ramped(backend: Backend, why: string | undefined, nowMs: number): void;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/**
 * Brings backends that join or return to their full share in sixteen steps, of weight and of concurrency
 * alike, as HAProxy does: a process that has just begun has cold caches and nothing compiled.
 *
 * It begins when all four facts come to speak for a backend that was down, in maint, ejected, refused or not
 * listed. It does not after a drain, which stops nothing; nor at the start of this process, when nobody knows
 * better; nor when more than half of a list is new, since then the few that are not would have to carry all.
 */
export class SlowStart {
  readonly #host: SlowStartHost;
  readonly #ramping = new Set<Backend>();

  constructor(host: SlowStartHost) {
    this.#host = host;
  }

  /** A backend comes in with a list. @param isOneOfMany more than half of the list is new */
  listed(backend: Backend, isOneOfMany: boolean): void {
    const { check, admin, detection } = backend.facts;
    const isStopped = check.state === "down" || admin.state === "maint" || detection.state === "ejected";
    if (!isOneOfMany) backend.isCold = true;
    else if (!isStopped) backend.isCold = false;
  }

  /** A fact went from one state to another. */
  changed(backend: Backend, fact: FactName, from: string, to: string, nowMs: number): void {
    if (isStop(fact, to) && !isFirstVerdict(backend, from)) backend.isCold = true;
    this.entered(backend, nowMs);
  }

  /** Begins the ramp of a backend that is cold, once everything speaks for it. */
  entered(backend: Backend, nowMs: number): void {
    if (!backend.isCold || !backend.isVouchedFor) return;
    backend.isCold = false;
    const options = this.#host.options();
    if (options === undefined || options.windowMs === 0) return;
    backend.rampStep = 0;
    backend.rampSinceMs = nowMs;
    backend.rampUntilMs = stepAtMs(options, STEPS - 1, nowMs);
    this.#ramping.add(backend);
    this.#move(backend, options, "slow start", nowMs);
    this.#host.dueMoved();
  }

  /** It left the pool. */
  removed(backend: Backend): void {
    this.#ramping.delete(backend);
  }

  /** Takes the steps that are due. */
  tick(nowMs: number): void {
    if (this.#ramping.size === 0) return;
    const options = this.#host.options();
    for (const backend of [...this.#ramping]) this.#move(backend, options, undefined, nowMs);
  }

  /** When to call `tick` next; infinite when nobody ramps. */
  nextDueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    const options = this.#host.options();
    for (const { rampSinceMs, rampStep } of this.#ramping) {
      if (options === undefined || rampSinceMs === undefined) return 0;
      due = Math.min(due, stepAtMs(options, rampStep + 1, rampSinceMs));
    }
    return due;
  }

  #move(
    backend: Backend,
    options: SlowStartOptions | undefined,
    why: string | undefined,
    nowMs: number,
  ): void {
    const step =
      options === undefined ? STEPS : stepOf(options, backend.rampStep, backend.rampSinceMs ?? 0, nowMs);
    const share = options === undefined ? 1 : rampShare(options, step);
    backend.rampStep = step;
    if (share >= 1) {
      this.#ramping.delete(backend);
      backend.rampSinceMs = undefined;
      backend.rampUntilMs = undefined;
      backend.rampStep = 0;
    }
    if (share === backend.ramp) return;
    backend.ramp = share;
    this.#host.ramped(backend, share >= 1 ? "slow start over" : why, nowMs);
  }
}

/**
 * The share granted in a step, from 0 on: HAProxy's sixteenths, `floor((16 * elapsed + window) / window)`, but
 * no less than the least share.
 */
export function rampShare(options: SlowStartOptions, step: number): number {
  return Math.min(1, Math.max((step + 1) / STEPS, options.minPercent / 100));
}

/** What is granted of a limit, rounded down but at least 1, as HAProxy does with maxconn; 0 stays no limit. */
export function rampedLimit(limit: number, share: number): number {
  return limit === 0 ? 0 : Math.max(1, Math.floor(limit * share));
}

/** When a step begins: the steps lie evenly on Envoy's curve `(elapsed / window)^(1 / aggression)`. */
export function stepAtMs(options: SlowStartOptions, step: number, sinceMs: number): number {
  return sinceMs + options.windowMs * (step / STEPS) ** options.aggression;
}

/** The step in force now, sought from a step that has begun. Compares what `nextDueMs` answers: a tick on time moves. */
function stepOf(options: SlowStartOptions, from: number, sinceMs: number, nowMs: number): number {
  let step = from;
  while (step < STEPS - 1 && stepAtMs(options, step + 1, sinceMs) <= nowMs) step++;
  return step;
}

/** Whether a state means that the instance may have been restarted, or that its work went elsewhere for good reason. */
function isStop(fact: FactName, to: string): boolean {
  switch (fact) {
    case "discovery":
      return to !== "admitted";
    case "check":
      return to === "down";
    case "admin":
      return to === "maint";
    case "detection":
      return to === "ejected";
  }
}

/** A check that begins at down (`initialState`) has seen no failure: nobody was served before. */
function isFirstVerdict(backend: Backend, from: string): boolean {
  return from === "unchecked" && backend.lastUsedMs === undefined && backend.rampSinceMs === undefined;
}
