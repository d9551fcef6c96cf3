let textOfSecond = "";
let second = Number.NaN;

/**
 * Request path. A time as fields tell it (RFC 9110 section 5.6.7), in whole seconds; the same text all through one.
 */
export function httpDate(wallMs: number): string {
  const now = Math.floor(wallMs / 1_000);
  if (now !== second) {
    second = now;
    textOfSecond = new Date(now * 1_000).toUTCString();
  }
  return textOfSecond;
}
