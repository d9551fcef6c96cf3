import type { Lease } from "../core/lease.js";
import type { Clock, Timer } from "../platform/clock.js";
import type { BackendSearch } from "./backend-search.js";
import { isUnsent, type ProxyError } from "./errors.js";
import type { FieldList, RequestHead, ResponseHead, UpstreamStream } from "./message.js";
import { ReplayBody } from "./replay-body.js";
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

/**
 * Request path. The tries of one request: what of its body is still there to be sent again, the time of each try, and
 * whether another one may follow. A request of which nothing left is always tried again; anything else only as the
 * pool's policy and budget allow, and while its whole body is at hand.
 */
export class Tries {
  readonly #destination: Destination;
  readonly #head: RequestHead;
  readonly #context: TriesContext;
  readonly #onLate: () => void;
  readonly #replay: ReplayBody | undefined;
  #timer: Timer | undefined;
  #hasBodyBegun = false;
  #holdsBudget = false;

  /** @param onLate a try took longer than it may for the head of its answer */
  constructor(destination: Destination, head: RequestHead, context: TriesContext, onLate: () => void) {
    const { retry } = destination;
    this.#destination = destination;
    this.#head = head;
    this.#context = context;
    this.#onLate = onLate;
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

  /** A try begins. */
  begin(): void {
    const { perTryMs } = this.#destination.retry;
    if (perTryMs > 0) this.#timer = this.#context.clock.after(perTryMs, this.#onLate);
  }

  /** It was answered, or is over. */
  end(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
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
    if (!this.#takeBudget()) return NO;
    // Away from a backend that breaks connections at once; one that was silent, or is the only one, gets a pause.
    return error.code === "upstream-reset" && search.hasOther(lease) ? AT_ONCE : this.#later(search);
  }

  /** May another try take the place of this answer? */
  afterAnswer(answer: ResponseHead, lease: Lease, search: BackendSearch): NextTry {
    const { retry, service } = this.#destination;
    const advice = retry.adviceAfter(answer, this.#head);
    if (advice.kind === "never" || !search.hasTriesLeft || !this.canSendAgain) return NO;
    const isPushedBack =
      advice.kind === "after" &&
      (answer.fields.value("retry-after") === undefined || !search.hasOther(lease));
    // What one backend asks for is no reason to keep others waiting; a wait beyond that for a slot is none of ours.
    if (isPushedBack && advice.delayMs > service.timeouts.queueMs) return NO;
    if (!this.#takeBudget()) return NO;
    return isPushedBack ? { isAllowed: true, pauseMs: advice.delayMs } : this.#later(search);
  }

  /** The exchange is over. */
  close(): void {
    this.end();
    if (!this.#holdsBudget) return;
    this.#holdsBudget = false;
    this.#destination.service.retryBudget.giveBack();
  }

  #later(search: BackendSearch): NextTry {
    const pauseMs = this.#destination.retry.backoffMs(search.retries + 1, this.#context.random());
    return { isAllowed: true, pauseMs };
  }

  #takeBudget(): boolean {
    if (this.#holdsBudget) return true;
    const { retryBudget, retries, work, pool } = this.#destination.service;
    this.#holdsBudget = retryBudget.take(retries.budget, work.size + pool.queue.length);
    if (!this.#holdsBudget) pool.count("retriesDenied");
    return this.#holdsBudget;
  }
}
