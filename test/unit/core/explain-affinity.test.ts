import { describe, expect, it } from "vitest";
import { ConsistentHash } from "../../../src/core/balancers/consistent-hash.js";
import { Keyed } from "../../../src/core/balancers/keyed.js";
import { Leastconn } from "../../../src/core/balancers/leastconn.js";
import { Maglev } from "../../../src/core/balancers/maglev.js";
import { explainPick } from "../../../src/core/explain.js";
import { affinityText } from "../../../src/core/explain-affinity.js";
import { hashText } from "../../../src/core/hash.js";
import type { Pool } from "../../../src/core/pool.js";
import { apply, endpoint, newPool } from "../../support/pool-fixture.js";

const HASH = hashText("/cart");

function poolByHash(changes: Parameters<typeof newPool>[0] = {}): Pool {
  const ring = () => new ConsistentHash({ loadFactor: 1.25, virtualNodes: 128 }, () => 0);
  const pool = newPool({
    balancer: () => new Keyed(ring(), new Leastconn({ idle: "weighted" })),
    ...changes,
  });
  apply(
    pool,
    ["a", "b", "c"].map((id, index) => endpoint(id, { host: `10.0.0.${index + 1}` })),
  );
  return pool;
}

function textFor(pool: Pool): string {
  const claim = { text: "the path is /cart", key: "/cart", named: undefined, hash: HASH };
  return affinityText(pool, claim, explainPick(pool, [], claim).picked, []);
}

describe("where a key belongs", () => {
  it("is told, and is where the key goes", () => {
    const pool = poolByHash();
    const place = pool.tiers.placeOf(HASH);
    expect(explainPick(pool, [], { hash: HASH }).picked).toBe(place);
    expect(textFor(pool)).toBe(
      `the path is /cart, which belongs to ${place?.endpoint.id} at ${place?.address}`,
    );
  });

  it("stays told when the load sends the key elsewhere", () => {
    const pool = poolByHash();
    const place = pool.tiers.placeOf(HASH);
    pool.acquireFor({ avoid: [], hash: HASH }, 0);
    expect(pool.tiers.placeOf(HASH)).toBe(place);
    expect(explainPick(pool, [], { hash: HASH }).picked).not.toBe(place);
    expect(textFor(pool)).toMatch(/; that one has more than its share of the load, so the next one/);
  });

  it("is told of a backend at its limit", () => {
    const pool = poolByHash({ maxInFlightPerBackend: 1 });
    pool.acquireFor({ avoid: [], hash: HASH }, 0);
    expect(textFor(pool)).toMatch(/; that one has no slot left, so/);
  });

  it("is the same in a table of maglev hashing, and behind zones", () => {
    const zone = { own: "z", minBackends: 1, minPercent: 0, spillFactor: 0 };
    const maglev = () => new Maglev({ loadFactor: 0, tableSize: 101 }, () => 0);
    for (const changes of [{}, { tiers: { allBackups: false, panicThreshold: 0, zone } }]) {
      const pool = poolByHash({ balancer: maglev, ...changes });
      const picked = pool.peek([], HASH);
      expect([picked !== undefined, pool.tiers.placeOf(HASH) === picked]).toEqual([true, true]);
    }
  });

  it("is nowhere for a balancer that goes by none", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    expect(pool.tiers.placeOf(HASH)).toBeUndefined();
    expect(textFor(pool)).toBe("the path is /cart");
  });
});
