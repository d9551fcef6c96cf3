import { expect, test } from "vitest";
import { WallTime } from "../../../src/platform/wall-time.js";

test("RFC 3339 times keep milliseconds apart within and across seconds", () => {
  const time = WallTime.iso();
  const base = Date.UTC(2026, 11, 31, 23, 59, 59, 0);
  expect([0, 9.9, 10, 999, 1000, 0].map((ms) => time.format(base + ms))).toEqual([
    "2026-12-31T23:59:59.000Z",
    "2026-12-31T23:59:59.009Z",
    "2026-12-31T23:59:59.010Z",
    "2026-12-31T23:59:59.999Z",
    "2027-01-01T00:00:00.000Z",
    "2026-12-31T23:59:59.000Z",
  ]);
});

test("HAProxy's times are in the machine's time zone", () => {
  const time = WallTime.haproxy();
  expect(time.format(new Date(2009, 1, 6, 2, 4, 5, 43).getTime())).toBe("06/Feb/2009:02:04:05.043");
});
