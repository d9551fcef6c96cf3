/** Longest request target in an access line; the rest is cut. HAProxy cuts its whole line at 1024. */
export const MAX_TARGET_CHARS = 2_048;

/** A request target as far as it is logged. */
export function shorten(target: string): string {
  return target.length <= MAX_TARGET_CHARS ? target : target.slice(0, MAX_TARGET_CHARS);
}
