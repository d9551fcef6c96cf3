import { describe, expect, it } from "vitest";
import { StatsBaseline } from "../../../src/admin/stats-baseline.js";
import { backendOf, endpointOf, poolOf } from "./scene.js";

function serve(pool: ReturnType<typeof poolOf>, times: number): void {
  for (let time = 0; time < times; time++) pool.acquire([], 0)?.release("success", 200, 1);
}

describe("StatsBaseline", () => {
  it("counts from the start until there is a reset, and from there afterwards", () => {
    const pool = poolOf("web");
    pool.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    const baseline = new StatsBaseline(50);
    serve(pool, 3);
    expect(baseline.sinceMs(pool)).toBe(50);
    expect(baseline.ofPool(pool).served).toBe(3);
    baseline.reset(pool, 100);
    expect(baseline.sinceMs(pool)).toBe(100);
    expect(baseline.ofPool(pool).served).toBe(0);
    serve(pool, 2);
    expect(baseline.ofPool(pool)).toMatchObject({ served: 2, success: 2, status2xx: 2 });
    expect(baseline.ofBackend(pool, backendOf(pool, "a")).served).toBe(2);
    expect(pool.total("served")).toBe(5);
  });

  it("counts a backend that joined after the reset from its start", () => {
    const pool = poolOf("web");
    pool.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    const baseline = new StatsBaseline(0);
    serve(pool, 4);
    baseline.reset(pool, 1);
    pool.apply({ endpoints: [endpointOf("b", 2)] }, 2);
    serve(pool, 2);
    expect(baseline.ofBackend(pool, backendOf(pool, "b")).served).toBe(2);
    expect(baseline.ofPool(pool).served).toBe(2);
    pool.apply({ endpoints: [endpointOf("a", 1)] }, 3);
    expect(baseline.ofBackend(pool, backendOf(pool, "a")).served).toBe(0);
    expect(baseline.ofPool(pool).served).toBe(2);
  });
});
