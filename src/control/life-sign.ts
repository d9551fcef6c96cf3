import type { Backend } from "../core/backend.js";

/** How it is known that a backend works: the sidecar's own active check, or what it answered. */
export type LifeSign = "check" | "traffic";

/**
 * Whether a backend shows life whatever discovery says: its own check says up, or, where there is no check, it
 * answered well within `recentMs`. One that its check calls down, or that is ejected, shows none.
 */
export function lifeSignOf(backend: Backend, recentMs: number, nowMs: number): LifeSign | undefined {
  const { check, detection } = backend.facts;
  if (check.state === "down" || detection.state === "ejected") return undefined;
  if (check.state === "up") return "check";
  const { lastSuccessMs } = backend;
  return lastSuccessMs !== undefined && nowMs - lastSuccessMs <= recentMs ? "traffic" : undefined;
}
