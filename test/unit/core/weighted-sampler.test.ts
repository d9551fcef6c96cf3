import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WeightedSampler } from "../../../src/core/weighted-sampler.js";

const changes = fc.array(
  fc.record({ slot: fc.integer({ min: 0, max: 300 }), weight: fc.integer({ min: 0, max: 4096 }) }),
  { minLength: 1, maxLength: 120, size: "max" },
);

describe("weighted sampler", () => {
  it("maps every point to the slot whose span it lies in", () => {
    fc.assert(
      fc.property(changes, (taken) => {
        const sampler = new WeightedSampler();
        const weights = new Map<number, number>();
        for (const { slot, weight } of taken) {
          sampler.set(slot, weight);
          weights.set(slot, weight);
        }
        let start = 0;
        for (const [slot, weight] of [...weights].sort(([a], [b]) => a - b)) {
          expect(sampler.weightOf(slot)).toBe(weight);
          if (weight > 0) {
            expect(sampler.slotAt(start)).toBe(slot);
            expect(sampler.slotAt(start + weight - 0.5)).toBe(slot);
          }
          start += weight;
        }
        expect(sampler.total).toBe(start);
      }),
    );
  });

  it("weighs nothing where nothing was set", () => {
    const sampler = new WeightedSampler();
    expect(sampler.total).toBe(0);
    expect(sampler.weightOf(1_000)).toBe(0);
  });
});
