import { describe, expect, it } from "vitest";
import { HedgeDelay } from "../../../src/core/hedge-delay.js";

const P95 = { kind: "percentile", percent: 95 } as const;

/** Answers of 1 to `count` milliseconds, once each. */
function filled(count: number): HedgeDelay {
  const delay = new HedgeDelay();
  for (let ms = 1; ms <= count; ms++) delay.record(ms);
  return delay;
}

describe("how long a first try may be silent before another is sent beside it", () => {
  it("is the given time, whatever is known", () => {
    expect(new HedgeDelay().delayMs({ kind: "time", delayMs: 50 }, 0)).toBe(50);
  });

  it("is unknown until a hundred answers are in memory", () => {
    expect(filled(99).delayMs(P95, 0)).toBeUndefined();
    expect(filled(100).delayMs(P95, 0)).toBeDefined();
  });

  it("is the percentile of the pool's answers, within what the buckets tell apart", () => {
    const delayMs = filled(1_000).delayMs(P95, 0) ?? 0;
    expect(delayMs).toBeGreaterThan(950 * 0.94);
    expect(delayMs).toBeLessThan(950 * 1.06);
  });

  it("is read anew once a second and no more often", () => {
    const delay = filled(1_000);
    const before = delay.delayMs(P95, 0);
    for (let at = 0; at < 20_000; at++) delay.record(5_000);
    expect(delay.delayMs(P95, 999)).toBe(before);
    expect(delay.delayMs(P95, 1_000)).toBeGreaterThan(4_500);
  });

  it("forgets: what was fast a while ago does not hedge everything that is slow now, nor what nobody asks any more", () => {
    const delay = filled(1_000);
    delay.delayMs(P95, 0);
    expect(delay.delayMs(P95, 60_000)).toBeDefined();
    expect(delay.delayMs(P95, 600_000)).toBeUndefined();
  });
});
