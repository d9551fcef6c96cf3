import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import type { Lease } from "../../../src/core/lease.js";
import type { Waiter } from "../../../src/core/line.js";
import type { PoolOptions } from "../../../src/core/pool-options.js";
import type { Wish } from "../../../src/core/wish.js";
import { apply, backendNamed, endpoint, newPool, terms, waiter } from "../../support/pool-fixture.js";

function sceneOf(options: Partial<PoolOptions>, ids: readonly string[] = ["a"]) {
  const pool = newPool(options);
  apply(
    pool,
    ids.map((id) => endpoint(id)),
  );
  const told: string[] = [];
  const take = (wish: Partial<Wish> = {}) => pool.acquireFor({ avoid: [], ...wish }, 0);
  const must = (wish: Partial<Wish> = {}): Lease => {
    const lease = take(wish);
    if (lease === undefined) throw new Error("no slot");
    return lease;
  };
  const wait = (name: string, changes: Partial<Waiter> = {}) =>
    pool.enqueue(
      waiter((lease) => void told.push(`${name} ${lease.backend.endpoint.id}`), changes),
      0,
    );
  return { pool, told, take, must, wait, backend: (id: string): Backend => backendNamed(pool, id) };
}

const tunnel = { isTunnel: true };
const end = (lease: Lease) => lease.release("success", 200, 1);

describe("a limit of requests", () => {
  it("counts no tunnel", () => {
    const { take, must, backend } = sceneOf({ maxRequestsPerBackend: 1 });
    const tunnels = [must(tunnel), must(tunnel)];
    expect(backend("a").row).toMatchObject({ limit: 3, isFull: false });
    const request = must();
    expect(take()).toBeUndefined();
    for (const each of tunnels) end(each);
    expect(backend("a").row).toMatchObject({ limit: 1, isFull: true });
    end(request);
    end(must());
  });

  it("holds no tunnel back, nor do those that wait for it", () => {
    const { take, must, wait, told } = sceneOf({ maxRequestsPerBackend: 1 });
    const request = must();
    wait("request");
    expect(take(tunnel)).toBeDefined();
    expect(take({ ...tunnel, avoid: [request.backend] })).toBeUndefined();
    expect(told).toEqual([]);
    end(request);
    expect(told).toEqual(["request a"]);
  });

  it("leaves a tunnel to the least loaded of those at it", () => {
    const { must, backend } = sceneOf({ maxRequestsPerBackend: 1 }, ["a", "b"]);
    must();
    must();
    const first = must(tunnel).backend;
    expect(must(tunnel).backend).not.toBe(first);
    const third = must({ ...tunnel, avoid: [backend("a")] });
    expect(third.backend).toBe(backend("b"));
  });

  it("gives way to an override, which is for all", () => {
    const { pool, take, must, backend } = sceneOf({ maxRequestsPerBackend: 1 });
    pool.setLimit(backend("a"), 3, terms(), 0);
    must();
    must();
    must(tunnel);
    expect([take(), take(tunnel)]).toEqual([undefined, undefined]);
  });
});

describe("a limit that follows latency", () => {
  const adaptiveLimit = {
    ...{ minLimit: 1, maxLimit: 10, intervalMs: 100, minSamples: 1, percentile: 50, bufferPercent: 25 },
    ...{ minDifferenceMs: 2, minRttIntervalMs: 60_000, minRttJitterPercent: 0, minRttSamples: 2 },
  };

  it("counts no tunnel", () => {
    const { take, must } = sceneOf({ adaptiveLimit });
    must();
    must(tunnel);
    expect(take()).toBeUndefined();
  });

  it("learns nothing of a tunnel's end", () => {
    const learnt = (wish: Partial<Wish>) => {
      const { must, backend } = sceneOf({ adaptiveLimit: { ...adaptiveLimit, minLimit: 2 } });
      const [first, second] = [must(wish), must(wish)];
      first.release("timeout", 0, 1);
      second.release("timeout", 0, 10);
      return backend("a").adaptive?.minRttMs;
    };
    expect(learnt({})).toBeGreaterThan(0);
    expect(learnt(tunnel)).toBeUndefined();
  });
});

describe("a limit of all", () => {
  it("counts requests and tunnels", () => {
    const { take, must } = sceneOf({ maxInFlightPerBackend: 2, maxRequestsPerBackend: 5 });
    must();
    must(tunnel);
    expect([take(), take(tunnel)]).toEqual([undefined, undefined]);
  });

  it("gives what becomes free to the first that may have it", () => {
    const { must, wait, told } = sceneOf({ maxInFlightPerBackend: 2, maxRequestsPerBackend: 1 });
    const request = must();
    const open = must(tunnel);
    wait("request");
    wait("tunnel", tunnel);
    wait("later tunnel", tunnel);
    end(open);
    expect(told).toEqual(["tunnel a"]);
    end(request);
    expect(told).toEqual(["tunnel a", "request a"]);
  });

  it("does the same for those who are bound to a backend", () => {
    const { must, wait, told, backend } = sceneOf({ maxInFlightPerBackend: 2, maxRequestsPerBackend: 1 });
    const bound = backend("a");
    must();
    const open = must(tunnel);
    wait("request", { bound });
    wait("tunnel", { bound, ...tunnel });
    end(open);
    expect(told).toEqual(["tunnel a"]);
  });

  it("is kept through a change of the limit of requests", () => {
    const { pool, take, must } = sceneOf({});
    must(tunnel);
    pool.reconfigure({ ...pool.options, maxRequestsPerBackend: 1 }, 0);
    must();
    expect(take()).toBeUndefined();
    expect(take(tunnel)).toBeDefined();
  });
});
