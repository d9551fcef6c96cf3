import { expect, test } from "vitest";
import { growthMib } from "../../bench/churn.js";

const samples = (...sizes: number[]) =>
  sizes.map((residentMib, index) => ({ second: index, residentMib, exchanges: 1, errors: 0 }));

test("growth is the last third against the second, whatever the first one was", () => {
  expect(growthMib(samples(10, 60, 80, 82, 83, 85))).toBe(3);
  expect(growthMib(samples(10, 60, 80, 80, 79, 81))).toBe(0);
});

test("growth is not told of a few samples", () => {
  expect(growthMib(samples(1, 2, 3, 4, 5))).toBeUndefined();
});
