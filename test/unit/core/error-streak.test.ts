import { describe, expect, it } from "vitest";
import { ErrorStreak, trafficSign } from "../../../src/core/error-streak.js";

describe("observed traffic", () => {
  it.each([
    ["layer4", "success", 200, "good"],
    ["layer4", "server-error", 500, "good"],
    ["layer4", "timeout", 0, "good"],
    ["layer4", "reset", 0, "good"],
    ["layer4", "connect-failure", 0, "bad"],
    ["layer4", "ignored", 0, "nothing"],
    ["layer7", "success", 499, "good"],
    ["layer7", "success", 0, "good"],
    ["layer7", "server-error", 500, "bad"],
    ["layer7", "server-error", 501, "good"],
    ["layer7", "server-error", 503, "bad"],
    ["layer7", "server-error", 505, "good"],
    ["layer7", "server-error", 506, "bad"],
    ["layer7", "timeout", 0, "bad"],
    ["layer7", "reset", 200, "bad"],
    ["layer7", "connect-failure", 0, "bad"],
    ["layer7", "ignored", 200, "nothing"],
  ] as const)("of %s: %s with status %i is %s", (layer, outcome, status, sign) => {
    expect(trafficSign(layer, outcome, status)).toBe(sign);
  });

  it("reaches the limit by errors in a row, and begins anew", () => {
    const streak = new ErrorStreak(3);
    const signs = ["bad", "bad", "good", "bad", "nothing", "bad", "bad", "bad", "bad", "bad"] as const;
    expect(signs.map((sign) => streak.add(sign))).toEqual([
      ...[false, false, false, false, false, false],
      ...[true, false, false, true],
    ]);
    streak.add("bad");
    streak.clear();
    expect([streak.count, streak.add("bad"), streak.add("bad"), streak.add("bad")]).toEqual([
      0,
      false,
      false,
      true,
    ]);
  });
});
