import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import { RandomDraws } from "../../../../src/core/balancers/random.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo, takeFrom } from "../../../support/pool-fixture.js";
import { seededRandom } from "../../../support/seeded-random.js";

function setUp(weights: readonly number[], draws = 2, limit = 0) {
  const scoreboard = new Scoreboard();
  const balancer = new RandomDraws({ draws }, seededRandom(42));
  const backends = weights.map((weight, index) => backendOf(scoreboard, `b${index}`, weight, limit));
  for (const backend of backends) balancer.add(backend);
  return { balancer, backends };
}

describe("random draws", () => {
  it.each([1, 2])("serves in proportion to weight when idle (%i draws)", (draws) => {
    const { balancer, backends } = setUp([6, 3, 1], draws);
    const shares = new Map<Backend, number>();
    for (let pick = 0; pick < 20_000; pick++) {
      const backend = takeFrom(balancer) as Backend;
      shares.set(backend, (shares.get(backend) ?? 0) + 1);
      giveBackTo(balancer, backend);
    }
    // Five standard deviations of a binomial share are below 350.
    [12_000, 6_000, 2_000].forEach((expected, index) => {
      const share = shares.get(backends[index] as Backend) ?? 0;
      expect(Math.abs(share - expected)).toBeLessThan(350);
    });
  });

  it("keeps the load level with two draws far better than with one", () => {
    const spread = (draws: number) => {
      const { balancer, backends } = setUp(
        Array.from({ length: 50 }, () => 1),
        draws,
      );
      for (let lease = 0; lease < 2_500; lease++) takeFrom(balancer);
      return Math.max(...backends.map((backend) => backend.inFlight)) - 50;
    };
    expect(spread(2)).toBeLessThanOrEqual(5);
    expect(spread(1)).toBeGreaterThan(2 * spread(2));
  });

  it("takes one to avoid only when nothing else is left", () => {
    const { balancer, backends } = setUp([256, 1]);
    const [heavy, light] = backends as [Backend, Backend];
    for (let pick = 0; pick < 100; pick++) expect(balancer.pick([heavy])).toBe(light);
    expect(balancer.pick([heavy, light])).toBeDefined();
    balancer.remove(light);
    expect(balancer.pick([heavy])).toBe(heavy);
  });

  it("draws no backend at its limit, and has nothing when all are", () => {
    const { balancer, backends } = setUp([1, 1, 1], 2, 2);
    for (let lease = 0; lease < 6; lease++) expect(takeFrom(balancer)).toBeDefined();
    expect(backends.map((backend) => backend.inFlight)).toEqual([2, 2, 2]);
    expect(balancer.pick([])).toBeUndefined();
    giveBackTo(balancer, backends[1] as Backend);
    expect(balancer.pick([])).toBe(backends[1]);
    expect(balancer.pick([backends[1] as Backend])).toBe(backends[1]);
  });

  it("follows weights and removals", () => {
    const { balancer, backends } = setUp([1, 1]);
    const [a, b] = backends as [Backend, Backend];
    balancer.remove(a);
    balancer.remove(a);
    expect(balancer.size).toBe(1);
    for (let pick = 0; pick < 20; pick++) expect(balancer.pick([])).toBe(b);
    balancer.remove(b);
    expect(balancer.pick([])).toBeUndefined();
  });
});
