import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import { RoundRobin } from "../../../../src/core/balancers/roundrobin.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo, takeFrom } from "../../../support/pool-fixture.js";
import { seededRandom } from "../../../support/seeded-random.js";

function setUp(weights: readonly number[], limit = 0) {
  const scoreboard = new Scoreboard();
  const balancer = new RoundRobin();
  const backends = weights.map((weight, index) => backendOf(scoreboard, `b${index}`, weight, limit));
  for (const backend of backends) balancer.add(backend);
  return { balancer, backends };
}

function serve(balancer: RoundRobin, avoid: readonly Backend[] = []): Backend {
  const backend = takeFrom(balancer, avoid);
  if (backend === undefined) throw new Error("nothing to take");
  giveBackTo(balancer, backend);
  return backend;
}

function sequence(balancer: RoundRobin, backends: readonly Backend[], picks: number): number[] {
  return Array.from({ length: picks }, () => backends.indexOf(serve(balancer)));
}

function shares(served: readonly number[], backends: number): number[] {
  return Array.from({ length: backends }, (_, index) => served.filter((each) => each === index).length);
}

/** Greatest distance from the proportional share, over every window of every length. */
function greatestDeviation(served: readonly number[], weights: readonly number[]): number {
  const sum = weights.reduce((a, b) => a + b, 0);
  let greatest = 0;
  weights.forEach((weight, index) => {
    let highest = 0;
    let lowest = 0;
    let lead = 0;
    for (const each of served) {
      lead += (each === index ? 1 : 0) - weight / sum;
      greatest = Math.max(greatest, lead - lowest, highest - lead);
      highest = Math.max(highest, lead);
      lowest = Math.min(lowest, lead);
    }
  });
  return greatest;
}

function longestRun(served: readonly number[]): number {
  let longest = 0;
  let run = 0;
  served.forEach((each, index) => {
    run = each === served[index - 1] ? run + 1 : 1;
    longest = Math.max(longest, run);
  });
  return longest;
}

describe("roundrobin", () => {
  it("gives exact shares in every cycle", () => {
    const { balancer, backends } = setUp([5, 1, 1]);
    for (let cycle = 0; cycle < 50; cycle++) {
      expect(shares(sequence(balancer, backends, 7), 3)).toEqual([5, 1, 1]);
    }
  });

  it.each([
    { weights: [1, 1, 1], run: 1, within: 1 },
    { weights: [5, 1, 1], run: 3, within: 1 },
    { weights: [3, 2], run: 2, within: 1 },
    { weights: [256, 1], run: 256, within: 1 },
    { weights: [7, 5, 3, 1], run: 2, within: 1.51 },
  ])("spreads $weights evenly", ({ weights, run, within }) => {
    const { balancer, backends } = setUp(weights);
    const served = sequence(balancer, backends, 4 * weights.reduce((a, b) => a + b, 0));
    expect(longestRun(served)).toBeLessThanOrEqual(run);
    expect(greatestDeviation(served, weights)).toBeLessThan(within);
  });

  it("stays near the proportional share for any weights", () => {
    const random = seededRandom(7);
    for (let trial = 0; trial < 60; trial++) {
      const weights = Array.from(
        { length: 2 + Math.floor(random() * 8) },
        () => 1 + Math.floor(random() * 20),
      );
      const { balancer, backends } = setUp(weights);
      const served = sequence(balancer, backends, 600);
      expect(greatestDeviation(served, weights), `weights ${weights}`).toBeLessThan(2);
    }
  });

  it("passes over a full backend and gives it no credit for the time", () => {
    const { balancer, backends } = setUp([1, 1, 1], 1);
    const held = takeFrom(balancer) as Backend;
    for (let pick = 0; pick < 100; pick++) expect(serve(balancer)).not.toBe(held);
    giveBackTo(balancer, held);
    const served = sequence(balancer, backends, 30);
    for (const share of shares(served, 3)) expect(Math.abs(share - 10)).toBeLessThanOrEqual(1);
  });

  it("has nothing to pick when all are full", () => {
    const { balancer, backends } = setUp([1, 1], 1);
    takeFrom(balancer);
    takeFrom(balancer);
    expect(balancer.pick([])).toBeUndefined();
    expect(balancer.pick(backends)).toBeUndefined();
  });

  it("charges a backend served out of turn, and no other", () => {
    const { balancer, backends } = setUp([64, 1, 1]);
    const [heavy] = backends as [Backend];
    const served = [backends.indexOf(serve(balancer, [heavy]))];
    served.push(...sequence(balancer, backends, 65));
    // Taken early by one light backend, its turn is not taken again, and the other's is not hastened.
    expect(shares(served, 3)).toEqual([64, 1, 1]);
  });

  it("leaves a backend that was avoided for long neither starved nor flooding", () => {
    const { balancer, backends } = setUp([4, 2, 1]);
    const [first] = backends as [Backend];
    for (let pick = 0; pick < 1_000; pick++) serve(balancer, [first]);
    const served = sequence(balancer, backends, 70);
    expect(Math.abs((shares(served, 3)[0] ?? 0) - 40)).toBeLessThanOrEqual(5);
  });

  it("follows a weight at once", () => {
    const { balancer, backends } = setUp([1, 1]);
    sequence(balancer, backends, 10);
    backends[0]?.weigh(48);
    if (backends[0] !== undefined) balancer.reweigh(backends[0]);
    const [heavy = 0] = shares(sequence(balancer, backends, 40), 2);
    expect(Math.abs(heavy - 30)).toBeLessThanOrEqual(1);
  });

  it("gives one that comes back no turns it missed", () => {
    const { balancer, backends } = setUp([1, 1]);
    const [first] = backends as [Backend];
    balancer.remove(first);
    sequence(balancer, backends, 100);
    balancer.add(first);
    const [share = 0] = shares(sequence(balancer, backends, 20), 2);
    expect(Math.abs(share - 10)).toBeLessThanOrEqual(1);
  });
});
