import { describe, expect, it } from "vitest";
import { RestTime } from "../../../../src/proxy/http1/rest-time.js";

describe("how long a connection may rest", () => {
  it("is without limit while the backend closed none", () => {
    expect(new RestTime(0).trustedMs(5)).toBe(Number.POSITIVE_INFINITY);
  });

  it("is half of the shortest rest that the backend ended", () => {
    const time = new RestTime(0);
    time.closed(40, 100);
    time.closed(30, 200);
    time.closed(90, 300);
    expect(time.trustedMs(400)).toBe(15);
  });

  it.each([
    ["one minute later still", 60_000, 15],
    ["just before two", 119_999, 15],
    ["no more at two", 120_000, Number.POSITIVE_INFINITY],
    ["no more after a long silence", 999_999, Number.POSITIVE_INFINITY],
  ])("counts %s", (_when, nowMs, trustedMs) => {
    const time = new RestTime(0);
    time.closed(30, 10);
    if (nowMs >= 119_999) time.trustedMs(60_000);
    expect(time.trustedMs(nowMs)).toBe(trustedMs);
  });

  it("is learnt anew from what came since", () => {
    const time = new RestTime(0);
    time.closed(30, 10);
    time.closed(50, 60_000);
    expect(time.trustedMs(119_999)).toBe(15);
    expect(time.trustedMs(120_000)).toBe(25);
  });
});
