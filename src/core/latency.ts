import type { Backend } from "./backend.js";
import { LatencySketch } from "./latency-sketch.js";

/** When a backend counts as slow, and what becomes of its weight. */
export interface LatencyOptions {
  /** Time that is compared: the one this percent of the requests do not exceed. */
  readonly percentile: number;
  /** Slow is what takes so many times as long as the middle one of the others... */
  readonly factor: number;
  /** ...and so many deviations longer, by the median absolute deviation of the others... */
  readonly deviations: number;
  /** ...and at least this much longer. */
  readonly minDifferenceMs: number;
  /** Answers without which a backend is not compared, those of earlier intervals in part. */
  readonly requestVolume: number;
  /** Least share of the weight that is left, in percent, so that it can show that it has recovered. */
  readonly minWeightPercent: number;
  /** How often backends are compared, a step of weight each time. */
  readonly intervalMs: number;
}

/** What makes a median absolute deviation comparable to a standard deviation. */
const MAD_SCALE = 1.4826;
/** Slow is over below this part of the limit: between the two nothing moves, so that nothing swings. */
const RECOVERED = 0.75;
/** What an interval leaves of the ones before: a backend with few requests is known by some ten intervals. */
const KEPT = 0.8;
/** Slow in so many comparisons in a row, and the first step is taken: one may be chance. */
const PATIENCE = 2;
const STEP = 0.5;
/** Up to so many each is held against the others alone; beyond, its own time does not move the median. */
const FEW = 12;

/** How fast a backend answered lately, and what followed. It is forgotten with the backend. */
export class LatencyMonitor {
  /** Of the interval under way; both are made with the first time that is recorded. */
  recent: LatencySketch | undefined;
  /** Of the intervals before it, for as long as one alone holds too little. */
  #past: LatencySketch | undefined;
  /** Comparisons in a row in which it was slow. */
  strikes = 0;
  /** The compared time at the last comparison; undefined when there was too little. */
  quantileMs: number | undefined;
  /** When the demotion in force began. */
  demotedSinceMs: number | undefined;
  /** Why it is demoted, in words; empty when it is not. */
  why = "";

  /** How much is known, by this and earlier intervals. */
  get volume(): number {
    return (this.recent?.total ?? 0) + (this.#past?.total ?? 0);
  }

  record(ms: number): void {
    this.recent ??= new LatencySketch();
    this.recent.record(ms);
  }

  /**
   * Ends an interval: answers the time that is compared, undefined when there is too little. An interval that
   * holds enough speaks for itself, so that what is over is over; one that does not is read with those before.
   */
  close(options: LatencyOptions): number | undefined {
    if (this.recent === undefined) return undefined;
    this.#past ??= new LatencySketch();
    const isEnough = this.recent.total >= options.requestVolume;
    const before = this.#past;
    if (!isEnough) before.add(this.recent);
    const read = isEnough ? this.recent : before;
    const share = options.percentile / 100;
    this.quantileMs = read.total >= options.requestVolume ? read.quantile(share) : undefined;
    if (isEnough) {
      // The past is not needed while intervals are full, and would be stale when they no longer are.
      before.clear();
      before.add(this.recent);
    }
    before.decay(KEPT);
    this.recent.clear();
    return this.quantileMs;
  }

  forget(): void {
    this.recent = undefined;
    this.#past = undefined;
    this.quantileMs = undefined;
    this.strikes = 0;
  }
}

/** What the comparison may do in its pool. */
export interface LatencyHost {
  /** Read at each use. Undefined: nobody is compared. */
  options(): LatencyOptions | undefined;
  backends(): Iterable<Backend>;
  /** The demotion of a backend moved: its weight follows. */
  demoted(backend: Backend, why: string, nowMs: number): void;
  /** Something may be due earlier than `nextDueMs` said. */
  dueMoved(): void;
}

/**
 * Takes weight from backends that answer, but much slower than the others: half of what is left at each
 * comparison, down to a floor that keeps it tried, and back by doubling once it is fast enough or too little is
 * known of it. Nobody is ejected for being slow.
 *
 * Each is held against the others alone, by median and median absolute deviation: neither can be drawn up by
 * one that is slow, and in a pool of two each is held against the other one.
 */
export class LatencyComparison {
  readonly #host: LatencyHost;
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(host: LatencyHost) {
    this.#host = host;
  }

  /** Request path. A backend answered after so long. */
  timed(backend: Backend, ms: number, nowMs: number): void {
    const options = this.#host.options();
    if (options === undefined) return;
    backend.latency.record(ms);
    if (this.#dueMs !== Number.POSITIVE_INFINITY) return;
    this.#dueMs = nowMs + options.intervalMs;
    this.#host.dueMoved();
  }

  tick(nowMs: number): void {
    const options = this.#host.options();
    if (options === undefined ? this.#dueMs === Number.POSITIVE_INFINITY : this.#dueMs > nowMs) return;
    const isAnyLeft = options === undefined ? this.#forget(nowMs) : this.#compare(options, nowMs);
    this.#dueMs = options === undefined || !isAnyLeft ? Number.POSITIVE_INFINITY : nowMs + options.intervalMs;
  }

  nextDueMs(): number {
    return this.#host.options() === undefined && this.#dueMs !== Number.POSITIVE_INFINITY ? 0 : this.#dueMs;
  }

  /** It was switched off: all get their weight back. */
  #forget(nowMs: number): false {
    for (const backend of this.#host.backends()) {
      backend.latency.forget();
      this.#demote(backend, 1, "latency is compared no more", nowMs);
    }
    return false;
  }

  /** Answers whether there is anything to come back for. */
  #compare(options: LatencyOptions, nowMs: number): boolean {
    const known: Timed[] = [];
    const unknown: Backend[] = [];
    let isAnyLeft = false;
    for (const backend of this.#host.backends()) {
      const { latency } = backend;
      const ms = latency.close(options);
      if (ms === undefined || backend.isGone) unknown.push(backend);
      else known.push({ backend, ms });
      if (backend.demotion < 1 || latency.volume > 0) isAnyLeft = true;
    }
    const ofAll = known.length > FEW ? latencyLimit(timesOf(known), options) : undefined;
    for (const { backend, ms } of known) {
      const limit = ofAll ?? latencyLimit(timesOf(known, backend), options);
      this.#judge(options, backend, ms, limit, nowMs);
    }
    for (const backend of unknown) this.#raise(backend, "too little is known of its latency", nowMs);
    return isAnyLeft;
  }

  #judge(
    options: LatencyOptions,
    backend: Backend,
    ms: number,
    limit: LatencyLimit | undefined,
    nowMs: number,
  ): void {
    const { latency } = backend;
    latency.strikes = limit !== undefined && ms > limit.ms ? latency.strikes + 1 : 0;
    if (limit === undefined) {
      this.#raise(backend, "there is nothing to compare its latency with", nowMs);
    } else if (latency.strikes > 0) {
      if (latency.strikes < PATIENCE) return;
      const floor = options.minWeightPercent / 100;
      const words = `p${options.percentile} ${shown(ms)}, the others ${shown(limit.middleMs)}`;
      this.#demote(backend, Math.max(backend.demotion * STEP, floor), `slow: ${words}`, nowMs);
    } else if (ms <= limit.ms * RECOVERED) {
      this.#raise(backend, `recovering: p${options.percentile} ${shown(ms)}`, nowMs);
    }
  }

  #raise(backend: Backend, why: string, nowMs: number): void {
    this.#demote(backend, Math.min(1, backend.demotion / STEP), why, nowMs);
  }

  #demote(backend: Backend, demotion: number, why: string, nowMs: number): void {
    const { latency } = backend;
    if (demotion === backend.demotion) return;
    latency.demotedSinceMs = demotion === 1 ? undefined : (latency.demotedSinceMs ?? nowMs);
    latency.why = demotion === 1 ? "" : why;
    backend.demotion = demotion;
    this.#host.demoted(backend, why, nowMs);
  }
}

interface Timed {
  readonly backend: Backend;
  readonly ms: number;
}

function timesOf(known: readonly Timed[], but?: Backend): number[] {
  return known.filter(({ backend }) => backend !== but).map(({ ms }) => ms);
}

/** Above what a backend is slow, and what it was held against. */
export interface LatencyLimit {
  readonly ms: number;
  readonly middleMs: number;
}

/** Above which time a backend is slow beside these others, and their median; undefined without others. */
export function latencyLimit(others: readonly number[], options: LatencyOptions): LatencyLimit | undefined {
  const middleMs = median(others);
  if (middleMs === undefined) return undefined;
  const spread = (median(others.map((each) => Math.abs(each - middleMs))) ?? 0) * MAD_SCALE;
  const ms = Math.max(
    middleMs * options.factor,
    middleMs + spread * options.deviations,
    middleMs + options.minDifferenceMs,
  );
  return { ms, middleMs };
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}

function shown(ms: number): string {
  return ms < 10 ? `${Math.round(ms * 10) / 10} ms` : `${Math.round(ms)} ms`;
}
