import type { RetryConfig, ReuseConfig, RouteRetryConfig } from "../config/retry-model.js";
import { backoffMs } from "../core/backoff.js";
import { type RetryAdvice, type RetryConditions, retryAdvice, retryConditions } from "../core/retry.js";
import { isUnsent, type ProxyError, retryKindOf } from "./errors.js";
import type { RequestHead, ResponseHead } from "./message.js";

const NEVER: RetryAdvice = { kind: "never" };

/** RFC 9110 section 9.2.2: sending them twice is as good as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/**
 * How recently a connection must have been used to carry this request; see `ReuseConfig`. One that asks first is told of a
 * dead connection before anything was executed.
 */
export function idleForLessMs(reuse: ReuseConfig, head: RequestHead, asksFirst: boolean): number {
  if (reuse.mode === "never") return 0;
  const canRepeat = asksFirst || (IDEMPOTENT.has(head.method) && head.body.kind === "none");
  return reuse.mode === "always" || canRepeat ? Number.POSITIVE_INFINITY : reuse.safeForMs;
}

/** What may be tried again, of a route to a pool. Immutable: made when routes are. */
export class RetryPolicy {
  readonly max: number;
  /** Longest wait for the head of an answer of one try, its connection included; 0 for no limit of its own. */
  readonly perTryMs: number;
  readonly maxBodyBytes: number;
  /** Longest wait for a 100 before the body of a request that asks first is sent all the same; 0 asks never. */
  readonly expectContinueMs: number;
  readonly #config: RetryConfig;
  readonly #conditions: RetryConditions;
  /** Whether anything but a failed connection is ever tried again. */
  readonly #looksAtAnswers: boolean;

  constructor(config: RetryConfig, route: RouteRetryConfig | undefined) {
    this.#config = config;
    this.max = route?.max ?? config.max;
    this.perTryMs = route?.perTryMs ?? config.perTryMs;
    this.maxBodyBytes = config.maxBodyBytes;
    this.expectContinueMs = config.expectContinueMs;
    this.#conditions = retryConditions(route?.on ?? config.on);
    const { statuses, grpcStatuses } = this.#conditions;
    this.#looksAtAnswers = statuses.size + grpcStatuses.size > 0;
  }

  /** Whether the bytes of a request's body are worth keeping: only what may be sent twice ever is. */
  keepsBody(head: RequestHead): boolean {
    const { body } = head;
    if (body.kind === "none" || this.max === 0 || this.maxBodyBytes === 0) return false;
    return (body.kind !== "length" || body.length <= this.maxBodyBytes) && this.maySendTwice(head);
  }

  maySendTwice(head: RequestHead): boolean {
    return this.#config.nonIdempotent || IDEMPOTENT.has(head.method);
  }

  /**
   * Whether a request is sent with `Expect: 100-continue`, so that one that may not run twice is safe to try again up to
   * the backend's word. Without a body there is nothing to hold back (RFC 9110 section 10.1.1).
   */
  asksFirst(head: RequestHead): boolean {
    return this.expectContinueMs > 0 && head.body.kind !== "none" && !this.maySendTwice(head);
  }

  /** Whether a try that failed so may be followed by another, as far as the failure goes. */
  allowsAfter(error: ProxyError, head: RequestHead): boolean {
    if (isUnsent(error)) return true;
    const kind = retryKindOf(error);
    return kind !== undefined && this.#conditions.kinds.has(kind) && this.maySendTwice(head);
  }

  /** Whether an answer may be thrown away for another try; `never` where it says so itself. */
  adviceAfter(answer: ResponseHead, head: RequestHead): RetryAdvice {
    if (!this.#looksAtAnswers || !this.#isRetryable(answer) || !this.maySendTwice(head)) return NEVER;
    const { fields } = answer;
    return retryAdvice(fields.value("grpc-retry-pushback-ms"), fields.value("retry-after"));
  }

  /** @param retry 1 for the first try after the first */
  backoffMs(retry: number, random: number): number {
    return backoffMs(this.#config.backoff, retry, random);
  }

  #isRetryable(answer: ResponseHead): boolean {
    if (this.#conditions.statuses.has(answer.status)) return true;
    if (this.#conditions.grpcStatuses.size === 0) return false;
    const status = answer.fields.value("grpc-status");
    return status !== undefined && this.#conditions.grpcStatuses.has(Number(status));
  }
}
