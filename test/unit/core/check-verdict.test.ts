import { describe, expect, it } from "vitest";
import { combineChecks, isHealthy, isListed } from "../../../src/core/check-verdict.js";
import { explainPick } from "../../../src/core/explain.js";
import { apply, backendNamed, endpoint, newPool } from "../../support/pool-fixture.js";

const critical = { status: "critical", admitted: false, reason: "critical" } as const;

describe("the rule of verdicts", () => {
  it.each([
    ["admitted", "passing", "up", [true, true, true]],
    ["admitted", "passing", "down", [false, true, false]],
    ["admitted", "passing", "nolb", [false, true, false]],
    ["admitted", "passing", "unchecked", [true, true, true]],
    ["refused", "critical", "up", [false, false, true]],
    ["refused", "critical", "down", [false, false, false]],
    ["refused", "critical", "unchecked", [false, false, false]],
    ["refused", "maintenance", "up", [false, false, false]],
    ["suppressed", "passing", "up", [false, false, false]],
    ["gone", "passing", "up", [false, false, false]],
  ] as const)(
    "lets %s (%s) with a check that says %s in by both, consul, own: %j",
    (fact, status, check, expected) => {
      const isIn = (["both", "consul", "own"] as const).map(
        (rule) => isListed(rule, fact, status, check) && isHealthy(rule, check),
      );
      expect(isIn).toEqual(expected);
    },
  );

  it("shows both verdicts, and says which one does not count", () => {
    const pool = newPool({ verdict: "own" });
    apply(pool, [endpoint("a", critical)]);
    const a = backendNamed(pool, "a");
    expect(a.isEligible).toBe(false);
    pool.setCheck(a, "up", "UP", 1);
    expect([a.isEligible, a.isFiled, a.facts.discovery.state]).toEqual([true, true, "refused"]);
    expect(explainPick(pool).candidates[0]?.text).toContain("status critical does not count by the rule own");
    apply(pool, [endpoint("a", { ...critical, status: "maintenance" })], 2);
    expect([a.isEligible, a.isFiled]).toEqual([false, false]);
    apply(pool, [endpoint("a")], 3);
    pool.setCheck(a, "down", "DOWN", 4);
    expect(a.isFiled).toBe(false);
    pool.reconfigure({ ...pool.options, verdict: "consul" }, 5);
    expect([a.isFiled, a.facts.check.state]).toEqual([true, "down"]);
    expect(explainPick(pool).candidates[0]?.text).toContain("its check says down, which does not count");
    pool.reconfigure({ ...pool.options, verdict: "both" }, 6);
    expect(a.isFiled).toBe(false);
  });
});

describe("a health check and an agent check", () => {
  const said = (state: "unchecked" | "up" | "nolb" | "down") => ({ state, why: state });

  it.each([
    ["unchecked", "unchecked", "unchecked"],
    ["up", "unchecked", "up"],
    ["unchecked", "up", "up"],
    ["nolb", "up", "nolb"],
    ["up", "down", "down"],
    ["unchecked", "down", "down"],
    ["down", "up", "down"],
  ] as const)("that say %s and %s make %s", (own, agent, state) => {
    expect(combineChecks(said(own), said(agent)).state).toBe(state);
  });

  it("are undone each by itself", () => {
    const pool = newPool();
    apply(pool, [endpoint("a")]);
    const a = backendNamed(pool, "a");
    pool.setCheck(a, "up", "", 0);
    pool.setCheck(a, "down", "agent says down", 1, "agent");
    pool.setCheck(a, "up", "", 2);
    expect(a.facts.check).toMatchObject({ state: "down", why: "agent says down" });
    pool.setCheck(a, "up", "", 3, "agent");
    expect(a.facts.check.state).toBe("up");
    expect(pool.total("timesDown")).toBe(1);
  });
});
