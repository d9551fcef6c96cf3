import type { Clock, Timer } from "../../../platform/clock.js";
import type { SourceState } from "../../source.js";
import {
  type ConsulAnswer,
  type ConsulFailure,
  type ConsulResponse,
  describeFailure,
  isPermanentRefusal,
  type QueryMeta,
  readQueryMeta,
} from "./answer.js";
import type { ConsulRequestFunction } from "./client.js";
import { type BackoffBounds, backoffDelayMs, TokenBucket } from "./pace.js";

/** One complete list as read from an answer. */
export interface WatchedList<T> {
  readonly value: T;
  /** Entries of the answer itself, before any rule of ours left some out. */
  readonly count: number;
  /** Equal when the content is. */
  readonly digest: string;
}

/** What a watch works with. */
export interface WatchOptions<T> {
  readonly path: string;
  /** Without `index` and `wait`. */
  readonly query: Readonly<Record<string, string>>;
  readonly request: ConsulRequestFunction;
  /** How many connections to the agent have closed. */
  readonly closings: () => number;
  /** Checks the shape of a body; the string says what is wrong with it. */
  readonly read: (body: unknown) => WatchedList<T> | string;
  /** The rights the query takes, for the message of a 403. */
  readonly needs: string;
  /** Longest block of one query. */
  readonly waitMs: number;
  /** Asks again this long after each answer, for queries that cannot block; undefined blocks. */
  readonly pollMs: number | undefined;
  /** After a change was taken, later ones within this time are taken together. */
  readonly coalesceMs: number;
  /** How long an empty answer that nothing vouches for is disbelieved. */
  readonly emptyGraceMs: number;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** A list whose content differs from the one in force; the first always. If it throws, it is called again. */
  readonly onValue: (value: T) => void;
  /** State or reason changed. */
  readonly onState: () => void;
}

/** Where a watch stands. */
export interface WatchReport {
  readonly state: SourceState;
  readonly reason: string;
  readonly lastSuccessMs: number | undefined;
  readonly lastChangeMs: number | undefined;
  readonly consecutiveFailures: number;
  readonly queries: number;
  readonly failures: number;
  readonly details: Readonly<Record<string, string>>;
}

/** What a failure means for the next attempt. */
interface Setback {
  readonly reason: string;
  readonly bounds: BackoffBounds;
  readonly retryAfterMs: number;
}

/** A local agent is asked again soon; a query it cannot read, seldom. */
const retryBounds: BackoffBounds = { minMs: 200, maxMs: 5_000 };
const slowRetryBounds: BackoffBounds = { minMs: 10_000, maxMs: 60_000 };
/** A `Retry-After` beyond this is a mistake or an attack. */
const retryAfterMaxMs = 60_000;
/** For the way there and back and the work, beyond the time the query may block. */
const answerSlackMs = 5_000;
/** Answers that change nothing: so many at once, then one per second. */
const idleBurst = 5;
const idlePerSecond = 1;
/** Shortest block asked for, so that the end of a grace time is not met by a volley of queries. */
const waitMinMs = 100;

/**
 * A blocking query of Consul kept up for ever: at most one request in flight, the last good value kept through
 * any failure. The index only serves blocking; what counts as a change is the content. Rules: Consul's
 * "blocking queries" document (index sanity, rate limit) and what its agents were seen to do over restarts.
 */
export class ConsulWatch<T> {
  readonly #options: WatchOptions<T>;
  readonly #idle: TokenBucket;
  #index = 0n;
  /** Closings when the index came; undefined when its connection was not to stay. */
  #closings: number | undefined;
  #inForce: { readonly digest: string; readonly count: number } | undefined;
  /** Why an empty answer would not be believed now: set by a failure, cleared by any believed answer. */
  #distrust: string | undefined;
  /** When the first of the empty answers in hand came. */
  #suspectSinceMs: number | undefined;
  #abort: AbortController | undefined;
  #timer: Timer | undefined;
  #isStopped = false;
  #state: SourceState = "starting";
  #reason = "";
  #lastSuccessMs: number | undefined;
  #lastChangeMs: number | undefined;
  #consecutiveFailures = 0;
  #queries = 0;
  #failures = 0;
  #waitMs = 0;
  #meta: QueryMeta | undefined;

  constructor(options: WatchOptions<T>) {
    this.#options = options;
    this.#idle = new TokenBucket(idleBurst, idlePerSecond, options.clock.nowMs());
  }

  /** Sends the first query. Called once. */
  start(): void {
    this.#ask();
  }

  /** Aborts the query in flight; nothing is called afterwards. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#abort?.abort();
    this.#abort = undefined;
  }

  report(): WatchReport {
    return {
      state: this.#state,
      reason: this.#reason,
      lastSuccessMs: this.#lastSuccessMs,
      lastChangeMs: this.#lastChangeMs,
      consecutiveFailures: this.#consecutiveFailures,
      queries: this.#queries,
      failures: this.#failures,
      details: { ...this.#meta?.details, index: this.#index.toString(), wait: `${this.#waitMs}ms` },
    };
  }

  #ask(): void {
    const { request, path, query, pollMs } = this.#options;
    this.#noticeClosing();
    const isBlocking = this.#index > 0n && pollMs === undefined;
    this.#waitMs = isBlocking ? this.#nextWaitMs() : 0;
    const abort = new AbortController();
    this.#abort = abort;
    this.#queries += 1;
    const settle = (answer: ConsulAnswer) => {
      if (this.#abort !== abort) return;
      this.#abort = undefined;
      this.#settle(answer);
    };
    request({
      path,
      query: isBlocking ? { ...query, index: this.#index.toString(), wait: `${this.#waitMs}ms` } : query,
      // Consul adds up to a sixteenth of the wait, so that many watches do not end together.
      timeoutMs: Math.ceil((this.#waitMs * 17) / 16) + answerSlackMs,
      signal: abort.signal,
    }).then(settle, (cause: unknown) => settle({ kind: "network", message: textOf(cause) }));
  }

  /**
   * The agent may have restarted between two queries, when none was in flight to fail: blocking on an index of
   * another history would see nothing until the wait is over.
   */
  #noticeClosing(): void {
    if (this.#closings === undefined || this.#closings === this.#options.closings()) return;
    this.#closings = undefined;
    this.#index = 0n;
    this.#distrust ??= "the connection was closed";
  }

  /** One that closed while the query was on its way may have led to another agent as well. */
  #noteConnection(answer: ConsulResponse): void {
    const isToClose = answer.headers.connection?.toLowerCase() === "close";
    if (!isToClose && this.#closings !== undefined && this.#closings !== this.#options.closings())
      this.#distrust ??= "the connection was closed";
    this.#closings = isToClose ? undefined : this.#options.closings();
  }

  /** Short enough to be answered when a grace time ends. */
  #nextWaitMs(): number {
    const { waitMs, emptyGraceMs, clock } = this.#options;
    if (this.#suspectSinceMs === undefined) return waitMs;
    const leftMs = this.#suspectSinceMs + emptyGraceMs - clock.nowMs();
    return Math.ceil(Math.min(waitMs, Math.max(waitMinMs, leftMs)));
  }

  #settle(answer: ConsulAnswer): void {
    if (answer.kind !== "ok") {
      this.#fail(this.#setbackOf(answer));
      return;
    }
    const delayMs = this.#tryToTake(answer);
    if (typeof delayMs === "number") this.#askAfter(delayMs);
    else this.#fail(delayMs);
  }

  /** A receiver that throws must see the list again, and must not end the watch. */
  #tryToTake(answer: ConsulResponse): number | Setback {
    try {
      return this.#take(answer);
    } catch (cause) {
      return refused(`the list was not taken: ${textOf(cause)}`);
    }
  }

  /** Judges an answer and takes what it says; the delay until the next query, or why it is no answer. */
  #take(answer: ConsulResponse): number | Setback {
    const { read, clock } = this.#options;
    const meta = readQueryMeta(answer.headers);
    if (meta === undefined)
      return refused("answer has no usable X-Consul-Index: something else than Consul answers");
    const list = read(answer.body);
    if (typeof list === "string") return refused(list);
    this.#meta = meta;
    if (list.count === 0 && meta.isFilteredByAcls) {
      return refused(`every instance is hidden from the token: it lacks ${this.#options.needs}`);
    }
    const wentBack = this.#advance(meta.index);
    this.#noteConnection(answer);
    const nowMs = clock.nowMs();
    const doubt = this.#doubt(list.count, wentBack, meta);
    return doubt === undefined || this.#isGraceOver(nowMs)
      ? this.#accept(list, meta.hasLeader, nowMs)
      : this.#hold(doubt, nowMs);
  }

  /**
   * Moves to the index of an answer. An index that went backwards means that the servers' state was replaced:
   * the next query must not block on the old one. Zero would never block: at least 1.
   */
  #advance(index: bigint): boolean {
    const next = index < 1n ? 1n : index;
    const wentBack = next < this.#index;
    this.#index = wentBack ? 0n : next;
    return wentBack;
  }

  /** Why an empty answer is not believed yet; undefined when it is, or when it takes nothing away. */
  #doubt(count: number, wentBack: boolean, meta: QueryMeta): string | undefined {
    if (count > 0 || this.#inForce === undefined || this.#inForce.count === 0) return undefined;
    if (wentBack) this.#distrust = "the index went backwards";
    else if (!meta.hasLeader) this.#distrust ??= "the servers have no leader";
    return this.#distrust;
  }

  #isGraceOver(nowMs: number): boolean {
    this.#suspectSinceMs ??= nowMs;
    return nowMs - this.#suspectSinceMs >= this.#options.emptyGraceMs;
  }

  #hold(doubt: string, nowMs: number): number {
    this.#consecutiveFailures = 0;
    const graceMs = this.#options.emptyGraceMs;
    this.#enter("suspect", `empty list, not believed for ${graceMs} ms, because before it: ${doubt}`);
    return this.#pauseMs(nowMs);
  }

  /** Until the next query after an answer that changed nothing; polls of a fleet are spread by a tenth. */
  #pauseMs(nowMs: number): number {
    const { pollMs, random } = this.#options;
    return pollMs === undefined ? this.#idle.takeDelayMs(nowMs) : pollMs * (0.9 + random() / 10);
  }

  /** What comes from a server without a leader is the best there is, and may be of any age. */
  #accept(list: WatchedList<T>, hasLeader: boolean, nowMs: number): number {
    const isChange = this.#inForce?.digest !== list.digest;
    if (isChange) {
      this.#options.onValue(list.value);
      this.#lastChangeMs = nowMs;
    }
    this.#inForce = { digest: list.digest, count: list.count };
    this.#distrust = undefined;
    this.#suspectSinceMs = undefined;
    this.#consecutiveFailures = 0;
    if (hasLeader) this.#lastSuccessMs = nowMs;
    if (hasLeader) this.#enter("live", "");
    else this.#enter("stale", "the servers have no leader, so the list may be of any age");
    const { coalesceMs, pollMs } = this.#options;
    return isChange && pollMs === undefined ? coalesceMs : this.#pauseMs(nowMs);
  }

  #setbackOf(failure: ConsulFailure): Setback {
    const reason = describeFailure(failure, this.#options.needs);
    if (failure.kind !== "status") return refused(reason);
    return {
      reason,
      // What does not exist is asked for seldom as well: a query that nobody made yet, a path of another program.
      bounds: failure.status === 404 || isPermanentRefusal(failure) ? slowRetryBounds : retryBounds,
      retryAfterMs: Math.min(failure.retryAfterMs ?? 0, retryAfterMaxMs),
    };
  }

  /** Keeps the value in force; the index is forgotten, since the next answer may come from another history. */
  #fail(setback: Setback): void {
    this.#index = 0n;
    this.#suspectSinceMs = undefined;
    this.#distrust = setback.reason;
    this.#failures += 1;
    this.#consecutiveFailures += 1;
    this.#enter(this.#inForce === undefined ? "starting" : "stale", setback.reason);
    const backoffMs = backoffDelayMs(this.#consecutiveFailures, setback.bounds, this.#options.random());
    this.#askAfter(Math.max(backoffMs, setback.retryAfterMs));
  }

  #askAfter(delayMs: number): void {
    if (this.#isStopped) return;
    if (delayMs <= 0) {
      this.#ask();
      return;
    }
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#ask();
    });
  }

  #enter(state: SourceState, reason: string): void {
    if (this.#isStopped || (this.#state === state && this.#reason === reason)) return;
    this.#state = state;
    this.#reason = reason;
    this.#options.onState();
  }
}

function refused(reason: string): Setback {
  return { reason, bounds: retryBounds, retryAfterMs: 0 };
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
