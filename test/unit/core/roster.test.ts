import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import type { Endpoint } from "../../../src/core/endpoint.js";
import type { Lease } from "../../../src/core/lease.js";
import type { Waiter } from "../../../src/core/line.js";
import type { Pool } from "../../../src/core/pool.js";
import type { Ticket } from "../../../src/core/queue.js";
import { apply, endpoint, newPool, terms, waiter } from "../../support/pool-fixture.js";
import { seededRandom } from "../../support/seeded-random.js";

const STEPS = 8_000;
const NAMES = Array.from({ length: 12 }, (_, index) => `b${index}`);

function hasRoom({ row, tunnelLimit }: Backend): boolean {
  return tunnelLimit === 0 || row.inFlight < tunnelLimit;
}

function loadOf({ row }: Backend): number {
  return (row.inFlight + 1) / row.weight16;
}

/** The rule, by looking at all: the least load of those that take work and have room. */
function leastLoad(pool: Pool, avoid: readonly Backend[]): number | undefined {
  const loads = [...pool.backends()]
    .filter((each) => pool.tiers.takesWork(each) && hasRoom(each) && !avoid.includes(each))
    .map(loadOf);
  return loads.length === 0 ? undefined : Math.min(...loads);
}

/** A pool that everything happens to, at random, while tunnels and requests come, wait and go. */
class World {
  readonly pool = newPool({ maxRequestsPerBackend: 1, maxInFlightPerBackend: 3, maxQueue: 20 });
  readonly #random: () => number;
  readonly #leases: Lease[] = [];
  readonly #tickets: Ticket[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#list();
  }

  below(most: number): number {
    return Math.floor(this.#random() * most);
  }

  any<Item>(items: readonly Item[]): Item | undefined {
    return items[this.below(items.length)];
  }

  someBackends(): readonly Backend[] {
    return [...this.pool.backends()].filter(() => this.#random() < 0.2);
  }

  step(nowMs: number): void {
    const dice = this.#random();
    if (dice < 0.4) this.#take(nowMs);
    else if (dice < 0.5) this.#wait(nowMs);
    else if (dice < 0.76)
      this.#leases.splice(this.below(this.#leases.length), 1)[0]?.release("success", 200, nowMs);
    else if (dice < 0.78) this.#tickets.splice(this.below(this.#tickets.length), 1)[0]?.cancel();
    else this.#change(nowMs);
  }

  #take(nowMs: number): void {
    const wish = { avoid: this.#random() < 0.3 ? this.someBackends() : [], isTunnel: this.#random() < 0.6 };
    const lease = this.pool.acquireFor(wish, nowMs);
    if (lease !== undefined) this.#leases.push(lease);
  }

  #wait(nowMs: number): void {
    const priority = { class: this.below(3), offsetMs: 0 };
    const wish: Partial<Waiter> = { isTunnel: this.#random() < 0.3, priority };
    const ticket = this.pool.enqueue(
      waiter((lease) => void this.#leases.push(lease), wish),
      nowMs,
    );
    if (ticket !== undefined) this.#tickets.push(ticket);
  }

  #change(nowMs: number): void {
    const { pool } = this;
    const backend = this.any([...pool.backends()]);
    const changes = [
      () => this.#list(),
      () => backend && pool.setCheck(backend, this.#random() < 0.7 ? "down" : "up", "", nowMs),
      () => backend && pool.setAdmin(backend, this.#random() < 0.4 ? "drain" : "ready", terms(), nowMs),
      () => backend && pool.setWeight(backend, { kind: "weight", weight: this.below(5) }, terms(), nowMs),
      () =>
        backend && pool.setLimit(backend, this.#random() < 0.5 ? undefined : this.below(5), terms(), nowMs),
      () => this.#reconfigure(nowMs),
    ];
    this.any(changes)?.();
  }

  #reconfigure(nowMs: number): void {
    const growingLimit = this.#random() < 0.3 ? { least: 1, fullLoad: 20 } : undefined;
    const most = { maxRequestsPerBackend: 1 + this.below(2), maxInFlightPerBackend: this.below(6) };
    const tiers = { allBackups: this.#random() < 0.3, panicThreshold: this.#random() < 0.5 ? 50 : 0 };
    this.pool.reconfigure({ ...this.pool.options, ...most, growingLimit, tiers }, nowMs);
  }

  #list(): void {
    const listed = NAMES.filter(() => this.#random() < 0.8).map(
      (id): Endpoint => endpoint(id, { weight: 1 + this.below(3), priority: this.#random() < 0.3 ? 1 : 0 }),
    );
    apply(this.pool, listed);
  }
}

describe("room for a tunnel", () => {
  it.each([1, 2, 3])("is where looking at all finds it, whatever happens: seed %d", (seed) => {
    const world = new World(seed);
    const { tiers } = world.pool;
    const counts = { found: 0, missed: 0 };
    for (let step = 0; step < STEPS; step++) {
      world.step(step);
      const avoid = step % 2 === 0 ? [] : world.someBackends();
      const picked = tiers.pickForTunnel(avoid);
      const least = leastLoad(world.pool, avoid);
      counts[picked === undefined ? "missed" : "found"]++;
      const isRight =
        picked === undefined
          ? least === undefined
          : tiers.takesWork(picked) && hasRoom(picked) && !avoid.includes(picked) && loadOf(picked) === least;
      if (!isRight) expect.fail(`step ${step}: ${picked?.id} at ${picked && loadOf(picked)}, not ${least}`);
    }
    expect(Math.min(counts.found, counts.missed)).toBeGreaterThan(500);
  });
});
