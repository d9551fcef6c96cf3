import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Histogram } from "../../bench/histogram.js";

describe("benchmark histogram", () => {
  it("is empty at first and after clear", () => {
    const histogram = new Histogram();
    expect(histogram.percentileUs(0.5)).toBeNaN();
    histogram.add(5);
    histogram.clear();
    expect(histogram.total).toBe(0);
    expect(histogram.maxUs).toBe(0);
  });

  it("finds the percentile of distinct small values exactly, by the upper edge of a microsecond", () => {
    const histogram = new Histogram();
    for (let us = 1; us <= 100; us += 1) histogram.add(us);
    expect(histogram.percentileUs(0.5)).toBe(51);
    expect(histogram.percentileUs(0.99)).toBe(100);
    expect(histogram.percentileUs(1)).toBe(101);
    expect(histogram.maxUs).toBe(100);
  });

  it("is never below a value and less than 2% and a microsecond above it", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), (us) => {
        const histogram = new Histogram();
        histogram.add(us);
        const found = histogram.percentileUs(0.5);
        expect(found).toBeGreaterThan(us);
        expect(found).toBeLessThanOrEqual(us * 1.02 + 1);
      }),
    );
  });
});
