import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import { First } from "../../../../src/core/balancers/first.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo, takeFrom } from "../../../support/pool-fixture.js";

function filled(ids: readonly string[], limit: number): { balancer: First; byId: Map<string, Backend> } {
  const balancer = new First();
  const scoreboard = new Scoreboard();
  const byId = new Map(ids.map((id) => [id, backendOf(scoreboard, id, 1, limit)]));
  for (const backend of byId.values()) balancer.add(backend);
  return { balancer, byId };
}

describe("first", () => {
  it("fills the backends in the order of their keys, whatever the order of joining", () => {
    const { balancer } = filled(["c", "a", "b"], 2);
    const taken = Array.from({ length: 6 }, () => takeFrom(balancer)?.endpoint.id);
    expect([taken, balancer.pick([])]).toEqual([["a", "a", "b", "b", "c", "c"], undefined]);
  });

  it("returns to the first as soon as that has a slot again", () => {
    const { balancer, byId } = filled(["a", "b"], 1);
    takeFrom(balancer);
    takeFrom(balancer);
    giveBackTo(balancer, byId.get("a") as Backend);
    expect(balancer.pick([])?.endpoint.id).toBe("a");
  });

  it("keeps to the first where there is no limit", () => {
    const { balancer } = filled(["a", "b"], 0);
    const taken = Array.from({ length: 5 }, () => takeFrom(balancer)?.endpoint.id);
    expect(new Set(taken)).toEqual(new Set(["a"]));
  });

  it("takes the next for who is to be avoided, and the avoided one when it is alone", () => {
    const { balancer, byId } = filled(["a", "b"], 0);
    const [a, b] = [byId.get("a") as Backend, byId.get("b") as Backend];
    expect([balancer.pick([a]), balancer.pick([a, b])]).toEqual([b, a]);
  });

  it("lets who joins later take its place in the order, and forgets who leaves", () => {
    const { balancer, byId } = filled(["b", "c"], 0);
    expect(balancer.pick([])?.endpoint.id).toBe("b");
    const scoreboard = new Scoreboard();
    for (let row = 0; row < 2; row++) scoreboard.allocate();
    balancer.add(backendOf(scoreboard, "a"));
    expect([balancer.pick([])?.endpoint.id, balancer.size]).toEqual(["a", 3]);
    balancer.remove(byId.get("b") as Backend);
    expect(balancer.size).toBe(2);
  });

  it("follows a limit that is lifted", () => {
    const { balancer, byId } = filled(["a", "b"], 1);
    takeFrom(balancer);
    const a = byId.get("a") as Backend;
    a.row.limit = 2;
    balancer.reweigh(a);
    expect(balancer.pick([])).toBe(a);
  });
});
