import type { HedgeAfter } from "../../core/hedge-delay.js";
import type { GrpcStatusName, RetryKind } from "../../core/retry.js";
import { parseDuration } from "../duration.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import {
  duration,
  flag,
  formatWords,
  integer,
  isAbove,
  isAnyMap,
  list,
  SUBSTITUTED,
  scalar,
  size,
  strictMap,
} from "./field.js";

const KINDS: readonly RetryKind[] = ["conn-failure", "empty-response", "junk-response", "response-timeout"];
const GRPC_NAMES: readonly GrpcStatusName[] = [
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
];
const WORDS: readonly string[] = [...KINDS, "all-retryable-errors", ...GRPC_NAMES];
/** HAProxy's list of statuses that can be named. */
const RETRYABLE_STATUSES: readonly number[] = [401, 403, 404, 408, 421, 425, 429, 500, 501, 502, 503, 504];

const on = list(
  scalar("A way in which a try fails, a status of an answer, or the name of a gRPC status.", parseCondition, {
    enum: [...WORDS, ...RETRYABLE_STATUSES],
  }),
);

const max = integer("Tries after the first.", { min: 0, max: 20 });
const perTryTimeout = duration(
  "Longest wait for the head of an answer of one try, its connection included; 0 for no limit of its own.",
);

const hedge = scalar(
  "A second try, at another backend, beside a first one that has not answered for so long: a time (50ms), or p95 for longer than 95% of the pool's answers take. The first answer counts. Only for what may be sent twice. Off by default.",
  parseHedge,
  { type: ["string"], pattern: `^(p\\d{1,2}(\\.\\d)?|\\d+(ms|s|m|h))$|${SUBSTITUTED}` },
);

/** `retries` of a pool. */
export const retriesSchema = strictMap({
  max: max.prefault(3),
  redispatch: flag("Whether a later try may go to another backend.").prefault(true),
  redispatchInterval: integer(
    "Which retry may leave the backend that a request is bound to by session or key: 1 every one, P every Pth, -1 the last alone, -N the Nth before the last (HAProxy's option redispatch).",
    { min: -20, max: 20 },
  )
    .refine((interval) => interval !== 0, { error: "not 0; redispatch: false forbids it" })
    .prefault(1),
  perTryTimeout: perTryTimeout.prefault("0s"),
  on: on
    .prefault(["conn-failure", "empty-response"])
    .describe(
      "What a further try may follow, in HAProxy's words. What never left here is always tried again; what may have reached a backend only where it may be sent twice.",
    ),
  nonIdempotent: flag(
    "Whether POST and other requests that may not run twice are tried again all the same, after they may have reached a backend.",
  ).prefault(false),
  maxBodyBytes: size("As much of a request's body is kept for a further try; a longer one is sent once.", {
    min: "0",
    max: "16MiB",
  }).prefault("64KiB"),
  expectContinue: duration(
    "A POST or other request with a body that may not run twice is sent with Expect: 100-continue, and its body held until the backend says 100, or for so long at most: until then it is tried again like one that never left here, and travels on any kept connection. Costs such requests a round trip to the backend. 0 for off.",
  ).prefault("0s"),
  backoff: strictMap({
    base: duration("Before the first further try at most this long; 0s for at once.", { min: "0s" }).prefault(
      "25ms",
    ),
    max: duration("The longest pause.", { min: "0s" }).prefault("250ms"),
  })
    .refine(({ base, max: most }) => !isAbove(base, most), {
      path: ["max"],
      error: "at least base",
      when: isAnyMap,
    })
    .prefault({})
    .describe(
      "Pause before a further try that follows an answer or a silence, at random up to a growing limit.",
    ),
  hedge: hedge.optional(),
  budget: strictMap({
    percent: integer("Of the requests under way.", { min: 0, max: 100 }).prefault(50),
    min: integer("Always allowed.", { min: 0, max: 1_000_000 }).prefault(10),
  })
    .prefault({})
    .describe("Most requests at a further try at once. A try of what never left here needs none of it."),
})
  .prefault({})
  .describe("What happens when a try fails. Nothing is sent twice that may not be.");

/** `retries` of a route: what differs from the pool's. */
export const routeRetriesSchema = strictMap({
  max: max.optional(),
  perTryTimeout: perTryTimeout.optional(),
  on: on.optional().describe("What a further try may follow."),
})
  .prefault({})
  .describe("In place of the pool's.");

function parseHedge(input: unknown): Parsed<HedgeAfter> {
  const percent = typeof input === "string" ? /^p(\d{1,2}(?:\.\d)?)$/.exec(input)?.[1] : undefined;
  if (percent !== undefined && Number(percent) >= 50)
    return accept({ kind: "percentile", percent: Number(percent) });
  const time = parseDuration(input);
  if (percent !== undefined || !time.ok || time.value < 1)
    return refuse("p50 to p99.9, or a duration from 1ms");
  return accept({ kind: "time", delayMs: time.value });
}

function parseCondition(input: unknown): Parsed<string | number> {
  const isKnown =
    (typeof input === "string" && WORDS.includes(input)) ||
    (typeof input === "number" && RETRYABLE_STATUSES.includes(input));
  if (isKnown) return accept(input);
  return refuse(formatWords([...WORDS, ...RETRYABLE_STATUSES.map(String)]));
}
