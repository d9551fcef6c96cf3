import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../../../src/config/duration.js";

describe("parseDuration", () => {
  it.each([
    ["500ms", 500],
    ["5s", 5_000],
    ["1m", 60_000],
    ["1h", 3_600_000],
    ["0", 0],
    ["0s", 0],
    [0, 0],
    ["596h", MAX_DURATION_MS],
  ])("reads %j as %d ms", (text, durationMs) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: durationMs });
  });

  it.each([
    "",
    "5",
    "5 s",
    "s",
    "-5s",
    "1.5s",
    "5sec",
    "1d",
    "5S",
    "1m30s",
    "597h",
    "999999999999999h",
    -1,
    1.5,
    Number.NaN,
    true,
    undefined,
    {},
  ])("refuses %j", (input) => {
    expect(parseDuration(input).ok).toBe(false);
  });

  it("proposes units for a bare number", () => {
    const expected = "a duration with its unit, such as 30s or 30ms";
    expect([parseDuration(30), parseDuration("30")]).toMatchObject([{ expected }, { expected }]);
  });

  it("reads back what formatDuration writes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_DURATION_MS }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toEqual({ ok: true, value: durationMs });
      }),
    );
  });

  it("never throws and never answers a negative or broken number", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^\d{1,20}(ms|s|m|h|d)?$/), fc.double(), fc.anything()),
        (input) => {
          const parsed = parseDuration(input);
          if (parsed.ok)
            expect(
              Number.isSafeInteger(parsed.value) && parsed.value >= 0 && parsed.value <= MAX_DURATION_MS,
            ).toBe(true);
        },
      ),
    );
  });
});
