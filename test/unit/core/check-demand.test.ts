import { describe, expect, it } from "vitest";
import { CheckDemand } from "../../../src/core/check-demand.js";

describe("the demand for a check", () => {
  it.each([
    // One of three takes 100 of 300 requests a second, and half of that is a probe each 20 ms.
    { percent: 50, requests: 300, backends: 3, pauseMs: 20 },
    { percent: 5, requests: 300, backends: 3, pauseMs: 200 },
    { percent: 50, requests: 300, backends: 30, pauseMs: 200 },
    { percent: 50, requests: 1, backends: 1, pauseMs: 2_000 },
    { percent: 100, requests: 100_000, backends: 1, pauseMs: 5 },
    { percent: 50, requests: 0, backends: 3, pauseMs: Number.POSITIVE_INFINITY },
    { percent: 0, requests: 300, backends: 3, pauseMs: Number.POSITIVE_INFINITY },
  ])("pauses $pauseMs ms at $percent % of $requests requests a second to $backends", (row) => {
    const demand = new CheckDemand(1_000, 5_000);
    const pauseMs = demand.pauseMs(row.percent, 1_000 + row.requests, row.backends, 6_000);
    expect(pauseMs).toBeCloseTo(row.pauseMs);
  });

  it("goes by what came since it was asked last", () => {
    const demand = new CheckDemand(0, 0);
    demand.pauseMs(50, 10_000, 1, 1_000);
    expect(demand.pauseMs(50, 10_010, 1, 2_000)).toBe(200);
  });
});
