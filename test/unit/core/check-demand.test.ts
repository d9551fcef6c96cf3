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

  it.each([
    // Half of a third of the requests: every sixth.
    { percent: 50, backends: 3, requests: 6 },
    { percent: 100, backends: 1, requests: 1 },
    { percent: 5, backends: 300, requests: 6_000 },
    { percent: 50, backends: 0, requests: 2 },
  ])("is worth a probe from $requests requests on: $percent % of $backends backends", (row) => {
    const { percent, backends, requests } = row;
    const demand = new CheckDemand(1_000, 0);
    expect(demand.isWorthProbe(percent, 999 + requests, backends)).toBe(false);
    expect(demand.isWorthProbe(percent, 1_000 + requests, backends)).toBe(true);
    demand.pauseMs(percent, 1_000 + requests, backends, 10);
    expect(demand.isWorthProbe(percent, 1_000 + requests, backends)).toBe(false);
  });

  it("is never worth a probe at 0 percent", () => {
    expect(new CheckDemand(0, 0).isWorthProbe(0, 1_000_000, 1)).toBe(false);
  });
});
