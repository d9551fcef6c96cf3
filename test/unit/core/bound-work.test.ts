import { describe, expect, it } from "vitest";
import type { AdminFact, CheckFact, DetectionFact } from "../../../src/core/backend.js";
import type { VerdictRule } from "../../../src/core/check-verdict.js";
import type { DiscoveryStatus } from "../../../src/core/endpoint.js";
import type { Pool } from "../../../src/core/pool.js";
import { takesBoundWork } from "../../../src/core/wish.js";
import { apply, backendNamed, endpoint, newPool, terms } from "../../support/pool-fixture.js";

interface State {
  readonly admin: AdminFact;
  readonly check: CheckFact;
  readonly detection: DetectionFact;
  readonly weight: number;
  readonly listed: "admitted" | "refused" | "maintenance" | "gone";
  readonly priority: number;
  readonly rule: VerdictRule;
}

const USUAL: State = {
  admin: "ready",
  check: "up",
  detection: "active",
  weight: 1,
  listed: "admitted",
  priority: 0,
  rule: "both",
};

/** Whether new work, bound work, and bound work under `persist` go there. */
type Takes = "new bound persistent" | "bound persistent" | "persistent" | "nothing";

const TABLE: readonly (readonly [Partial<State>, Takes])[] = [
  [{}, "new bound persistent"],
  [{ check: "unchecked" }, "new bound persistent"],
  [{ weight: 0 }, "bound persistent"],
  [{ admin: "drain" }, "bound persistent"],
  [{ admin: "drain", weight: 0 }, "bound persistent"],
  [{ check: "nolb" }, "bound persistent"],
  [{ check: "nolb", weight: 0, admin: "drain" }, "bound persistent"],
  // A backup whose actives are back takes nothing new, and keeps its own.
  [{ priority: 1 }, "bound persistent"],
  [{ priority: 1, admin: "drain" }, "bound persistent"],
  [{ check: "down" }, "persistent"],
  [{ check: "down", admin: "drain" }, "persistent"],
  [{ check: "down", weight: 0 }, "persistent"],
  [{ check: "down", priority: 1 }, "persistent"],
  [{ detection: "ejected" }, "persistent"],
  [{ detection: "ejected", admin: "drain" }, "persistent"],
  [{ detection: "ejected", check: "nolb" }, "persistent"],
  [{ detection: "ejected", check: "down" }, "persistent"],
  [{ admin: "maint" }, "nothing"],
  [{ admin: "maint", weight: 0 }, "nothing"],
  [{ admin: "maint", check: "nolb" }, "nothing"],
  [{ admin: "maint", check: "down" }, "nothing"],
  [{ listed: "refused" }, "nothing"],
  [{ listed: "maintenance" }, "nothing"],
  [{ listed: "gone" }, "nothing"],
  // The verdict that does not count for new work does not count here.
  [{ rule: "consul", check: "down" }, "new bound persistent"],
  [{ rule: "consul", check: "nolb" }, "new bound persistent"],
  [{ rule: "consul", listed: "refused" }, "nothing"],
  [{ rule: "own", listed: "refused" }, "new bound persistent"],
  [{ rule: "own", listed: "refused", check: "nolb" }, "bound persistent"],
  [{ rule: "own", listed: "refused", check: "down" }, "persistent"],
  [{ rule: "own", listed: "refused", check: "unchecked" }, "nothing"],
  [{ rule: "own", listed: "maintenance" }, "nothing"],
  [{ rule: "own", listed: "gone" }, "nothing"],
];

/** Two backends, of which `a` is in this state; its open work keeps it when it is gone. */
function poolWith({ admin, check, detection, weight, listed, priority, rule }: State): Pool {
  const pool = newPool({ verdict: rule });
  const other = endpoint("b", { host: "10.0.0.2" });
  apply(pool, [endpoint("a", { priority }), other]);
  const a = backendNamed(pool, "a");
  pool.acquireFor({ avoid: [], bound: a }, 0);
  if (check !== "unchecked") pool.setCheck(a, check, "", 0);
  if (detection === "ejected") pool.eject(a, undefined, "a test", 0);
  if (admin !== "ready") pool.setAdmin(a, admin, terms(), 0);
  pool.setWeight(a, { kind: "weight", weight }, terms(), 0);
  const status: DiscoveryStatus = listed === "maintenance" ? "maintenance" : "critical";
  if (listed === "gone") apply(pool, [other]);
  else if (listed !== "admitted") apply(pool, [endpoint("a", { admitted: false, status, priority }), other]);
  return pool;
}

describe("a backend of which is said", () => {
  it.each(TABLE)("%o takes: %s", (changes, takes) => {
    const pool = poolWith({ ...USUAL, ...changes });
    const a = backendNamed(pool, "a");
    const found = [
      pool.tiers.takesWork(a) ? "new" : "",
      takesBoundWork(a, false) ? "bound" : "",
      takesBoundWork(a, true) ? "persistent" : "",
    ];
    expect(found.filter((each) => each !== "").join(" ") || "nothing").toBe(takes);
  });
});
