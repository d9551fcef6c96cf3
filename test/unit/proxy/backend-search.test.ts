import { describe, expect, it } from "vitest";
import type { RetryConfig } from "../../../src/config/retry-model.js";
import type { Lease } from "../../../src/core/lease.js";
import type { Pool } from "../../../src/core/pool.js";
import { AccessRecord } from "../../../src/proxy/access-record.js";
import { BackendSearch } from "../../../src/proxy/backend-search.js";
import { ManualClock } from "../../support/manual-clock.js";
import { apply, backendNamed, endpoint, newPool } from "../../support/pool-fixture.js";
import { retryConfig } from "../../support/retry-config.js";

const TIMEOUTS = {
  connectMs: 5_000,
  serverMs: 0,
  queueMs: 5_000,
  awaitBackendMs: 0,
  tunnelMs: 0,
  requestTotalMs: 0,
  upstreamIdleMs: 0,
};

/** A search in a pool, and what its owner was told. */
class Searched {
  readonly clock = new ManualClock();
  readonly told: string[] = [];
  readonly record = new AccessRecord("http", "front");
  readonly search: BackendSearch;
  lease: Lease | undefined;
  /** What stands behind the pool. */
  standby: Pool | undefined;

  constructor(pool: Pool, retries: Partial<RetryConfig> = {}) {
    const serviceOf = (searched: Pool) => ({
      pool: searched,
      timeouts: TIMEOUTS,
      retries: retryConfig(retries),
      retryAfterMs: 1_000,
    });
    this.search = new BackendSearch(
      serviceOf(pool),
      retries.max ?? 3,
      this.record,
      {
        onLease: (lease) => {
          this.lease = lease;
          this.told.push(lease.backend.endpoint.id);
        },
        onNoBackend: () => {
          if (this.standby === undefined) return false;
          this.search.moveTo(serviceOf(this.standby));
          this.search.begin(this.clock.nowMs());
          return true;
        },
        onSearchFailed: ({ code, phase, detail }) =>
          void this.told.push(`${code} ${phase} ${detail ?? ""}`.trim()),
      },
      this.clock,
    );
  }

  fail(): boolean {
    if (this.lease === undefined) throw new Error("there is no try");
    return this.search.tryAgain(this.lease, { outcome: "connect-failure", status: 0 });
  }
}

function poolOf(ids: readonly string[], limit = 0): Pool {
  const pool = newPool({ maxInFlightPerBackend: limit });
  apply(
    pool,
    ids.map((id) => endpoint(id)),
  );
  return pool;
}

describe("a request that is bound to a backend which takes no connection", () => {
  it.each<[interval: number, tries: readonly string[]]>([
    [1, ["a", "b"]],
    [2, ["a", "a", "b"]],
    [-1, ["a", "a", "a", "b"]],
    [-2, ["a", "a", "b"]],
  ])("leaves it as the interval %i says, after a second each before that", async (interval, tries) => {
    const pool = poolOf(["a", "b"]);
    const scene = new Searched(pool, { redispatchInterval: interval });
    scene.search.bound = backendNamed(pool, "a");
    scene.search.begin(scene.clock.nowMs());
    for (let retry = 1; retry < tries.length; retry++) {
      const before = scene.told.length;
      expect(scene.fail()).toBe(true);
      if (tries[retry] === "b") continue;
      await scene.clock.advance(999);
      expect(scene.told).toHaveLength(before);
      await scene.clock.advance(1);
    }
    expect(scene.told).toEqual(tries);
    expect([scene.record.isRedispatched, pool.total("redispatches"), pool.total("retries")]).toEqual([
      true,
      1,
      tries.length - 2,
    ]);
  });

  it("leaves it at once when it went down meanwhile", () => {
    const pool = poolOf(["a", "b"]);
    const scene = new Searched(pool, { redispatchInterval: -1 });
    scene.search.bound = backendNamed(pool, "a");
    scene.search.begin(scene.clock.nowMs());
    pool.setCheck(backendNamed(pool, "a"), "down", "", 0);
    scene.fail();
    expect(scene.told).toEqual(["a", "b"]);
  });

  it("never leaves it without redispatch", async () => {
    const pool = poolOf(["a", "b"]);
    const scene = new Searched(pool, { redispatch: false, max: 1 });
    scene.search.bound = backendNamed(pool, "a");
    scene.search.begin(scene.clock.nowMs());
    scene.fail();
    await scene.clock.advance(1_000);
    expect([scene.told, scene.fail()]).toEqual([["a", "a"], false]);
  });
});

describe("a request that any backend may serve", () => {
  it("goes elsewhere at once, whatever the interval", () => {
    const scene = new Searched(poolOf(["a", "b"]), { redispatchInterval: -1 });
    scene.search.begin(scene.clock.nowMs());
    scene.fail();
    expect(new Set(scene.told)).toEqual(new Set(["a", "b"]));
  });
});

describe("a request that waits while the last backend is lost", () => {
  function waiting(): { pool: Pool; scene: Searched } {
    const pool = poolOf(["a"], 1);
    pool.acquire([], 0);
    const scene = new Searched(pool);
    scene.search.begin(scene.clock.nowMs());
    expect(scene.search.isQueued).toBe(true);
    return { pool, scene };
  }

  it("is told so at once, and counted as turned away", async () => {
    const { pool, scene } = waiting();
    await scene.clock.advance(70);
    apply(pool, [], 70);
    expect(scene.told).toEqual(["no-usable-backend queue the last one was lost while the request waited"]);
    expect([scene.record.queueMs, pool.total("refusedNoBackend"), scene.search.isQueued]).toEqual([
      70,
      1,
      false,
    ]);
    // Its timer is gone with it.
    await scene.clock.advance(10_000);
    expect(scene.told).toHaveLength(1);
  });

  it("goes on in the pool behind, as if it had begun there, and is not counted as turned away", () => {
    const { pool, scene } = waiting();
    scene.standby = poolOf(["s"]);
    apply(pool, [], 0);
    expect([scene.told, pool.total("refusedNoBackend")]).toEqual([["s"], 0]);
  });
});
