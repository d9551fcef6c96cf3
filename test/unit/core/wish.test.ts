import { describe, expect, it } from "vitest";
import type { Lease } from "../../../src/core/lease.js";
import type { Waiter } from "../../../src/core/line.js";
import type { Pool } from "../../../src/core/pool.js";
import { apply, backendNamed, endpoint, newPool, terms, waiter } from "../../support/pool-fixture.js";

function poolOfTwo(limit = 0): Pool {
  const pool = newPool({ maxInFlightPerBackend: limit });
  apply(pool, [endpoint("a"), endpoint("b", { host: "10.0.0.2" })]);
  return pool;
}

function pickBound(pool: Pool, id: string): string | undefined {
  return pool.acquireFor({ avoid: [], bound: backendNamed(pool, id) }, 0)?.backend.endpoint.id;
}

/** Records in `granted` who was served. */
function waiterFor(
  pool: Pool,
  name: string,
  bound: string | undefined,
  granted: string[],
  held: Lease[],
): Waiter {
  return waiter(
    (lease) => {
      held.push(lease);
      granted.push(`${name} on ${lease.backend.endpoint.id}`);
    },
    { bound: bound === undefined ? undefined : backendNamed(pool, bound) },
  );
}

describe("a bound wish", () => {
  it("is given its backend whatever the balancer would pick", () => {
    const pool = poolOfTwo();
    expect([pickBound(pool, "a"), pickBound(pool, "a"), pickBound(pool, "a")]).toEqual(["a", "a", "a"]);
  });

  it.each<[string, string, (pool: Pool) => void]>([
    ["drained", "a", (pool) => pool.setAdmin(backendNamed(pool, "a"), "drain", terms(), 0)],
    [
      "of weight 0",
      "a",
      (pool) => pool.setWeight(backendNamed(pool, "a"), { kind: "weight", weight: 0 }, terms(), 0),
    ],
    ["up for bound work alone", "a", (pool) => pool.setCheck(backendNamed(pool, "a"), "nolb", "404", 0)],
    ["in maintenance", "b", (pool) => pool.setAdmin(backendNamed(pool, "a"), "maint", terms(), 0)],
    ["down", "b", (pool) => pool.setCheck(backendNamed(pool, "a"), "down", "refused", 0)],
    ["ejected", "b", (pool) => pool.eject(backendNamed(pool, "a"), undefined, "a test", 0)],
    [
      "refused by discovery",
      "b",
      (pool) => apply(pool, [endpoint("a", { admitted: false }), endpoint("b", { host: "10.0.0.2" })], 0),
    ],
  ])("finds a backend that is %s at %s", (_state, expected, change) => {
    const pool = poolOfTwo();
    change(pool);
    expect(pickBound(pool, "a")).toBe(expected);
  });

  it("stays at a backend whose check says down where discovery alone decides", () => {
    const pool = newPool({ verdict: "consul" });
    apply(pool, [endpoint("a"), endpoint("b", { host: "10.0.0.2" })]);
    pool.setCheck(backendNamed(pool, "a"), "down", "refused", 0);
    expect(pickBound(pool, "a")).toBe("a");
  });

  it("stays at a backend that discovery refuses where its check alone decides", () => {
    const pool = newPool({ verdict: "own" });
    const listed = [
      endpoint("a", { status: "critical", admitted: false }),
      endpoint("b", { host: "10.0.0.2" }),
    ];
    apply(pool, listed);
    pool.setCheck(backendNamed(pool, "a"), "up", "", 0);
    expect(pickBound(pool, "a")).toBe("a");
  });

  it("goes elsewhere when its backend left discovery, though open work keeps it", () => {
    const pool = poolOfTwo();
    const a = backendNamed(pool, "a");
    pool.acquireFor({ avoid: [], bound: a }, 0);
    apply(pool, [endpoint("b", { host: "10.0.0.2" })], 0);
    expect(pool.acquireFor({ avoid: [], bound: a }, 0)?.backend.endpoint.id).toBe("b");
  });

  it("goes elsewhere once its backend is to be avoided", () => {
    const pool = poolOfTwo();
    const a = backendNamed(pool, "a");
    expect(pool.acquireFor({ avoid: [a], bound: a }, 0)?.backend.endpoint.id).toBe("b");
  });

  it("gives back a slot of a drained backend without a trace in the balancer", () => {
    const pool = poolOfTwo();
    const a = backendNamed(pool, "a");
    pool.setAdmin(a, "drain", terms(), 0);
    pool.acquireFor({ avoid: [], bound: a }, 0)?.release("success", 200, 1);
    expect([a.inFlight, pool.acquire([], 1)?.backend.endpoint.id]).toEqual([0, "b"]);
  });

  it("waits for its full backend, and holds up nobody behind it", () => {
    const pool = poolOfTwo(1);
    const a = backendNamed(pool, "a");
    const onA = pool.acquireFor({ avoid: [], bound: a }, 0);
    const onB = pool.acquire([], 0);
    const granted: string[] = [];
    const held: Lease[] = [];
    pool.enqueue(waiterFor(pool, "bound", "a", granted, held), 0);
    pool.enqueue(waiterFor(pool, "free", undefined, granted, held), 0);
    onB?.release("success", 200, 1);
    expect(granted).toEqual(["free on b"]);
    onA?.release("success", 200, 1);
    expect([granted, pool.queue.length, pool.queue.at(a)?.length]).toEqual([
      ["free on b", "bound on a"],
      0,
      0,
    ]);
  });

  it("lets those without a bond pass a queue of bound ones when a slot is free", () => {
    const pool = poolOfTwo(1);
    const a = backendNamed(pool, "a");
    pool.acquireFor({ avoid: [], bound: a }, 0);
    pool.enqueue(waiterFor(pool, "bound", "a", [], []), 0);
    expect(pool.acquire([], 0)?.backend.endpoint.id).toBe("b");
  });

  it("is worth waiting for where the only backend is drained and full", () => {
    const pool = newPool({ maxInFlightPerBackend: 1 });
    apply(pool, [endpoint("a")]);
    const a = backendNamed(pool, "a");
    pool.setAdmin(a, "drain", terms(), 0);
    const wish = { avoid: [], bound: a };
    const lease = pool.acquireFor(wish, 0);
    expect([lease?.backend, pool.acquireFor(wish, 0), pool.refusal(wish), pool.refusal()]).toEqual([
      a,
      undefined,
      "all-full",
      "no-usable-backend",
    ]);
  });

  it("frees a waiter whose backend went down for the others", () => {
    const pool = poolOfTwo(1);
    const a = backendNamed(pool, "a");
    pool.acquireFor({ avoid: [], bound: a }, 0);
    const granted: string[] = [];
    pool.enqueue(waiterFor(pool, "bound", "a", granted, []), 0);
    pool.setCheck(a, "down", "refused", 1);
    expect(granted).toEqual(["bound on b"]);
  });
});
