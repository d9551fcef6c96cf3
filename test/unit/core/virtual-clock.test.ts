import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/virtual-clock.js";

function serveFirst(clock: VirtualClock, rows: readonly number[]): number {
  const [first = 0] = [...rows].sort((a, b) => clock.turnOf(a) - clock.turnOf(b));
  clock.serve(first);
  return first;
}

describe("virtual clock", () => {
  it("puts the first turn within one stride", () => {
    const clock = new VirtualClock();
    for (let row = 0; row < 100; row++) {
      clock.join(row, 16);
      expect(clock.turnOf(row)).toBeGreaterThanOrEqual(0);
      expect(clock.turnOf(row)).toBeLessThan(256);
    }
  });

  it("serves in proportion to weights", () => {
    const clock = new VirtualClock();
    const weights = [4096, 1024, 16];
    weights.forEach((weight16, row) => {
      clock.join(row, weight16);
    });
    const served = [0, 0, 0];
    for (let turn = 0; turn < 321 * 3; turn++) {
      const row = serveFirst(clock, [0, 1, 2]);
      served[row] = (served[row] ?? 0) + 1;
    }
    expect(served).toEqual([256 * 3, 64 * 3, 3]);
  });

  it("scales what is left of a wait when the weight changes", () => {
    const clock = new VirtualClock();
    clock.join(0, 16);
    const turn = clock.turnOf(0);
    clock.reweigh(0, 32);
    expect(clock.turnOf(0)).toBeCloseTo(turn / 2);
    clock.reweigh(0, 16);
    expect(clock.turnOf(0)).toBeCloseTo(turn);
  });

  it("never goes back, so nobody is due before it", () => {
    const clock = new VirtualClock();
    clock.join(0, 4096);
    clock.join(1, 16);
    for (let turn = 0; turn < 1_000; turn++) clock.serve(0);
    clock.serve(1);
    expect(clock.turnOf(1)).toBeGreaterThan(999);
    clock.join(2, 4096);
    expect(clock.turnOf(2)).toBeGreaterThan(997);
  });

  it("treats a weight of nothing as the least", () => {
    const clock = new VirtualClock();
    clock.join(0, 0);
    expect(clock.turnOf(0)).toBeLessThanOrEqual(4096);
  });

  it("holds rows far apart", () => {
    const clock = new VirtualClock();
    clock.join(3, 16);
    const turn = clock.turnOf(3);
    clock.join(5_000, 16);
    expect(clock.turnOf(3)).toBe(turn);
    expect(clock.turnOf(5_000)).toBeLessThan(256);
  });
});
