import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { reducedWeight, scaledWeight, weightInSixteenths, weightScale } from "../../../src/core/weight.js";

describe("weights", () => {
  it.each([
    { raw: [], scale: 1 },
    { raw: [0, 1, 10], scale: 1 },
    { raw: [256], scale: 1 },
    { raw: [257, 1], scale: 256 / 257 },
    { raw: [65_535, 1], scale: 256 / 65_535 },
  ])("scales $raw by $scale", ({ raw, scale }) => {
    expect(weightScale(raw)).toBe(scale);
  });

  it.each([
    { raw: 0, scale: 1, scaled: 0 },
    { raw: 1, scale: 256 / 65_535, scaled: 1 },
    { raw: 65_535, scale: 256 / 65_535, scaled: 256 },
    { raw: 512, scale: 0.5, scaled: 256 },
    { raw: 7, scale: 1, scaled: 7 },
  ])("makes $raw at scale $scale a $scaled", ({ raw, scale, scaled }) => {
    expect(scaledWeight(raw, scale)).toBe(scaled);
  });

  it.each([
    { discovered: 1, change: undefined, sixteenths: 16 },
    { discovered: 256, change: undefined, sixteenths: 4096 },
    { discovered: 0, change: undefined, sixteenths: 0 },
    { discovered: 1, change: { kind: "weight", weight: 0 }, sixteenths: 0 },
    { discovered: 1, change: { kind: "weight", weight: 256 }, sixteenths: 4096 },
    { discovered: 1, change: { kind: "weight", weight: 300 }, sixteenths: 4096 },
    { discovered: 1, change: { kind: "percent", percent: 10 }, sixteenths: 2 },
    { discovered: 1, change: { kind: "percent", percent: 1 }, sixteenths: 1 },
    { discovered: 1, change: { kind: "percent", percent: 0 }, sixteenths: 0 },
    { discovered: 200, change: { kind: "percent", percent: 200 }, sixteenths: 4096 },
  ] as const)(
    "turns $discovered with $change into $sixteenths sixteenths",
    ({ discovered, change, sixteenths }) => {
      expect(weightInSixteenths(discovered, change)).toBe(sixteenths);
    },
  );

  it("keeps any pool of Consul's weights within 1 to 256, and 0 at 0", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 65_535 }), { minLength: 1 }), (raw) => {
        const scale = weightScale(raw);
        for (const weight of raw) {
          const scaled = scaledWeight(weight, scale);
          expect(scaled).toBeLessThanOrEqual(256);
          expect(scaled > 0).toBe(weight > 0);
        }
      }),
    );
  });
});

describe("a reduced weight", () => {
  it.each([
    [160, 1, 160],
    [160, 0.5, 80],
    [16, 1 / 16, 1],
    [16, 0.001, 1],
    [1, 0.1, 1],
    [0, 0.5, 0],
    [4096, 3 / 16, 768],
  ])("of %i sixteenths times %d is %i", (weight16, factor, expected) => {
    expect(reducedWeight(weight16, factor)).toBe(expected);
  });
});
