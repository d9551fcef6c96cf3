import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import { Ewma } from "../../../../src/core/balancers/ewma.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo, takeFrom } from "../../../support/pool-fixture.js";
import { seededRandom } from "../../../support/seeded-random.js";

const OPTIONS = { decayMs: 10_000, defaultRttMs: 30 };

function filled(weights: readonly number[], limit = 0): { balancer: Ewma; backends: Backend[] } {
  const balancer = new Ewma(OPTIONS, seededRandom(3));
  const scoreboard = new Scoreboard();
  const backends = weights.map((weight, index) => backendOf(scoreboard, `b${index}`, weight, limit));
  for (const backend of backends) balancer.add(backend);
  return { balancer, backends };
}

describe("ewma", () => {
  it("costs the latency times what will be in flight, 30 ms where nothing is known", () => {
    const { balancer, backends } = filled([1, 1]);
    const a = backends[0] as Backend;
    expect(balancer.costOf(a)).toBe(30);
    a.row.take(0);
    balancer.taken(a);
    expect(balancer.costOf(a)).toBe(60);
  });

  it("jumps to a peak at once and forgets it over the decay time", () => {
    const { balancer, backends } = filled([1, 1]);
    const a = backends[0] as Backend;
    balancer.observe(a, 500, "success", 0);
    expect(balancer.costOf(a)).toBe(500);
    balancer.observe(a, 100, "success", 10_000);
    // 500/e + 100 * (1 - 1/e)
    expect(balancer.costOf(a)).toBeCloseTo(247.15, 1);
  });

  it("lets time alone lower an estimate, so that who was slow is tried again", () => {
    const { balancer, backends } = filled([1, 1]);
    const [a, b] = backends as [Backend, Backend];
    balancer.observe(a, 500, "success", 0);
    balancer.observe(b, 10, "success", 40_000);
    expect(balancer.costOf(a)).toBeCloseTo(500 * Math.exp(-4), 3);
  });

  it("takes no failure and nobody's leaving for speed", () => {
    const { balancer, backends } = filled([1, 1]);
    const a = backends[0] as Backend;
    balancer.observe(a, 1, "server-error", 0);
    balancer.observe(a, -1, "connect-failure", 0);
    balancer.observe(a, 900, "ignored", 0);
    expect(balancer.costOf(a)).toBe(30);
    balancer.observe(a, 200, "server-error", 0);
    expect(balancer.costOf(a)).toBe(200);
  });

  it("shares by weight while all are as fast", () => {
    const { balancer, backends } = filled([1, 2, 3, 4]);
    const counts = new Map<Backend, number>();
    const open: Backend[] = [];
    for (let step = 0; step < 20_000; step++) {
      const backend = takeFrom(balancer) as Backend;
      counts.set(backend, (counts.get(backend) ?? 0) + 1);
      open.push(backend);
      if (open.length < 40) continue;
      const oldest = open.shift() as Backend;
      balancer.observe(oldest, 30, "success", step);
      giveBackTo(balancer, oldest);
    }
    backends.forEach((backend, index) => {
      expect(Math.abs((counts.get(backend) ?? 0) / 20_000 - (index + 1) / 10)).toBeLessThan(0.05);
    });
  });

  it("keeps away from who is ten times slower, and not for ever", () => {
    const { balancer, backends } = filled([1, 1, 1, 1, 1]);
    const slow = backends[2] as Backend;
    const picks = (from: number, slowMs: number): number => {
      let onSlow = 0;
      for (let step = 0; step < 2_000; step++) {
        const backend = takeFrom(balancer) as Backend;
        if (backend === slow) onSlow++;
        balancer.observe(backend, backend === slow ? slowMs : 10, "success", from + step);
        giveBackTo(balancer, backend);
      }
      return onSlow;
    };
    expect(picks(0, 100)).toBeLessThan(100);
    picks(40_000, 10);
    expect(picks(90_000, 10)).toBeGreaterThan(100);
  });

  it("draws nobody at its limit, avoids who is to be avoided, and answers undefined when all are full", () => {
    const { balancer, backends } = filled([1, 1], 1);
    const [a, b] = backends as [Backend, Backend];
    for (let pick = 0; pick < 20; pick++) expect(balancer.pick([a])).toBe(b);
    expect(balancer.pick([a, b])).toBeDefined();
    takeFrom(balancer, [b]);
    for (let pick = 0; pick < 20; pick++) expect(balancer.pick([])).toBe(b);
    takeFrom(balancer);
    expect(balancer.pick([])).toBeUndefined();
  });

  it("forgets who leaves", () => {
    const { balancer, backends } = filled([1, 1]);
    balancer.remove(backends[0] as Backend);
    expect([balancer.size, balancer.costOf(backends[0] as Backend)]).toEqual([1, Number.POSITIVE_INFINITY]);
    for (let pick = 0; pick < 20; pick++) expect(balancer.pick([])).toBe(backends[1]);
  });
});
