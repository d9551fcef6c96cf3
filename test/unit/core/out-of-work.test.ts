import { expect, it } from "vitest";
import type { Endpoint } from "../../../src/core/endpoint.js";
import { explainPick } from "../../../src/core/explain.js";
import { apply, backendNamed, endpoint, mustAcquire, newPool, terms } from "../../support/pool-fixture.js";

function critical(id: string): Endpoint {
  return endpoint(id, { status: "critical", admitted: false });
}

it("tells a service whose instances are all critical from one that is listed no more", () => {
  const pool = newPool();
  apply(pool, [critical("a"), critical("b"), critical("c")]);
  expect(explainPick(pool).summary).toBe(
    "nothing to pick: none of 3 backends takes new work: 3 critical in discovery",
  );
  apply(pool, []);
  expect(explainPick(pool).summary).toBe("nothing to pick: discovery lists none");
});

it("counts each backend once, by what weighs most, the most frequent first", () => {
  const pool = newPool();
  const ids = ["gone", "drained", "down", "ejected", "light", "held", "flapping"];
  apply(
    pool,
    ids.map((id) => endpoint(id)),
  );
  mustAcquire(
    pool,
    0,
    ids.filter((id) => id !== "gone").map((id) => backendNamed(pool, id)),
  );
  pool.setAdmin(backendNamed(pool, "drained"), "drain", terms(), 0);
  pool.setCheck(backendNamed(pool, "drained"), "down", "", 0);
  pool.setCheck(backendNamed(pool, "down"), "down", "", 0);
  pool.eject(backendNamed(pool, "ejected"), 1_000, "", 0);
  apply(pool, [
    ...["drained", "down", "ejected"].map((id) => endpoint(id)),
    endpoint("light", { weight: 0 }),
    endpoint("held", { admitted: false }),
    endpoint("flapping", { admitted: false, suppressed: true }),
    critical("x"),
    critical("y"),
  ]);
  expect(explainPick(pool).summary).toBe(
    "nothing to pick: none of 9 backends takes new work: 2 critical in discovery, 1 down by its check, " +
      "1 ejected, 1 held back by discovery, 1 in drain, 1 no longer listed, 1 of weight 0, 1 suppressed",
  );
});
