import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import type { Balancer } from "../../../../src/core/balancer.js";
import { ConsistentHash } from "../../../../src/core/balancers/consistent-hash.js";
import { Maglev } from "../../../../src/core/balancers/maglev.js";
import { hashText } from "../../../../src/core/hash.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo } from "../../../support/pool-fixture.js";
import { seededRandom } from "../../../support/seeded-random.js";

const KEYS = Array.from({ length: 20_000 }, (_, index) => hashText(`key-${index}`));

type Make = (loadFactor: number) => Balancer;

const MAKERS: readonly (readonly [string, Make])[] = [
  ["consistent-hash", (loadFactor) => new ConsistentHash({ virtualNodes: 128, loadFactor }, seededRandom(7))],
  ["maglev", (loadFactor) => new Maglev({ tableSize: 65_537, loadFactor }, seededRandom(7))],
];

function filled(balancer: Balancer, weights: readonly number[], limit = 0): Backend[] {
  const scoreboard = new Scoreboard();
  const backends = weights.map((weight, index) => backendOf(scoreboard, `b${index}`, weight, limit));
  for (const backend of backends) balancer.add(backend);
  return backends;
}

/** Where every key goes, once a table under construction is whole. */
function placesOf(balancer: Balancer): (Backend | undefined)[] {
  while (balancer instanceof Maglev && !balancer.isSettled) balancer.pick([], 0);
  return KEYS.map((key) => balancer.pick([], key));
}

function countOf(places: readonly (Backend | undefined)[], backend: Backend | undefined): number {
  return places.filter((each) => each === backend).length;
}

function take(balancer: Balancer, hash?: number): Backend {
  const backend = balancer.pick([], hash);
  if (backend === undefined) throw new Error("nothing to pick");
  backend.row.take(0);
  balancer.taken(backend);
  return backend;
}

describe.each(MAKERS)("%s", (name, make) => {
  // A ring of 128 points a backend is even within about 1/sqrt(128) = 9 percent (one sigma), a table within 1 percent.
  const spread = name === "maglev" ? 0.04 : 0.35;

  it("gives every backend its share of the keys by weight", () => {
    const balancer = make(0);
    const weights = [1, 1, 2, 4, 8, 1, 2, 4];
    const backends = filled(balancer, weights);
    const places = placesOf(balancer);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    backends.forEach((backend, index) => {
      const share = countOf(places, backend) / KEYS.length;
      const fair = (weights[index] as number) / total;
      expect(Math.abs(share / fair - 1), `share of b${index}`).toBeLessThan(spread + 0.04 / fair ** 0.5);
    });
  });

  it("keeps a key where it is, in any order of joining", () => {
    const one = make(0);
    const other = make(0);
    filled(one, [1, 1, 1, 1, 1]);
    const scoreboard = new Scoreboard();
    const backends = ["b3", "b1", "b4", "b0", "b2"].map((id) => backendOf(scoreboard, id));
    for (const backend of backends) other.add(backend);
    expect(placesOf(one).map((each) => each?.id)).toEqual(placesOf(other).map((each) => each?.id));
  });

  it("moves about the keys of who leaves, and takes them back when it returns", () => {
    const balancer = make(0);
    const backends = filled(balancer, Array<number>(20).fill(1));
    const before = placesOf(balancer);
    const gone = backends[7] as Backend;
    balancer.remove(gone);
    const without = placesOf(balancer);
    const moved = without.filter((each, index) => each !== before[index]).length / KEYS.length;
    const held = countOf(before, gone) / KEYS.length;
    expect(countOf(without, gone)).toBe(0);
    // The ring moves none but those; the table some more.
    expect(moved - held).toBeLessThanOrEqual(name === "maglev" ? 0.05 : 0);
    balancer.add(gone);
    expect(placesOf(balancer)).toEqual(before);
  });

  it("moves about a share of the keys to who joins, and none between the others", () => {
    const balancer = make(0);
    const scoreboard = new Scoreboard();
    const backends = Array.from({ length: 20 }, (_, index) => backendOf(scoreboard, `b${index}`));
    for (const backend of backends.slice(1)) balancer.add(backend);
    const before = placesOf(balancer);
    balancer.add(backends[0] as Backend);
    const after = placesOf(balancer);
    const moved = after.filter((each, index) => each !== before[index]);
    const elsewhere = moved.filter((each) => each !== backends[0]).length;
    expect(moved.length / KEYS.length).toBeLessThan(0.12);
    expect(moved.length / KEYS.length).toBeGreaterThan(0.02);
    expect(elsewhere / KEYS.length).toBeLessThanOrEqual(name === "maglev" ? 0.05 : 0);
  });

  it("gives a ramping backend its share in steps", () => {
    const balancer = make(0);
    const backends = filled(balancer, Array<number>(8).fill(16));
    const ramping = backends[3] as Backend;
    const counts = [16, 64, 128, 256].map((weight16) => {
      ramping.weigh(weight16);
      balancer.reweigh(ramping);
      return countOf(placesOf(balancer), ramping);
    });
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    expect((counts[0] as number) / (counts[3] as number)).toBeLessThan(0.2);
  });

  it("never lets the load of one exceed its bound, whatever the keys", () => {
    const balancer = make(1.25);
    const weights = [1, 2, 3, 4, 1, 2, 3, 4, 5, 5];
    const backends = filled(balancer, weights);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const random = seededRandom(11);
    const open: Backend[] = [];
    for (let step = 0; step < 20_000; step++) {
      if (open.length > 0 && random() < (open.length > 150 ? 0.6 : 0.4)) {
        const [backend] = open.splice(Math.floor(random() * open.length), 1);
        if (backend !== undefined) giveBackTo(balancer, backend);
        continue;
      }
      // Half of the requests share three keys.
      const key = KEYS[random() < 0.5 ? Math.floor(random() * 3) : Math.floor(random() * KEYS.length)];
      const backend = take(balancer, key);
      open.push(backend);
      const weight = weights[backends.indexOf(backend)] as number;
      expect(backend.inFlight).toBeLessThanOrEqual(Math.ceil((1.25 * open.length * weight) / total));
    }
    expect(balancer.size).toBe(10);
  });

  it("sends a key to the next backend while its own is at the limit or to be avoided", () => {
    const balancer = make(0);
    filled(balancer, [1, 1, 1], 1);
    const own = take(balancer, 99);
    const next = balancer.pick([], 99);
    expect([next === own, next === undefined]).toEqual([false, false]);
    giveBackTo(balancer, own);
    expect([balancer.pick([own], 99), balancer.pick([], 99)]).toEqual([next, own]);
  });

  it("takes who is to be avoided when nothing else is left, and nobody when all are full", () => {
    const balancer = make(1.25);
    const backends = filled(balancer, [1, 1], 1);
    const first = take(balancer, 5);
    const last = backends.find((backend) => backend !== first) as Backend;
    expect(balancer.pick([last], 5)).toBe(last);
    take(balancer, 5);
    expect(balancer.pick([], 5)).toBeUndefined();
    expect(make(0).pick([], 5)).toBeUndefined();
  });

  it("serves an empty pool's first backend, and the one that takes its row", () => {
    const balancer = make(1.25);
    const scoreboard = new Scoreboard();
    const first = backendOf(scoreboard, "first");
    balancer.add(first);
    expect(balancer.pick([], 1)).toBe(first);
    balancer.remove(first);
    expect([balancer.pick([], 1), balancer.size]).toEqual([undefined, 0]);
    scoreboard.free(first.row);
    const second = backendOf(scoreboard, "second");
    balancer.add(second);
    for (let pick = 0; pick < 3; pick++) expect(balancer.pick([], 1)).toBe(second);
  });

  it("shares requests without a key by weight", () => {
    const balancer = make(0);
    const [light, heavy] = filled(balancer, [1, 3]) as [Backend, Backend];
    let onHeavy = 0;
    for (let pick = 0; pick < 4_000; pick++) if (balancer.pick([]) === heavy) onHeavy++;
    expect([onHeavy > 2_600, onHeavy < 3_400, light.inFlight]).toEqual([true, true, 0]);
  });
});

describe("a Maglev table under construction", () => {
  it("is served by the old one, which gives nothing to who left", () => {
    const balancer = new Maglev({ tableSize: 65_537, loadFactor: 0 }, seededRandom(1));
    const backends = filled(balancer, Array<number>(10).fill(1));
    placesOf(balancer);
    balancer.remove(backends[0] as Backend);
    let picks = 0;
    while (!balancer.isSettled) {
      expect(balancer.pick([], KEYS[picks++])).not.toBe(backends[0]);
    }
    expect(picks).toBeGreaterThan(20);
  });

  it("becomes whole under a storm of changes", () => {
    const balancer = new Maglev({ tableSize: 1_009, loadFactor: 0 }, seededRandom(1));
    const scoreboard = new Scoreboard();
    filled(balancer, [1, 1]);
    placesOf(balancer);
    const late = backendOf(scoreboard, "late");
    // The rows of another scoreboard would collide, so the late one takes a row behind theirs.
    const rows = [scoreboard.allocate(), scoreboard.allocate()];
    expect(rows).toHaveLength(2);
    const newcomer = backendOf(scoreboard, "newcomer");
    balancer.add(newcomer);
    let served = 0;
    for (let pick = 0; pick < 500; pick++) {
      balancer.reweigh(newcomer);
      if (balancer.pick([], KEYS[pick]) === newcomer) served++;
    }
    expect([served > 50, late.inFlight]).toEqual([true, 0]);
  });
});
