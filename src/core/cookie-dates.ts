/** The digits of HAProxy's dates, six bits each. */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const LENGTH = 5;
/** HAProxy counts in units of four seconds. */
const UNIT_SECONDS = 4;
/** Dates further in the future are taken for wrong clocks no longer. */
const MOST_AHEAD_SECONDS = 86_400;

/** How long a cookie may be used, in seconds; 0 for no limit. */
export interface CookieLimits {
  readonly maxIdleSeconds: number;
  readonly maxLifeSeconds: number;
}

/** When a cookie was last seen and first given, in seconds since 1970; 0 where it does not say. */
export interface CookieDates {
  readonly last: number;
  readonly first: number;
}

/** A cookie's value without what was appended to it. */
export interface DatedCookie extends CookieDates {
  readonly server: string;
  /** Whether it may still be used: `old` is over its life, `expired` unused for too long. */
  readonly state: "valid" | "old" | "expired";
}

/** Of a cookie that has none. */
export const NO_DATES: CookieDates = { last: 0, first: 0 };

/** 30 bits of a date as HAProxy writes them: five digits of base64. */
export function formatCookieDate(seconds: number): string {
  let left = Math.floor(seconds / UNIT_SECONDS);
  let text = "";
  for (let digit = 0; digit < LENGTH; digit++) {
    text = (DIGITS[left & 63] as string) + text;
    left >>>= 6;
  }
  return text;
}

/** The date in seconds; 0 for what is none. */
export function parseCookieDate(text: string): number {
  if (text.length !== LENGTH) return 0;
  let value = 0;
  for (const char of text) {
    const digit = DIGITS.indexOf(char);
    if (digit < 0) return 0;
    value = value * 64 + digit;
  }
  return value * UNIT_SECONDS;
}

/**
 * Takes `value|last|first` apart and judges it by HAProxy's rules (`maxlife` first, then `maxidle`). Where there are no
 * limits any more, the dates of earlier ones bind as well as none.
 */
export function readCookie(text: string, limits: CookieLimits, nowSeconds: number): DatedCookie {
  const { maxIdleSeconds, maxLifeSeconds } = limits;
  if (!text.includes("|")) return { server: text, state: "valid", ...NO_DATES };
  const [server = "", lastText = "", firstText = ""] = text.split("|");
  const last = parseCookieDate(lastText);
  const first = parseCookieDate(firstText);
  if (first > 0 && maxLifeSeconds > 0 && isOutside(first, maxLifeSeconds, nowSeconds))
    return { server, state: "old", ...NO_DATES };
  if (last > 0 && maxIdleSeconds > 0 && isOutside(last, maxIdleSeconds, nowSeconds))
    return { server, state: "expired", ...NO_DATES };
  return { server, state: "valid", last, first };
}

/** The value to give: with its dates where there are limits; who had a first date keeps it. */
export function writeCookie(
  server: string,
  dates: CookieDates,
  limits: CookieLimits,
  nowSeconds: number,
): string {
  if (limits.maxIdleSeconds === 0 && limits.maxLifeSeconds === 0) return server;
  const life = limits.maxLifeSeconds === 0 ? "" : `|${formatCookieDate(dates.first || nowSeconds)}`;
  return `${server}|${formatCookieDate(nowSeconds)}${life}`;
}

/** Whether a cookie that is right is to be given again, for its dates. */
export function isRefreshDue(
  { last, first }: CookieDates,
  limits: CookieLimits,
  nowSeconds: number,
): boolean {
  const isLastDue =
    (limits.maxIdleSeconds > 0 || last > 0) && last < nowSeconds - (nowSeconds % UNIT_SECONDS);
  return isLastDue || limits.maxLifeSeconds > 0 !== first > 0;
}

function isOutside(date: number, mostSeconds: number, nowSeconds: number): boolean {
  return nowSeconds - date > mostSeconds || date - nowSeconds > MOST_AHEAD_SECONDS;
}
