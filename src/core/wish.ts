import type { Backend } from "./backend.js";

/** What a request asks of the choice of its backend. Read at each choice, so it may change while it waits. */
export interface Wish {
  /** Backends it would rather not get. */
  readonly avoid: readonly Backend[];
  /** Hash of its key, 32 bits, for balancers that go by one; undefined where it has none. */
  readonly hash?: number | undefined;
  /** The backend its session is bound to; undefined where it is bound to none. */
  readonly bound?: Backend | undefined;
  /** Whether a failure would be followed by a try elsewhere, so that it costs its client nothing but time. */
  readonly isRepeatable?: boolean | undefined;
  /** Whether it is a tunnel of a TCP listener, which limits of requests do not concern. */
  readonly isTunnel?: boolean | undefined;
}

/**
 * Request path. The backend that a wish must be given: the one it is bound to, unless that failed it already or takes
 * no bound work.
 */
export function boundBackend(wish: Wish, isPersistent: boolean): Backend | undefined {
  const { bound } = wish;
  if (bound === undefined || !takesBoundWork(bound, isPersistent)) return undefined;
  return wish.avoid.includes(bound) ? undefined : bound;
}

/**
 * Whether sessions bound to a backend still go there, as HAProxy has it: also while it is drained, its weight is 0, or its
 * check lets bound work alone pass; not in maintenance, nor when discovery refuses it or lists it no more. While it is
 * down or ejected only where sessions are persistent (`option persist`). A verdict that does not decide on new work does
 * not decide here either.
 */
export function takesBoundWork(backend: Backend, isPersistent: boolean): boolean {
  const { check, admin } = backend.facts;
  return (
    backend.speaks("discovery") &&
    admin.state !== "maint" &&
    (isPersistent || ((backend.speaks("check") || check.state === "nolb") && backend.speaks("detection")))
  );
}
