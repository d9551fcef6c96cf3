import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import { LoadBuckets } from "../../../src/core/load-buckets.js";
import { ExactLoadIndex, type LoadIndex } from "../../../src/core/load-index.js";
import { Scoreboard } from "../../../src/core/scoreboard.js";
import { backendOf } from "../../support/pool-fixture.js";

const BACKENDS = 150;
const FULL = Number.POSITIVE_INFINITY;

function newBackends(scoreboard = new Scoreboard()): Backend[] {
  return Array.from({ length: BACKENDS }, (_, index) => backendOf(scoreboard, `b${index}`));
}

function some(backends: readonly Backend[]): [Backend, Backend, Backend] {
  const [a, b, c] = backends;
  if (a === undefined || b === undefined || c === undefined) throw new Error("three are there");
  return [a, b, c];
}

describe.each([
  { name: "a heap of backends", make: (): LoadIndex => new ExactLoadIndex() },
  { name: "buckets of equal load", make: (): LoadIndex => new LoadBuckets() },
])("a load index over $name", ({ make }) => {
  it("answers as a list would that is sorted for every question", () => {
    const at = fc.nat(BACKENDS - 1);
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ at, key: fc.constantFrom(0, 1, 2, 3, 40, 500, 6_000, FULL) }) },
      { weight: 1, arbitrary: fc.record({ at, key: fc.integer({ min: 0, max: 100_000 }) }) },
      { weight: 2, arbitrary: fc.record({ at, key: fc.constant(undefined) }) },
    );
    const avoided = fc.array(at, { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(step, avoided), { maxLength: 300, size: "max" }), (steps) => {
        const backends = newBackends();
        const index = make();
        const model = new Map<Backend, { key: number; order: number }>();
        steps.forEach(([{ at: position, key }, avoid], order) => {
          const backend = backends[position] as Backend;
          if (key === undefined) {
            index.remove(backend);
            model.delete(backend);
          } else {
            index.file(backend, key);
            model.set(backend, { key, order });
          }
          const ranked = [...model]
            .filter(([, filed]) => filed.key !== FULL)
            .sort(([, x], [, y]) => x.key - y.key || x.order - y.order)
            .map(([each]) => each);
          const unwanted = avoid.map((each) => backends[each] as Backend);
          expect(index.size).toBe(model.size);
          expect(index.has(backend)).toBe(model.has(backend));
          expect(index.first([])?.id).toBe(ranked[0]?.id);
          expect(index.first(unwanted)?.id).toBe(ranked.find((each) => !unwanted.includes(each))?.id);
        });
      }),
      { numRuns: 60 },
    );
  });

  it("keeps the order of filing among equals, and files a repeated one last", () => {
    const [a, b, c] = some(newBackends());
    const index = make();
    for (const each of [a, b, c, a]) index.file(each, 7);
    const order: string[] = [];
    for (let first = index.first([]); first !== undefined; first = index.first([])) {
      order.push(first.id);
      index.remove(first);
    }
    expect(order).toEqual([b.id, c.id, a.id]);
  });

  it("is not misled by one that left and whose row has a new owner", () => {
    const scoreboard = new Scoreboard();
    const [a, b] = some(newBackends(scoreboard));
    const index = make();
    index.file(a, 1);
    index.file(b, 2);
    index.remove(a);
    scoreboard.free(a.row);
    const heir = backendOf(scoreboard, "heir");
    index.file(heir, 1);
    expect([index.has(a), index.has(heir), heir.row.index]).toEqual([false, true, a.row.index]);
    expect(index.first([a])).toBe(heir);
    index.remove(a);
    expect(index.first([])).toBe(heir);
  });

  it("stays right over very many different keys", () => {
    const [a, b] = some(newBackends());
    const index = make();
    index.file(b, 1_000_000);
    for (let key = 0; key < 5_000; key++) {
      index.file(a, key);
      expect(index.first([])).toBe(a);
      expect(index.first([a])).toBe(b);
    }
    expect(index.size).toBe(2);
  });

  it("takes a first backend whose row is far up", () => {
    const scoreboard = new Scoreboard();
    for (let row = 0; row < 5_000; row++) scoreboard.allocate();
    const late = backendOf(scoreboard, "late");
    const index = make();
    index.file(late, 3);
    expect(index.first([])).toBe(late);
  });
});
