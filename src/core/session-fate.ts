import type { Backend } from "./backend.js";
import { COUNTER, WRITER } from "./scoreboard.js";

/**
 * What became of a client that is kept at its backend by a cookie or a table, told with the answer: it was served by the
 * backend it is bound to, by another one than that, or is bound from now on.
 */
export type SessionFate = "kept" | "moved" | "new";

const COLUMN: Readonly<Record<SessionFate, number>> = {
  kept: COUNTER.sessionsKept,
  moved: COUNTER.sessionsMoved,
  new: COUNTER.sessionsNew,
};

/** Request path. Counts it at the backend that answered. */
export function countSession(backend: Backend, fate: SessionFate, nowMs: number): void {
  backend.row.add(COLUMN[fate], WRITER, 1);
  if (fate === "kept") backend.kept(nowMs);
}
