import { describe, expect, it } from "vitest";
import { ListGuard, type SuspicionRules } from "../../../src/control/list-guard.js";
import type { Endpoint } from "../../../src/core/endpoint.js";
import { endpoint } from "../../support/pool-fixture.js";

const everything: SuspicionRules = { removedPercent: 100, holdMs: 60_000 };
const all = () => true;

function list(...ids: string[]): readonly Endpoint[] {
  return ids.map((id) => endpoint(id));
}

function idsOf(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ id }) => id);
}

/** A guard that believes `ids`. */
function believing(...ids: string[]): ListGuard {
  const guard = new ListGuard();
  guard.judge(list(...ids), everything, all, 0);
  return guard;
}

describe("an answer that would remove everything", () => {
  it("is believed when it is the first", () => {
    const judged = new ListGuard().judge([], everything, all, 0);
    expect(judged).toEqual({ endpoints: [], suspicion: undefined, end: undefined });
  });

  it("is held while what it lacks lives", () => {
    const guard = believing("a", "b");
    const { endpoints, suspicion } = guard.judge([], everything, all, 5_000);
    expect(idsOf(endpoints)).toEqual(["a", "b"]);
    expect(suspicion).toMatchObject({ sinceMs: 5_000, untilMs: 65_000, before: 2, left: 0 });
  });

  it("is believed at once when nothing shows life", () => {
    const guard = believing("a", "b");
    expect(guard.judge([], everything, () => false, 0)).toMatchObject({ endpoints: [], end: undefined });
  });

  it("never keeps an instance that shows no life, and drops each when it ceases to", () => {
    const guard = believing("a", "b", "c");
    expect(idsOf(guard.judge([], everything, ({ id }) => id !== "a", 0).endpoints)).toEqual(["b", "c"]);
    expect(idsOf(guard.judge([], everything, ({ id }) => id === "c", 1).endpoints)).toEqual(["c"]);
    expect(guard.judge([], everything, () => false, 2)).toMatchObject({ endpoints: [], end: "lifeless" });
  });

  it("is believed when its time is over, no sooner", () => {
    const guard = believing("a");
    guard.judge([], everything, all, 1_000);
    expect(guard.judge([], everything, all, 60_999).suspicion).toBeDefined();
    expect(guard.judge([], everything, all, 61_000)).toMatchObject({ endpoints: [], end: "time" });
    expect(guard.judge([], everything, all, 61_001).end).toBeUndefined();
  });

  it("does not gain time by being repeated", () => {
    const guard = believing("a");
    for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000)
      expect(guard.judge([], everything, all, nowMs).suspicion).toBeDefined();
    expect(guard.judge([], everything, all, 60_000).suspicion).toBeUndefined();
  });

  it("is forgotten with the next answer that lists something that works", () => {
    const guard = believing("a", "b");
    guard.judge([], everything, all, 0);
    const { endpoints, suspicion, end } = guard.judge(list("b"), everything, all, 1_000);
    expect([idsOf(endpoints), suspicion, end]).toEqual([["b"], undefined, "answer"]);
    expect(guard.judge([], everything, all, 2_000).suspicion).toMatchObject({ sinceMs: 2_000, before: 1 });
  });

  it("is no suspicion when others take the place of all", () => {
    expect(idsOf(believing("a", "b").judge(list("c"), everything, all, 0).endpoints)).toEqual(["c"]);
  });

  it("is a suspicion when what is left takes no work, which itself is not doubted", () => {
    const guard = believing("a", "b");
    const critical = endpoint("a", { status: "critical", admitted: false });
    const { endpoints, suspicion } = guard.judge([critical], everything, all, 0);
    expect(endpoints.map(({ id, admitted }) => [id, admitted])).toEqual([
      ["a", false],
      ["b", true],
    ]);
    expect(suspicion).toMatchObject({ before: 2, left: 0 });
  });

  it("is no suspicion when all are listed as critical: that is said of each of them", () => {
    const critical = ["a", "b"].map((id) => endpoint(id, { status: "critical", admitted: false }));
    const { endpoints, suspicion } = believing("a", "b").judge(critical, everything, all, 0);
    expect([endpoints, suspicion]).toEqual([critical, undefined]);
  });

  it("takes nothing from a pool whose instances took no work before", () => {
    const guard = new ListGuard();
    guard.judge([endpoint("a", { admitted: false }), endpoint("b", { weight: 0 })], everything, all, 0);
    expect(guard.judge([], everything, all, 1).suspicion).toBeUndefined();
  });

  it("does not keep what took no work", () => {
    const guard = new ListGuard();
    guard.judge([endpoint("a"), endpoint("b", { admitted: false })], everything, all, 0);
    expect(idsOf(guard.judge([], everything, all, 1).endpoints)).toEqual(["a"]);
  });

  it("is believed where suspicion is off", () => {
    expect(believing("a").judge([], undefined, all, 0).endpoints).toEqual([]);
  });
});

describe("an answer that would remove more than a share", () => {
  const half: SuspicionRules = { removedPercent: 50, holdMs: 1_000 };

  it.each([
    [["a", "b", "c"], true],
    [["a", "b"], false],
    [["a"], false],
    // Newcomers make up for those that left.
    [["a", "x", "y"], true],
  ])("of four leaves %j: believed %s", (left, isBelieved) => {
    const guard = believing("a", "b", "c", "d");
    const { suspicion, endpoints } = guard.judge(list(...left), half, all, 0);
    expect(suspicion === undefined).toBe(isBelieved);
    expect(idsOf(endpoints).sort()).toEqual(isBelieved ? [...left].sort() : ["a", "b", "c", "d"]);
  });

  it("measures against the last list it believed, so that a trickle does not pass", () => {
    const guard = believing("a", "b", "c", "d");
    guard.judge(list("a"), half, all, 0);
    expect(idsOf(guard.judge(list("a", "b"), half, all, 1).endpoints).sort()).toEqual(["a", "b", "c", "d"]);
    expect(idsOf(guard.judge(list("a", "b", "c"), half, all, 2).endpoints)).toEqual(["a", "b", "c"]);
  });
});

it("keeps every address of an instance that an answer lacks", () => {
  const guard = new ListGuard();
  const addresses = ["10.0.0.1", "10.0.0.2"].map((host) => endpoint("a", { host }));
  guard.judge(addresses, everything, all, 0);
  expect(guard.judge([], everything, all, 1).endpoints).toEqual(addresses);
});
