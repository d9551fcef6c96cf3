import type { ReuseConfig } from "../config/retry-model.js";
import type { Lease } from "../core/lease.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { BackendSearch } from "./backend-search.js";
import { isUnsent, type ProxyError, retryKindOf } from "./errors.js";
import type { DownstreamStream, FieldList, RequestHead, ResponseHead, UpstreamStream } from "./message.js";
import { ReplayBody } from "./replay-body.js";
import { idleForLessMs } from "./retry-policy.js";
import type { Destination } from "./router.js";

/** What tries need besides the request. */
export interface TriesContext {
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads pauses. */
  readonly random: () => number;
}

/** Whether and when another try follows. */
export type NextTry =
  | { readonly isAllowed: false }
  /** Undefined for at once, where there is another backend. */
  | { readonly isAllowed: true; readonly pauseMs: number | undefined };

const NO: NextTry = { isAllowed: false };
const AT_ONCE: NextTry = { isAllowed: true, pauseMs: undefined };

/** Who is told of what takes too long. */
export interface TriesOwner {
  /** No head of an answer came within the time of a try. */
  onTryTooLong(): void;
  /** The request's time is over, all tries together. */
  onTotalTimeOver(): void;
}

/**
 * Request path. The tries of one request: what of its body is still there to be sent again, the time of each try, and
 * whether another one may follow. A request of which nothing left is always tried again; anything else only as the
 * pool's policy and budget allow, and while its whole body is at hand.
 */
export class Tries {
  readonly #destination: Destination;
  readonly #head: RequestHead;
  readonly #context: TriesContext;
  readonly #owner: TriesOwner;
  /** Whatever begins later than this is in vain. */
  readonly #deadlineMs: number;
  #replay: ReplayBody | undefined;
  #timer: Timer | undefined;
  #totalTimer: Timer | undefined;
  /** Whose body waits for the backend's word, and for how long at most. */
  #held: DownstreamStream | undefined;
  #heldTimer: Timer | undefined;
  #asksFirst: boolean;
  #hasBodyBegun = false;
  #holdsBudget = false;

  /** @param startedMs when the first byte of the request came */
  constructor(
    destination: Destination,
    head: RequestHead,
    context: TriesContext,
    owner: TriesOwner,
    startedMs: number,
  ) {
    const { retry, requestTotalMs } = destination;
    this.#destination = destination;
    this.#head = head;
    this.#context = context;
    this.#owner = owner;
    this.#deadlineMs = requestTotalMs > 0 ? startedMs + requestTotalMs : Number.POSITIVE_INFINITY;
    this.#asksFirst = retry.asksFirst(head);
    this.#replay = retry.keepsBody(head) ? new ReplayBody(retry.maxBodyBytes) : undefined;
  }

  /** Whether a byte of the body was given to a backend. */
  get hasBodyBegun(): boolean {
    return this.#hasBodyBegun;
  }

  /** Whether everything of the body that was given away could be given again. */
  get canSendAgain(): boolean {
    return !this.#hasBodyBegun || this.#replay?.isWhole === true;
  }

  /** Whether it may be sent twice and what was sent of it is, and will be, at hand. */
  get isRepeatable(): boolean {
    const isKept = this.#head.body.kind === "none" || this.#replay !== undefined;
    return isKept && this.canSendAgain && this.#destination.retry.maySendTwice(this.#head);
  }

  /** Whether the whole request is here, so that another try needs nothing of the client. */
  get hasWholeBody(): boolean {
    return this.#head.body.kind === "none" || this.#replay?.isComplete === true;
  }

  /** Whether the body waits until the backend has said that it takes the request. */
  get asksFirst(): boolean {
    return this.#asksFirst;
  }

  /** How recently a connection of the pool now searched must have been used to carry the request. */
  idleForLessMs(reuse: ReuseConfig): number {
    return idleForLessMs(reuse, this.#head, this.#asksFirst);
  }

  /** The request begins to look for a backend. */
  start(nowMs: number): void {
    if (this.#deadlineMs === Number.POSITIVE_INFINITY) return;
    const leftMs = Math.max(this.#deadlineMs - nowMs, 0);
    this.#totalTimer = this.#context.clock.after(leftMs, () => this.#owner.onTotalTimeOver());
  }

  /** A try begins. */
  begin(): void {
    const { perTryMs } = this.#destination.retry;
    if (perTryMs > 0) this.#timer = this.#context.clock.after(perTryMs, () => this.#owner.onTryTooLong());
  }

  /** It was answered, or is over. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#holdNoMore();
  }

  /** The client gets this try's answer: there will be no other, and nothing is kept for one. */
  commit(): void {
    this.releaseBody();
    this.end();
    this.#replay = undefined;
  }

  /**
   * Lets the client's body come: at once, or when the backend has said that it takes the request, which is not waited
   * for without end as a backend may never say it.
   */
  readBody(downstream: DownstreamStream): void {
    if (!this.#asksFirst) {
      downstream.readBody();
      return;
    }
    const { expectContinueMs } = this.#destination.retry;
    this.#held = downstream;
    this.#heldTimer = this.#context.clock.after(expectContinueMs, () => this.releaseBody());
  }

  /** A 100 lets the body go. Answers whether it is nobody else's: it was asked for here (RFC 9110 section 15.2). */
  takesInformational(answer: ResponseHead): boolean {
    if (answer.status !== 100 || !this.#asksFirst) return false;
    this.releaseBody();
    return !this.#head.expectsContinue;
  }

  /** The body is waited for no longer. */
  releaseBody(): void {
    const held = this.#held;
    this.#holdNoMore();
    held?.readBody();
  }

  /** A part of the body goes to the backend. */
  body(bytes: Buffer): void {
    this.#hasBodyBegun = true;
    this.#replay?.keep(bytes);
  }

  bodyEnd(trailers: FieldList | undefined): void {
    this.#hasBodyBegun = true;
    this.#replay?.end(trailers);
  }

  /** Sends again what went to an earlier try; answers whether that was the whole body. */
  resend(upstream: UpstreamStream): boolean {
    return this.#hasBodyBegun && this.#replay?.sendTo(upstream) === true;
  }

  /** May another try follow this failure? */
  afterFailure(error: ProxyError, lease: Lease, search: BackendSearch): NextTry {
    const { retry } = this.#destination;
    if (error.code === "connect-exhausted" || !search.hasTriesLeft || !this.canSendAgain) return NO;
    if (!retry.allowsAfter(error, this.#head)) return NO;
    if (isUnsent(error)) return AT_ONCE;
    // Away from a backend that breaks connections at once; one that was silent, or is the only one, gets a pause.
    if (error.code !== "upstream-reset" || !search.hasOther(lease))
      return this.#after(this.#backoffMs(search));
    return this.takeBudget() ? AT_ONCE : NO;
  }

  /** May another try take the place of this answer? */
  afterAnswer(answer: ResponseHead, lease: Lease, search: BackendSearch): NextTry {
    const { retry, service } = this.#destination;
    if (answer.status === 417 && this.#asksFirst && !this.#head.expectsContinue) {
      // The client, which asked nothing, must not get this (RFC 9110 section 10.1.1).
      this.#asksFirst = false;
      return AT_ONCE;
    }
    const advice = retry.adviceAfter(answer, this.#head);
    if (advice.kind === "never" || !search.hasTriesLeft || !this.canSendAgain) return NO;
    // What one backend asks for itself is no reason to keep away from others.
    if (advice.kind === "as-you-like" || (!advice.isOfService && search.hasOther(lease))) {
      return this.#after(this.#backoffMs(search));
    }
    // Nobody waits longer for a backend that is not ready than for one that is full.
    return advice.delayMs > service.timeouts.queueMs ? NO : this.#after(advice.delayMs);
  }

  /** A place in the budget, one for all that follows the first try; false when there is none. */
  takeBudget(): boolean {
    if (this.#holdsBudget) return true;
    const { retryBudget, retries, work, pool } = this.#destination.service;
    this.#holdsBudget = retryBudget.take(retries.budget, work.size + pool.queue.length);
    if (!this.#holdsBudget) pool.count("retriesDenied");
    return this.#holdsBudget;
  }

  /**
   * Whether the same request may go out again on a fresh connection to the same backend, which closed this one at rest
   * as the request was on its way.
   */
  survives(error: ProxyError): boolean {
    if (!error.isStale || !this.canSendAgain || retryKindOf(error) !== "empty-response") return false;
    return !error.isSent || this.#destination.retry.maySendTwice(this.#head);
  }

  /** There is nothing left to try: the exchange is over, or a tunnel. */
  close(): void {
    this.end();
    this.#replay = undefined;
    this.#totalTimer?.cancel();
    if (!this.#holdsBudget) return;
    this.#holdsBudget = false;
    this.#destination.service.retryBudget.giveBack();
  }

  #holdNoMore(): void {
    this.#held = undefined;
    this.#heldTimer?.cancel();
    this.#heldTimer = undefined;
  }

  #backoffMs(search: BackendSearch): number {
    return this.#destination.retry.backoffMs(search.retries + 1, this.#context.random());
  }

  /** A try after a pause, unless the request's time is over before. */
  #after(pauseMs: number): NextTry {
    if (this.#context.clock.nowMs() + pauseMs >= this.#deadlineMs || !this.takeBudget()) return NO;
    return { isAllowed: true, pauseMs };
  }
}
