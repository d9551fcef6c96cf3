import { describe, expect, it } from "vitest";
import {
  formatCookieDate,
  isRefreshDue,
  NO_DATES,
  parseCookieDate,
  readCookie,
  writeCookie,
} from "../../../src/core/cookie-dates.js";

const NOW = 1_700_000_000;
const IDLE = { maxIdleSeconds: 60, maxLifeSeconds: 0 };
const BOTH = { maxIdleSeconds: 60, maxLifeSeconds: 600 };
const NONE = { maxIdleSeconds: 0, maxLifeSeconds: 0 };

/** Five digits of base64 for a date `ago` seconds before now. */
function at(ago: number): string {
  return formatCookieDate(NOW - ago);
}

describe("the dates in a cookie", () => {
  it("are units of four seconds in five digits", () => {
    expect([formatCookieDate(0), formatCookieDate(4), formatCookieDate(NOW)]).toEqual([
      "AAAAA",
      "AAAAB",
      "ZVPxA",
    ]);
    expect([
      parseCookieDate("AAAAB"),
      parseCookieDate("ZVPxA"),
      parseCookieDate("A"),
      parseCookieDate("A-AAA"),
    ]).toEqual([4, NOW, 0, 0]);
  });

  it("bind no less where there are no limits any more, and are taken off then", () => {
    const dated = readCookie(`web|${at(9_000)}|${at(90_000)}`, NONE, NOW);
    expect([dated.server, dated.state, isRefreshDue(dated, NONE, NOW)]).toEqual(["web", "valid", true]);
    expect(readCookie("web|1", NONE, NOW)).toMatchObject({
      server: "web",
      state: "valid",
      last: 0,
      first: 0,
    });
    expect(writeCookie("web", NO_DATES, NONE, NOW)).toBe("web");
  });

  it.each([
    [`web|${at(60)}`, "valid"],
    [`web|${at(64)}`, "expired"],
    [`web|${at(-86_400)}`, "valid"],
    [`web|${at(-86_404)}`, "expired"],
    ["web", "valid"],
    ["web|?????", "valid"],
  ])("%s is %s by its idle time", (text, state) => {
    expect(readCookie(text, IDLE, NOW)).toMatchObject({ server: "web", state });
  });

  it.each([
    [`web|${at(4)}|${at(600)}`, "valid"],
    [`web|${at(4)}|${at(604)}`, "old"],
    [`web|${at(64)}|${at(604)}`, "old"],
    [`web|${at(64)}|${at(8)}`, "expired"],
  ])("%s is %s by its life", (text, state) => {
    expect(readCookie(text, BOTH, NOW).state).toBe(state);
  });

  it("keep the first and renew the last", () => {
    const text = writeCookie("web", { last: NOW - 40, first: NOW - 400 }, BOTH, NOW);
    expect(text).toBe(`web|${at(0)}|${at(400)}`);
    expect(writeCookie("web", NO_DATES, BOTH, NOW)).toBe(`web|${at(0)}|${at(0)}`);
  });

  it("are to be renewed once their unit has passed, and where one is missing or too many", () => {
    expect(isRefreshDue({ last: NOW, first: 0 }, IDLE, NOW + 3)).toBe(false);
    expect(isRefreshDue({ last: NOW, first: 0 }, IDLE, NOW + 4)).toBe(true);
    expect(isRefreshDue({ last: 0, first: 0 }, IDLE, NOW)).toBe(true);
    expect(isRefreshDue({ last: NOW, first: 0 }, BOTH, NOW)).toBe(true);
    expect(isRefreshDue({ last: NOW, first: NOW }, IDLE, NOW)).toBe(true);
    expect(isRefreshDue(NO_DATES, NONE, NOW)).toBe(false);
  });
});
