import { describe, expect, it } from "vitest";
import type { Outcome } from "../../../src/core/outcome.js";
import type { OutlierOptions } from "../../../src/core/outlier.js";
import type { Pool } from "../../../src/core/pool.js";
import { apply, backendNamed, endpoint, newPool, OUTLIER } from "../../support/pool-fixture.js";

/** Nothing is found but by what a case switches on. */
const QUIET: OutlierOptions = { ...OUTLIER, consecutive5xx: 0 };

function poolOf(size: number, outlier: Partial<OutlierOptions>, draws: readonly number[] = []): Pool {
  const left = [...draws];
  const pool = newPool({
    outlier: { ...QUIET, ...outlier },
    random: () => {
      const drawn = left.shift();
      if (drawn === undefined) throw new Error("nothing was to be drawn");
      return drawn;
    },
  });
  apply(
    pool,
    Array.from({ length: size }, (_, index) => endpoint(`e${index}`)),
  );
  return pool;
}

/** So many attempts on one backend end so, all at once. */
function end(pool: Pool, id: string, times: number, outcome: Outcome, status: number, nowMs: number): void {
  const others = [...pool.backends()].filter((backend) => backend.endpoint.id !== id);
  for (let attempt = 0; attempt < times; attempt++) {
    const lease = pool.acquire(others, nowMs);
    if (lease?.backend.endpoint.id !== id) throw new Error(`${id} was not to be had`);
    lease.release(outcome, status, nowMs);
  }
}

const isOut = (pool: Pool, id: string): boolean => backendNamed(pool, id).facts.detection.state === "ejected";
const outs = (pool: Pool): string[] =>
  [...pool.backends()].map(({ endpoint: { id } }) => id).filter((id) => isOut(pool, id));

describe("an interval", () => {
  it("ends one interval after its first request, and none follows one without any", () => {
    const pool = poolOf(2, {});
    expect(pool.tick(0)).toBe(Number.POSITIVE_INFINITY);
    end(pool, "e0", 1, "success", 200, 300);
    expect(pool.tick(300)).toBe(1_300);
    end(pool, "e0", 1, "success", 200, 1_000);
    expect(pool.tick(1_300)).toBe(2_300);
    expect(pool.tick(2_300)).toBe(Number.POSITIVE_INFINITY);
  });

  it("ejects whose success rate is too low, when it is over and not before", () => {
    const pool = poolOf(5, { successRateMinimumHosts: 5 });
    for (const id of ["e1", "e2", "e3", "e4"]) end(pool, id, 100, "success", 200, 0);
    end(pool, "e0", 50, "success", 200, 0);
    end(pool, "e0", 50, "server-error", 500, 0);
    pool.tick(999);
    expect(outs(pool)).toEqual([]);
    pool.tick(1_000);
    expect(outs(pool)).toEqual(["e0"]);
    const { facts, monitor } = backendNamed(pool, "e0");
    expect([monitor.cause, monitor.ejectedUntilMs, monitor.successRate]).toEqual(["success-rate", 6_000, 50]);
    expect(facts.detection.why).toBe("50% succeeded, less than 52% (mean 90%, deviation 20%)");
    expect(pool.ejectionCounts.of("success-rate")).toEqual({ detected: 1, enforced: 1, overflowed: 0 });
  });

  it("judges the closed interval alone", () => {
    const pool = poolOf(2, { failurePercentageThreshold: 85 });
    for (const id of ["e0", "e1"]) end(pool, id, 50, "success", 200, 0);
    pool.tick(1_000);
    end(pool, "e0", 49, "server-error", 500, 1_500);
    end(pool, "e1", 50, "success", 200, 1_500);
    pool.tick(2_000);
    expect(outs(pool)).toEqual([]);
    end(pool, "e0", 50, "server-error", 500, 2_500);
    end(pool, "e1", 50, "success", 200, 2_500);
    pool.tick(3_000);
    expect([outs(pool), backendNamed(pool, "e0").monitor.cause]).toEqual([["e0"], "failure-percentage"]);
  });

  it("judges connections apart where they are split off", () => {
    const pool = poolOf(2, { failurePercentageThreshold: 85, splitExternalLocalOriginErrors: true });
    end(pool, "e0", 50, "reset", 0, 0);
    end(pool, "e1", 50, "server-error", 400, 0);
    pool.tick(1_000);
    expect(outs(pool)).toEqual(["e0"]);
    expect(backendNamed(pool, "e0").monitor.cause).toBe("failure-percentage-local-origin");
    // The other one was the only one left.
    expect(pool.ejectionCounts.of("failure-percentage")).toEqual({ detected: 0, enforced: 0, overflowed: 0 });
  });

  it("neither counts nor judges who is out already", () => {
    const pool = poolOf(6, { successRateMinimumHosts: 5, maxEjectionPercent: 100 });
    for (const id of ["e1", "e2", "e3", "e4", "e5"]) end(pool, id, 100, "success", 200, 0);
    end(pool, "e0", 100, "server-error", 500, 0);
    pool.eject(backendNamed(pool, "e0"), 60_000, "by hand", 500);
    pool.eject(backendNamed(pool, "e5"), 60_000, "by hand", 500);
    pool.tick(1_000);
    expect(pool.ejectionCounts.of("success-rate").detected).toBe(0);
  });
});

describe("a detection", () => {
  it("is held back by the cap before chance is asked, as in Envoy", () => {
    const chance = { ...OUTLIER.enforcing, "consecutive-5xx": 50 };
    const pool = poolOf(4, { consecutive5xx: 2, enforcing: chance, maxEjectionPercent: 25 }, [0.49]);
    end(pool, "e0", 2, "server-error", 500, 0);
    end(pool, "e1", 2, "server-error", 500, 0);
    expect(outs(pool)).toEqual(["e0"]);
    expect(pool.ejectionCounts.of("consecutive-5xx")).toEqual({ detected: 2, enforced: 1, overflowed: 1 });
  });

  it.each([
    { percent: 0, draws: [], out: [] },
    { percent: 30, draws: [0.3], out: [] },
    { percent: 30, draws: [0.2999], out: ["e0"] },
    { percent: 100, draws: [], out: ["e0"] },
  ])("is enforced at $percent% with $draws drawn: $out", ({ percent, draws, out }) => {
    const chance = { ...OUTLIER.enforcing, "consecutive-gateway-failure": percent };
    const pool = poolOf(3, { consecutiveGatewayFailure: 2, enforcing: chance }, draws);
    end(pool, "e0", 2, "server-error", 502, 0);
    expect(outs(pool)).toEqual(out);
    expect(pool.ejectionCounts.of("consecutive-gateway-failure").detected).toBe(1);
    expect(pool.total("ejectionsDetected")).toBe(1);
  });

  it("takes a status that was judged in place of the answer's own", () => {
    const pool = poolOf(2, { consecutiveGatewayFailure: 2 });
    for (let attempt = 0; attempt < 2; attempt++) {
      const lease = pool.acquire([backendNamed(pool, "e1")], 0);
      if (lease === undefined) throw new Error("no lease");
      lease.judgedStatus = 503;
      lease.release("server-error", 200, 0);
    }
    expect(outs(pool)).toEqual(["e0"]);
    expect([pool.total("status2xx"), pool.total("status5xx")]).toEqual([2, 0]);
  });

  it("leaves as many as must stay healthy", () => {
    const pool = poolOf(4, { consecutive5xx: 1, minHealthyBackends: 3, maxEjectionPercent: 100 });
    for (const id of ["e0", "e1", "e2"]) end(pool, id, 1, "server-error", 500, 0);
    expect(outs(pool)).toEqual(["e0"]);
    expect(pool.ejectionCounts.of("consecutive-5xx").overflowed).toBe(2);
  });
});

describe("the end of an ejection", () => {
  it("lies up to the jitter later, so that those ejected together return apart", () => {
    const pool = poolOf(6, { consecutive5xx: 1, maxEjectionTimeJitterMs: 2_000 }, [0.25, 0.75]);
    end(pool, "e0", 1, "server-error", 500, 0);
    end(pool, "e1", 1, "server-error", 500, 0);
    expect(["e0", "e1"].map((id) => backendNamed(pool, id).monitor.ejectedUntilMs)).toEqual([5_500, 6_500]);
  });

  it("comes with a passed active check, streaks cleared", () => {
    const pool = poolOf(3, { consecutive5xx: 2 });
    const backend = backendNamed(pool, "e0");
    end(pool, "e0", 2, "server-error", 500, 0);
    pool.checkPassed(backend, 100);
    expect([isOut(pool, "e0"), backend.facts.detection.why]).toEqual([false, "an active check passed"]);
    expect(backend.monitor.multiplier).toBe(1);
  });

  it.each([
    ["the options say no", { successfulActiveHealthCheckUneject: false }, false],
    ["the operator ejected it", {}, true],
  ])("does not come with a passed check where %s", (_, outlier, isManual) => {
    const pool = poolOf(3, { consecutive5xx: 2, ...outlier });
    if (isManual) pool.eject(backendNamed(pool, "e0"), 1_000, "by hand", 0);
    else end(pool, "e0", 2, "server-error", 500, 0);
    pool.checkPassed(backendNamed(pool, "e0"), 100);
    expect(isOut(pool, "e0")).toBe(true);
  });
});
