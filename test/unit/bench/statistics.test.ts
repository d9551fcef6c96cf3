import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { median, pairedRatios, summarize, trimmedRanks } from "../../bench/statistics.js";

describe("benchmark statistics", () => {
  it.each([
    [[3], 3],
    [[3, 1], 2],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])("takes the middle of %j", (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it("has no median of nothing", () => {
    expect(median([])).toBeNaN();
    expect(summarize([])).toBeUndefined();
  });

  // Ranks of the 95% interval for a median, as tables of the sign test give them.
  it.each([
    [1, 0],
    [5, 0],
    [7, 0],
    [8, 0],
    [9, 1],
    [11, 1],
    [12, 2],
    [15, 3],
    [20, 5],
    [25, 7],
  ])("of %i samples leaves out %i at each end", (samples, trimmed) => {
    expect(trimmedRanks(samples)).toBe(trimmed);
  });

  it("spans all of seven samples", () => {
    expect(summarize([5, 1, 7, 2, 6, 3, 4])).toEqual({ median: 4, low: 1, high: 7, samples: 7 });
  });

  it("leaves out numbers that are none", () => {
    expect(summarize([Number.NaN, 2, Number.POSITIVE_INFINITY])).toEqual({
      median: 2,
      low: 2,
      high: 2,
      samples: 1,
    });
  });

  it("keeps the median inside its interval whatever the samples", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e9 })),
        (values) => {
          const summary = summarize(values);
          expect(summary === undefined).toBe(values.length === 0);
          if (summary === undefined) return;
          expect(summary.low).toBeLessThanOrEqual(summary.median);
          expect(summary.median).toBeLessThanOrEqual(summary.high);
        },
      ),
    );
  });

  it("compares only rounds that both sides have", () => {
    const values = new Map([
      [0, 10],
      [1, 30],
      [2, 50],
    ]);
    const reference = new Map([
      [0, 10],
      [2, 25],
      [3, 1],
    ]);
    expect(pairedRatios(values, reference)).toEqual([1, 2]);
  });
});
