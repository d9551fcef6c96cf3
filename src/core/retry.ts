/** HAProxy's `retry-on` words for ways in which a try fails without a whole head of an answer. */
export type RetryKind = "conn-failure" | "empty-response" | "junk-response" | "response-timeout";

/** What a further try may follow. */
export interface RetryConditions {
  readonly kinds: ReadonlySet<RetryKind>;
  /** Statuses of answers. */
  readonly statuses: ReadonlySet<number>;
  /** gRPC statuses of answers that consist of a head alone. */
  readonly grpcStatuses: ReadonlySet<number>;
}

/** What HAProxy's `all-retryable-errors` stands for, but for early data, which is not taken here. */
const ALL_KINDS: readonly RetryKind[] = [
  "conn-failure",
  "empty-response",
  "junk-response",
  "response-timeout",
];
const ALL_STATUSES = [500, 502, 503, 504];

/** gRPC statuses that can be named, as Envoy's `retry-on` has them, and their codes. */
const GRPC_STATUSES = {
  cancelled: 1,
  "deadline-exceeded": 4,
  "resource-exhausted": 8,
  internal: 13,
  unavailable: 14,
} as const;

/** Name of a gRPC status that a further try may follow. */
export type GrpcStatusName = keyof typeof GRPC_STATUSES;

/** Reads the words and statuses of a configuration that was checked before. */
export function retryConditions(words: readonly (string | number)[]): RetryConditions {
  const kinds = new Set<RetryKind>();
  const statuses = new Set<number>();
  const grpcStatuses = new Set<number>();
  for (const word of words) {
    if (typeof word === "number") statuses.add(word);
    else if (word === "all-retryable-errors") {
      for (const kind of ALL_KINDS) kinds.add(kind);
      for (const status of ALL_STATUSES) statuses.add(status);
    } else if (word in GRPC_STATUSES) grpcStatuses.add(GRPC_STATUSES[word as GrpcStatusName]);
    else kinds.add(word as RetryKind);
  }
  return { kinds, statuses, grpcStatuses };
}

/** What an answer says of a further try. */
export type RetryAdvice =
  | { readonly kind: "as-you-like" }
  /** Not before this time is over: nowhere, or only not at this backend. */
  | { readonly kind: "after"; readonly delayMs: number; readonly isOfService: boolean }
  | { readonly kind: "never" };

const AS_YOU_LIKE: RetryAdvice = { kind: "as-you-like" };
const NEVER: RetryAdvice = { kind: "never" };

/**
 * Reads `grpc-retry-pushback-ms` (gRFC A6: negative or unreadable means never) and `Retry-After` in seconds (RFC 9110
 * section 10.2.3). A date in `Retry-After` is far away by the measure of a request under way: never.
 */
export function retryAdvice(pushback: string | undefined, retryAfter: string | undefined): RetryAdvice {
  if (pushback !== undefined) {
    return /^\d{1,9}$/.test(pushback)
      ? { kind: "after", delayMs: Number(pushback), isOfService: true }
      : NEVER;
  }
  if (retryAfter === undefined) return AS_YOU_LIKE;
  if (!/^\d{1,6}$/.test(retryAfter)) return NEVER;
  return { kind: "after", delayMs: Number(retryAfter) * 1_000, isOfService: false };
}
