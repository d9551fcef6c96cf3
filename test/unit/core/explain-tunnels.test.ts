import { expect, it } from "vitest";
import { reasonsAgainst } from "../../../src/core/explain.js";
import { tunnelWords } from "../../../src/core/explain-tunnels.js";
import { apply, backendNamed, endpoint, mustAcquire, newPool } from "../../support/pool-fixture.js";

const TUNNEL = { avoid: [], isTunnel: true };

it("tells how many have room for a tunnel where requests have a limit of their own", () => {
  const pool = newPool({ maxInFlightPerBackend: 2, maxRequestsPerBackend: 1 });
  apply(pool, [endpoint("a"), endpoint("b"), endpoint("c", { priority: 1 })]);
  mustAcquire(pool);
  mustAcquire(pool);
  const words = "limits of requests alone do not concern tunnels of tcp listeners";
  expect(tunnelWords(pool)).toBe(`; ${words}: 2 of 2 have room for one`);
  pool.acquireFor(TUNNEL, 0);
  expect(tunnelWords(pool)).toBe(`; ${words}: 1 of 2 have room for one`);
  pool.acquireFor(TUNNEL, 0);
  expect(tunnelWords(pool)).toBe(`; ${words}: 0 of 2 have room for one`);
});

it("has nothing to tell where every limit counts tunnels too", () => {
  const pool = newPool({ maxInFlightPerBackend: 2 });
  apply(pool, [endpoint("a")]);
  expect(tunnelWords(pool)).toBe("");
});

it("tells requests and tunnels apart at a limit of requests", () => {
  const pool = newPool({ maxInFlightPerBackend: 4, maxRequestsPerBackend: 1 });
  apply(pool, [endpoint("a")]);
  const against = () => reasonsAgainst(pool, backendNamed(pool, "a")).map(({ text }) => text);
  mustAcquire(pool);
  expect(against()).toEqual(["at its limit: 1 of 1 in flight"]);
  pool.acquireFor(TUNNEL, 0);
  expect(against()).toEqual([
    "at its limit: 2 of 2 in flight, 1 of them tunnels, which the limit leaves room for",
  ]);
  pool.acquireFor(TUNNEL, 0);
  pool.acquireFor(TUNNEL, 0);
  expect(against()).toEqual(["at its limit: 4 of 4 in flight"]);
});
