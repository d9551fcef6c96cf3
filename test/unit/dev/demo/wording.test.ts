import { describe, expect, it } from "vitest";
import { sayCount, sayFailures, sayMs } from "../../../../src/dev/demo/wording.js";

describe("the words of the demo", () => {
  it.each([
    [0.4, "0 ms"],
    [38.2, "38 ms"],
    [999.4, "999 ms"],
    [1_000, "1.0 s"],
    [4_049, "4.0 s"],
  ])("say %d ms as %s", (ms, expected) => {
    expect(sayMs(ms)).toBe(expected);
  });

  it("count one and many", () => {
    expect([0, 1, 2].map((count) => sayCount(count, "request"))).toEqual([
      "0 requests",
      "1 request",
      "2 requests",
    ]);
  });

  it("name failures by reason", () => {
    expect(sayFailures({})).toBe("none failed");
    expect(sayFailures({ "500 from web2": 7, ECONNRESET: 1 })).toBe("7 x 500 from web2, 1 x ECONNRESET");
  });
});
