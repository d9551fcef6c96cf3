import type { Outcome } from "./outcome.js";
import type { DetectedCause } from "./outlier.js";

/** What a probation came to by one attempt. */
export type ProbationStep = "going-on" | "passed" | "failed";

/** How long work that may be sent twice is waited for. */
const REPEATABLE_MS = 1_000;

/**
 * The half-open state of a circuit breaker (linkerd's probe request), for a backend that returned from an ejection:
 * it gets one attempt at a time beside those that were open already, and until so many succeeded the first failure
 * ejects it again. So a return that came too early costs one request, not as many as a threshold and the traffic of
 * a pool make of it; and for a second only work that would be tried again elsewhere is risked, so that it costs no
 * client more than time. Work that comes to no end in a whole interval (a tunnel, a long stream) ends it too.
 */
export class Probation {
  /** Successes it owes; 0 when it is not on probation. */
  owed = 0;
  /** What it had been ejected for; a failure ejects for the same. */
  cause: DetectedCause | undefined;
  sinceMs = 0;
  /** When it ends whatever was owed; infinite when it is not on probation. */
  untilMs = Number.POSITIVE_INFINITY;
  #most = 0;

  /** @param open leases it still has from before */
  begin(cause: DetectedCause, owed: number, open: number, untilMs: number, nowMs: number): void {
    this.owed = owed;
    this.cause = cause;
    this.sinceMs = nowMs;
    this.untilMs = untilMs;
    this.#most = open + 1;
  }

  end(): void {
    this.owed = 0;
    this.cause = undefined;
    this.untilMs = Number.POSITIVE_INFINITY;
  }

  /** Request path. Whether work that may not be sent twice had better go elsewhere; not for ever, as all may be such. */
  wantsRepeatable(nowMs: number): boolean {
    return this.owed > 0 && nowMs < this.sinceMs + REPEATABLE_MS;
  }

  /** What it leaves of a limit; 0 is no limit. */
  limit(limit: number): number {
    if (this.owed === 0) return limit;
    return limit === 0 ? this.#most : Math.min(limit, this.#most);
  }

  /** Request path. Takes an attempt into account; what began before the return says nothing. */
  judge(outcome: Outcome, takenMs: number): ProbationStep {
    if (this.owed === 0 || outcome === "ignored" || takenMs < this.sinceMs) return "going-on";
    if (outcome !== "success") return "failed";
    this.owed--;
    return this.owed === 0 ? "passed" : "going-on";
  }
}
