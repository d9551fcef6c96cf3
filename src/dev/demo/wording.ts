/** A duration as people say it: `38 ms`, `4.0 s`. */
export function sayMs(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** `1 request`, `12 requests`. */
export function sayCount(count: number, singular: string): string {
  return `${count} ${singular}${count === 1 ? "" : "s"}`;
}

/** Failures by reason: `7 x 500 from web2, 1 x ECONNRESET`; `none failed` without any. */
export function sayFailures(reasons: Readonly<Record<string, number>>): string {
  const parts = Object.entries(reasons).map(([reason, count]) => `${count} x ${reason}`);
  return parts.length === 0 ? "none failed" : parts.join(", ");
}
