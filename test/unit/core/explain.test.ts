import { describe, expect, it } from "vitest";
import { RandomDraws } from "../../../src/core/balancers/random.js";
import { RoundRobin } from "../../../src/core/balancers/roundrobin.js";
import { explainPick, reasonsAgainst, weightLayers } from "../../../src/core/explain.js";
import type { OverrideTerms } from "../../../src/core/override.js";
import { backendOf, endpointOf, poolOf } from "../admin/scene.js";

const TERMS: OverrideTerms = { origin: "operator", owner: "alice", reason: "deploy", ttlMs: 5000 };

function webPool() {
  const pool = poolOf("web", { maxInFlightPerBackend: 2 });
  pool.apply({ endpoints: [endpointOf("a", 1), endpointOf("b", 2), endpointOf("c", 3)] }, 100);
  return pool;
}

describe("reasonsAgainst", () => {
  it("has nothing against a backend that takes work", () => {
    const pool = webPool();
    expect(reasonsAgainst(pool, backendOf(pool, "a"))).toEqual([]);
  });

  it("tells the operator's state with owner, reason, since and until", () => {
    const pool = webPool();
    pool.setAdmin(backendOf(pool, "a"), "drain", TERMS, 200);
    expect(reasonsAgainst(pool, backendOf(pool, "a"))).toEqual([
      { layer: "admin", text: "admin state is drain (by alice: deploy)", sinceMs: 200, untilMs: 5200 },
    ]);
  });

  it("tells every fact at once", () => {
    const pool = webPool();
    const backend = backendOf(pool, "a");
    pool.setCheck(backend, "down", "connection refused", 200);
    pool.eject(backend, 1000, "by bob: slow", 300);
    pool.setWeight(backend, { kind: "weight", weight: 0 }, { ...TERMS, reason: "" }, 400);
    const refused = endpointOf("a", 1, { status: "critical", admitted: false, reason: "check mem" });
    pool.apply({ endpoints: [refused, endpointOf("b", 2)] }, 500);
    expect(reasonsAgainst(pool, backend)).toEqual([
      {
        layer: "discovery",
        text: "discovery status is critical (check mem)",
        sinceMs: 500,
        untilMs: undefined,
      },
      {
        layer: "check",
        text: "its checks say down (connection refused)",
        sinceMs: 200,
        untilMs: undefined,
      },
      { layer: "detection", text: "ejected (manual by bob: slow)", sinceMs: 300, untilMs: 1300 },
      { layer: "weight", text: "weight set to 0 (by alice)", sinceMs: 400, untilMs: 5400 },
    ]);
  });

  it("tells that discovery dropped it and when its work is cut", () => {
    const pool = webPool();
    const lease = pool.acquire([], 100);
    const backend = lease?.backend;
    pool.apply({ endpoints: [] }, 200);
    expect(backend && reasonsAgainst(pool, backend)).toEqual([
      {
        layer: "discovery",
        text: "discovery no longer lists it (left discovery)",
        sinceMs: 200,
        untilMs: 30_200,
      },
    ]);
  });
});

describe("weightLayers", () => {
  it("shows the raw, the scaled and the overriding weight", () => {
    const pool = poolOf("web");
    pool.apply({ endpoints: [endpointOf("a", 1, { weight: 1024 }), endpointOf("b", 2, { weight: 2 })] }, 0);
    pool.setWeight(backendOf(pool, "a"), { kind: "percent", percent: 50 }, TERMS, 0);
    expect(weightLayers(pool, backendOf(pool, "a"))).toMatchObject({
      discovered: 1024,
      scaled: 256,
      override: { value: { kind: "percent", percent: 50 }, owner: "alice" },
      inForce: 128,
      sixteenths: 2048,
    });
    expect(weightLayers(pool, backendOf(pool, "b"))).toMatchObject({
      scaled: 1,
      override: undefined,
      inForce: 1,
    });
  });
});

describe("explainPick", () => {
  it("names the backend the next request gets, and takes nothing", () => {
    const pool = webPool();
    for (let request = 0; request < 20; request++) {
      const before = pool.inFlight;
      const trace = explainPick(pool);
      expect(pool.inFlight).toBe(before);
      const lease = pool.acquire([], 200);
      expect(trace.picked).toBe(lease?.backend);
      if (request % 3 === 0) lease?.release("success", 200, 201);
    }
  });

  it("puts the picked one first, the full ones after those with room and the excluded ones last", () => {
    const pool = webPool();
    const first = pool.acquire([], 0)?.backend;
    const others = [...pool.backends()].filter((backend) => backend !== first);
    pool.acquire(others, 0);
    pool.setAdmin(others[0] ?? backendOf(pool, "b"), "maint", TERMS, 0);
    const trace = explainPick(pool);
    expect(trace.candidates.map(({ backend }) => backend)).toEqual([others[1], first, others[0]]);
    expect(
      trace.candidates.map(({ isPicked, isAvailable, isEligible }) => [isPicked, isAvailable, isEligible]),
    ).toEqual([
      [true, true, true],
      [false, false, true],
      [false, false, false],
    ]);
    expect(trace.candidates[1]?.text).toBe("out: at its limit: 2 of 2 in flight");
    expect(trace.summary).toContain("2 of 3 backends take new work");
  });

  it("says whether waiting is worth it", () => {
    const pool = webPool();
    for (let request = 0; request < 6; request++) pool.acquire([], 0);
    expect(explainPick(pool)).toMatchObject({ picked: undefined, refusal: "all-full" });
    expect(explainPick(pool).summary).toContain("requests wait in the queue");
    for (const backend of pool.backends()) pool.setAdmin(backend, "maint", TERMS, 0);
    expect(explainPick(pool)).toMatchObject({ picked: undefined, refusal: "no-usable-backend" });
    expect(explainPick(poolOf("new")).summary).toBe("nothing to pick: discovery has not answered yet");
    const empty = poolOf("empty");
    empty.apply({ endpoints: [] }, 0);
    expect(explainPick(empty).summary).toBe("nothing to pick: discovery lists none");
  });

  it("passes over those to avoid unless nothing else is left", () => {
    const pool = webPool();
    const [a, b, c] = ["a", "b", "c"].map((id) => backendOf(pool, id));
    if (a === undefined || b === undefined || c === undefined) throw new Error("no backends");
    expect(explainPick(pool, [a, b]).picked).toBe(c);
    const trace = explainPick(pool, [a, b, c]);
    expect(trace.picked).toBeDefined();
    expect(trace.summary).toContain("to be avoided but nothing else is left");
  });

  it("compares loads only where the algorithm does", () => {
    const endpoints = [endpointOf("a", 1, { weight: 2 })];
    const loadWith = (balancer: RoundRobin | RandomDraws) => {
      const pool = poolOf("web", { balancer: () => balancer });
      pool.apply({ endpoints }, 0);
      pool.acquire([], 0);
      return explainPick(pool).candidates[0]?.load;
    };
    expect(loadWith(new RoundRobin())).toBeUndefined();
    expect(loadWith(new RandomDraws({ draws: 2 }, () => 0.5))).toBe(0.5);
  });
});
