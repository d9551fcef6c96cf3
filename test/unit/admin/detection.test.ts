import { describe, expect, it } from "vitest";
import { eventMessage } from "../../../src/admin/event-messages.js";
import {
  ExplainPickRequest,
  GetStatsRequest,
  ListBackendsRequest,
} from "../../../src/admin/generated/pilotfish/admin/v1/admin.js";
import { insightMethods } from "../../../src/admin/insight.js";
import { listingMethods } from "../../../src/admin/listing.js";
import { Messages } from "../../../src/admin/messages.js";
import { renderMetrics } from "../../../src/admin/metrics.js";
import { statsMethods } from "../../../src/admin/stats.js";
import { StatsBaseline } from "../../../src/admin/stats-baseline.js";
import { Timestamps } from "../../../src/admin/timestamps.js";
import type { PoolEvent } from "../../../src/core/events.js";
import { ManualClock } from "../../support/manual-clock.js";
import { OUTLIER } from "../../support/pool-fixture.js";
import { backendOf, endpointOf, poolOf, Scene, silentLog } from "./scene.js";

const LATENCY = {
  percentile: 90,
  factor: 3,
  deviations: 3,
  minDifferenceMs: 25,
  requestVolume: 10,
  minWeightPercent: 10,
  intervalMs: 1_000,
};

/** Two backends of weight 16, one of which took 400 ms and the other 10 for each of twenty answers. */
function sceneOf() {
  const clock = new ManualClock();
  const scene = new Scene({ clock });
  const web = scene.add(
    poolOf("web", {
      outlier: { ...OUTLIER, latency: LATENCY },
      slowStart: { windowMs: 16_000, aggression: 1, minPercent: 0 },
    }),
    [
      endpointOf("a", 1, { weight: 16 }),
      endpointOf("b", 2, { weight: 16 }),
      endpointOf("c", 3, { weight: 16 }),
    ],
  );
  const time = new Timestamps(clock);
  const messages = new Messages(scene, time);
  const heard: PoolEvent[] = [];
  web.subscribe((event) => heard.push(event));
  const text = (event: PoolEvent | undefined): string =>
    event === undefined
      ? ""
      : eventMessage({ sequence: 1, atMs: 0, pool: "web", event, endpoint: undefined }, time).text;
  return {
    web,
    heard,
    text,
    metrics: () => [...renderMetrics(scene)].join(""),
    list: (backend: string) =>
      listingMethods(scene, messages).listBackends(ListBackendsRequest.fromPartial({ backend })).backends[0],
    explain: () =>
      insightMethods(scene, messages, time).explainPick(ExplainPickRequest.fromPartial({ pool: "web" })),
    stats: () =>
      statsMethods(scene, new StatsBaseline(0), time, silentLog).getStats(GetStatsRequest.fromPartial({}))
        .pools[0],
  };
}

type World = ReturnType<typeof sceneOf>;

function answer({ web }: World, id: string, times: number, latencyMs: number): void {
  const others = [...web.backends()].filter((backend) => backend.endpoint.id !== id);
  for (let request = 0; request < times; request++) {
    const lease = web.acquire(others, 0);
    if (lease === undefined) throw new Error("no lease");
    lease.latencyMs = latencyMs;
    lease.release("success", 200, 0);
  }
}

describe("a backend that ramps", () => {
  it("says so in the list, in the pick, in the events and in the metrics", () => {
    const world = sceneOf();
    const { web } = world;
    web.eject(backendOf(web, "a"), 1_000, "by hand", 0);
    web.tick(1_000);
    expect(world.list("a")?.weight).toMatchObject({ inForce: 1, slowStart: { share: 1 / 16 } });
    const { since, until } = world.list("a")?.weight?.slowStart ?? {};
    expect(Number(until?.seconds) - Number(since?.seconds)).toBe(15);
    const text = world.explain().candidates.find(({ id }) => id === "a")?.text;
    expect(text).toContain("at weight 1 (slow start grants 6.3%)");
    expect(world.text(world.heard.find(({ type }) => type === "weight-changed"))).toBe(
      "weight 16 to 1: slow start",
    );
    expect(world.metrics()).toMatch(/pilotfish_backend_slow_start_share\{[^}]*id="a"\} 0\.0625/);
    expect(world.list("b")?.weight?.slowStart).toBeUndefined();
  });
});

describe("a backend that is slow", () => {
  it("says so in the list, in the pick, in the events and in the metrics", () => {
    const world = sceneOf();
    for (const nowMs of [1_000, 2_000]) {
      answer(world, "a", 20, 400);
      answer(world, "b", 20, 10);
      answer(world, "c", 20, 10);
      world.web.tick(nowMs);
    }
    const shown = world.list("a");
    expect(shown?.weight).toMatchObject({ inForce: 8, demotion: { share: 0.5 } });
    expect(shown?.weight?.demotion?.since).toBeDefined();
    expect(shown?.weight?.demotion?.why).toMatch(/^slow: p90 \d+ ms, the others \d+(\.\d)? ms$/);
    expect(shown?.detection?.latencyMs).toBeGreaterThan(350);
    const text = world.explain().candidates.find(({ id }) => id === "a")?.text;
    expect(text).toMatch(/at weight 8 \(demoted to 50%, slow: p90 \d+ ms, the others/);
    expect(world.text(world.heard.at(-1))).toMatch(/^weight 16 to 8: slow: p90/);
    expect(world.metrics()).toMatch(/pilotfish_backend_demotion_share\{[^}]*id="a"\} 0\.5/);
    expect(world.metrics()).toMatch(/pilotfish_backend_compared_latency_seconds\{[^}]*id="a"\} 0\.[34]/);
  });
});

describe("what the detectors found", () => {
  it("is counted by cause in statistics and metrics, zeroes left out of the former", () => {
    const world = sceneOf();
    const { web } = world;
    const others = [backendOf(web, "b"), backendOf(web, "c")];
    for (let attempt = 0; attempt < 3; attempt++) web.acquire(others, 0)?.release("server-error", 500, 0);
    web.eject(backendOf(web, "b"), 1_000, "by hand", 0);
    expect(world.stats()?.ejections).toEqual([
      { cause: "consecutive-5xx", detected: 1, enforced: 1, overflowed: 0 },
      { cause: "manual", detected: 0, enforced: 1, overflowed: 0 },
    ]);
    const family = "pilotfish_pool_ejections_by_cause_total";
    expect(world.metrics()).toContain(`${family}{pool="web",cause="consecutive-5xx",kind="enforced"} 1`);
    expect(world.metrics()).toContain(`${family}{pool="web",cause="success-rate",kind="detected"} 0`);
    expect(world.list("a")?.detection).toMatchObject({ cause: "consecutive-5xx", multiplier: 1 });
    expect(world.list("a")?.reasons).toEqual(["ejected (consecutive-5xx)"]);
  });
});
