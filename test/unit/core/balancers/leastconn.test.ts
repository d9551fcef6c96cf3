import { describe, expect, it } from "vitest";
import type { Backend } from "../../../../src/core/backend.js";
import { Leastconn, loadKey } from "../../../../src/core/balancers/leastconn.js";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import { backendOf, giveBackTo, takeFrom } from "../../../support/pool-fixture.js";
import { seededRandom } from "../../../support/seeded-random.js";

function setUp(idle: "weighted" | "haproxy", weights: readonly number[], limit = 0) {
  const scoreboard = new Scoreboard();
  const balancer = new Leastconn({ idle });
  const backends = weights.map((weight, index) => backendOf(scoreboard, `b${index}`, weight, limit));
  for (const backend of backends) balancer.add(backend);
  return { scoreboard, balancer, backends };
}

function mustTake(balancer: Leastconn, avoid: readonly Backend[] = []): Backend {
  const backend = takeFrom(balancer, avoid);
  if (backend === undefined) throw new Error("nothing to take");
  return backend;
}

function sharesOneAtATime(idle: "weighted" | "haproxy", weights: readonly number[], picks: number): number[] {
  const { balancer, backends } = setUp(idle, weights);
  const shares = backends.map(() => 0);
  for (let pick = 0; pick < picks; pick++) {
    const backend = mustTake(balancer);
    shares[backends.indexOf(backend)] = (shares[backends.indexOf(backend)] ?? 0) + 1;
    giveBackTo(balancer, backend);
  }
  return shares;
}

describe("leastconn", () => {
  it.each([
    { inFlight: 0, weight: 1, limit: 0, key: 0 },
    { inFlight: 0, weight: 256, limit: 0, key: 0 },
    { inFlight: 1, weight: 256, limit: 0, key: 2 },
    { inFlight: 1, weight: 1, limit: 0, key: 512 },
    { inFlight: 2, weight: 10, limit: 0, key: 76 },
    { inFlight: 2, weight: 10, limit: 3, key: 76 },
    { inFlight: 3, weight: 10, limit: 3, key: Number.POSITIVE_INFINITY },
    { inFlight: 4, weight: 10, limit: 3, key: Number.POSITIVE_INFINITY },
  ])("gives $inFlight in flight at weight $weight and limit $limit the key $key", (given) => {
    const backend = backendOf(new Scoreboard(), "a", given.weight, given.limit);
    for (let lease = 0; lease < given.inFlight; lease++) backend.row.take(0);
    expect(loadKey(backend)).toBe(given.key);
  });

  it("treats idle backends alike whatever their weight under HAProxy's rule", () => {
    expect(sharesOneAtATime("haproxy", [10, 1, 1], 12)).toEqual([4, 4, 4]);
    expect(sharesOneAtATime("haproxy", [256, 1, 1], 300)).toEqual([100, 100, 100]);
  });

  it.each(["haproxy", "weighted"] as const)(
    "holds 24 leases as 20, 2 and 2 at weights 10, 1 and 1 (%s)",
    (idle) => {
      const { balancer, backends } = setUp(idle, [10, 1, 1]);
      for (let lease = 0; lease < 24; lease++) mustTake(balancer);
      expect(backends.map((backend) => backend.inFlight)).toEqual([20, 2, 2]);
    },
  );

  it("serves idle backends by weight when they are ordered by weight", () => {
    expect(sharesOneAtATime("weighted", [256, 1, 1], 258 * 4)).toEqual([1024, 4, 4]);
    expect(sharesOneAtATime("weighted", [10, 1, 1], 120)).toEqual([100, 10, 10]);
    expect(sharesOneAtATime("weighted", [1, 1, 1], 12)).toEqual([4, 4, 4]);
  });

  it("keeps the light ones' turns apart when overlapping leases serve them early", () => {
    const { balancer, backends } = setUp("weighted", [256, 1, 1]);
    const shares = [0, 0, 0];
    const count = (backend: Backend) => {
      const at = backends.indexOf(backend);
      shares[at] = (shares[at] ?? 0) + 1;
    };
    for (let round = 0; round < 100; round++) {
      const first = mustTake(balancer);
      const second = mustTake(balancer);
      count(first);
      count(second);
      giveBackTo(balancer, first);
      giveBackTo(balancer, second);
      for (let single = 0; single < 10; single++) {
        const backend = mustTake(balancer);
        count(backend);
        giveBackTo(balancer, backend);
      }
    }
    // Of 1,200 picks each of the 100 overlaps must go to a light one; hardly any other does.
    expect((shares[1] ?? 0) + (shares[2] ?? 0)).toBeLessThanOrEqual(110);
  });

  it("gives a backend that was busy for long no burst when it is idle again", () => {
    const { balancer, backends } = setUp("weighted", [1, 1, 1]);
    const busy = mustTake(balancer);
    for (let pick = 0; pick < 1_000; pick++) giveBackTo(balancer, mustTake(balancer));
    giveBackTo(balancer, busy);
    const shares = [0, 0, 0];
    for (let pick = 0; pick < 30; pick++) {
      const backend = mustTake(balancer);
      const at = backends.indexOf(backend);
      shares[at] = (shares[at] ?? 0) + 1;
      giveBackTo(balancer, backend);
    }
    for (const share of shares) expect(Math.abs(share - 10)).toBeLessThanOrEqual(1);
  });

  it("takes one to avoid only when nothing else is left, and none that is full", () => {
    const { balancer, backends } = setUp("weighted", [1, 1], 1);
    const [a, b] = backends as [Backend, Backend];
    expect(balancer.pick([a])).toBe(b);
    expect(balancer.pick([a, b])).toBeDefined();
    const first = mustTake(balancer, [a]);
    expect(first).toBe(b);
    expect(mustTake(balancer, [a])).toBe(a);
    expect(balancer.pick([])).toBeUndefined();
    giveBackTo(balancer, b);
    expect(balancer.pick([])).toBe(b);
  });

  it("is not misled by a backend to avoid whose row has a new owner", () => {
    const { scoreboard, balancer, backends } = setUp("weighted", [1, 1]);
    const [a, b] = backends as [Backend, Backend];
    balancer.remove(a);
    scoreboard.free(a.row);
    const successor = backendOf(scoreboard, "c");
    balancer.add(successor);
    expect(successor.row.index).toBe(a.row.index);
    expect(balancer.pick([a, b])).toBe(successor);
  });

  it("counts and forgets what is added, removed and removed twice", () => {
    const { balancer, backends } = setUp("haproxy", [1, 1]);
    expect(balancer.size).toBe(2);
    for (const backend of backends) balancer.remove(backend);
    for (const backend of backends) balancer.remove(backend);
    expect(balancer.size).toBe(0);
    expect(balancer.pick([])).toBeUndefined();
  });
});

/**
 * The same rule, told a second time and scanned in full: HAProxy's key, then among the loaded the one whose key
 * was set longest ago. With `weighted` idle ones come by weight, in an order of their own, so there any idle
 * backend agrees with the oracle and the shares are judged apart.
 */
class Oracle {
  readonly #idle: "weighted" | "haproxy";
  readonly #known = new Map<Backend, { open: number; weight: number; limit: number; filed: number }>();
  #clock = 0;

  constructor(idle: "weighted" | "haproxy") {
    this.#idle = idle;
  }

  join(backend: Backend, weight: number, limit: number, open: number): void {
    this.#known.set(backend, { open, weight, limit, filed: ++this.#clock });
  }

  leave(backend: Backend): void {
    this.#known.delete(backend);
  }

  change(backend: Backend, to: { open?: number; weight?: number; limit?: number }): void {
    const known = this.#known.get(backend);
    if (known !== undefined) this.#known.set(backend, { ...known, ...to, filed: ++this.#clock });
  }

  /** All that may come next, in a set: one backend, or several idle ones. */
  next(): ReadonlySet<Backend> {
    let leastKey = Number.POSITIVE_INFINITY;
    let leastFiled = 0;
    let best: Backend[] = [];
    for (const [backend, { open, weight, limit, filed }] of this.#known) {
      if (limit > 0 && open >= limit) continue;
      const key = open === 0 ? 0 : Math.floor(((open + 1) * 256) / weight);
      if (key === 0 && leastKey === 0 && this.#idle === "weighted") {
        best.push(backend);
      } else if (key < leastKey || (key === leastKey && filed < leastFiled)) {
        leastKey = key;
        leastFiled = filed;
        best = [backend];
      }
    }
    return new Set(best);
  }
}

/** Runs seeded operations against balancer and oracle; answers how many picks were compared. */
function compare(idle: "weighted" | "haproxy", operations: number, seed: number): number {
  const random = seededRandom(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const scoreboard = new Scoreboard();
  const balancer = new Leastconn({ idle });
  const oracle = new Oracle(idle);
  const filed: Backend[] = [];
  const drained: Backend[] = [];
  const leases: Backend[] = [];
  let joined = 0;
  let picks = 0;

  const file = (backend: Backend) => {
    filed.push(backend);
    balancer.add(backend);
    oracle.join(backend, backend.weight, backend.row.limit, backend.inFlight);
  };
  const takeOut = (list: Backend[]): Backend | undefined => {
    if (list.length === 0) return undefined;
    const at = below(list.length);
    const taken = list[at];
    const last = list.pop();
    if (last !== undefined && at < list.length) list[at] = last;
    return taken;
  };
  const newWeight = () => (random() < 0.3 ? 1 + below(256) : 1 + below(4));
  const newLimit = () => (random() < 0.6 ? 0 : 1 + below(5));
  const settle = (backend: Backend) => {
    backend.row.giveBack(0);
    if (filed.includes(backend)) balancer.released(backend);
    oracle.change(backend, { open: backend.inFlight });
  };

  for (let operation = 0; operation < operations; operation++) {
    const dice = random();
    if (dice < 0.47) {
      const expected = oracle.next();
      const picked = balancer.pick([]);
      picks++;
      if (picked === undefined ? expected.size > 0 : !expected.has(picked)) {
        const names = [...expected].map((backend) => backend.id).join(" or ");
        throw new Error(
          `seed ${seed}, operation ${operation}: picked ${picked?.id}, expected ${names || "none"}`,
        );
      }
      if (picked === undefined) continue;
      picked.row.take(0);
      balancer.taken(picked);
      oracle.change(picked, { open: picked.inFlight });
      leases.push(picked);
    } else if (dice < 0.94) {
      const backend = takeOut(leases);
      if (backend !== undefined) settle(backend);
    } else if (dice < 0.955 && filed.length < 24) {
      file(backendOf(scoreboard, `b${joined++}`, newWeight(), newLimit()));
    } else if (dice < 0.965) {
      const backend = takeOut(filed);
      if (backend === undefined) continue;
      balancer.remove(backend);
      oracle.leave(backend);
      drained.push(backend);
    } else if (dice < 0.975) {
      const backend = takeOut(drained);
      if (backend !== undefined) file(backend);
    } else if (dice < 0.978) {
      const gone = drained.find((backend) => backend.inFlight === 0);
      if (gone === undefined) continue;
      drained.splice(drained.indexOf(gone), 1);
      scoreboard.free(gone.row);
    } else {
      const backend = filed[below(filed.length)];
      if (backend === undefined) continue;
      if (random() < 0.5) {
        const weight = newWeight();
        backend.weigh(weight * 16);
      } else backend.row.limit = newLimit();
      balancer.reweigh(backend);
      oracle.change(backend, { weight: backend.weight, limit: backend.row.limit });
    }
  }
  return picks;
}

describe("leastconn beside a full scan", () => {
  it.each(["haproxy", "weighted"] as const)("picks the same over a million operations (idle %s)", (idle) => {
    expect(compare(idle, 1_000_000, 20_240_601)).toBeGreaterThan(400_000);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("picks the same with seed %i", (seed) => {
    compare("haproxy", 20_000, seed);
    compare("weighted", 20_000, seed);
  });
});
