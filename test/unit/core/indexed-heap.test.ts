import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { IndexedHeap } from "../../../src/core/indexed-heap.js";

type Step =
  | { readonly kind: "set"; readonly row: number; readonly key: number }
  | { readonly kind: "remove"; readonly row: number };

const row = fc.integer({ min: 0, max: 200 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("set" as const), row, key: fc.integer({ min: 0, max: 8 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), row }) },
  ),
  { maxLength: 400, size: "max" },
);

/** The same, as a list that is sorted for every question. */
class Model {
  readonly filed = new Map<number, { key: number; order: number }>();

  sorted(): number[] {
    return [...this.filed]
      .sort(([, a], [, b]) => a.key - b.key || a.order - b.order)
      .map(([filedRow]) => filedRow);
  }
}

function play(taken: readonly Step[]): { heap: IndexedHeap; model: Model } {
  const heap = new IndexedHeap();
  const model = new Model();
  taken.forEach((step, order) => {
    if (step.kind === "set") {
      heap.set(step.row, step.key, order);
      model.filed.set(step.row, { key: step.key, order });
    } else {
      heap.remove(step.row);
      model.filed.delete(step.row);
    }
    expect(heap.first()).toBe(model.sorted()[0] ?? -1);
  });
  return { heap, model };
}

describe("indexed heap", () => {
  it("always has the least key first, and among equals the least order", () => {
    fc.assert(
      fc.property(steps, (taken) => {
        const { heap, model } = play(taken);
        expect(heap.size).toBe(model.filed.size);
        for (const [filedRow, { key, order }] of model.filed) {
          expect([heap.keyOf(filedRow), heap.orderOf(filedRow)]).toEqual([key, order]);
        }
        const emptied: number[] = [];
        for (let first = heap.first(); first >= 0; first = heap.first()) {
          emptied.push(first);
          heap.remove(first);
        }
        expect(emptied).toEqual(model.sorted().filter((each) => emptied.includes(each)));
        expect(emptied).toHaveLength(model.filed.size);
      }),
    );
  });

  it("finds the first that is not to be avoided", () => {
    fc.assert(
      fc.property(steps, fc.array(row, { maxLength: 6 }), (taken, avoid) => {
        const { heap, model } = play(taken);
        const expected = model.sorted().find((each) => !avoid.includes(each)) ?? -1;
        expect(heap.firstExcept(avoid)).toBe(expected);
      }),
    );
  });

  it("answers for what is absent", () => {
    const heap = new IndexedHeap();
    expect(heap.first()).toBe(-1);
    expect(heap.firstExcept([1])).toBe(-1);
    expect(heap.has(5)).toBe(false);
    expect(heap.has(50_000)).toBe(false);
    heap.remove(5);
    expect(() => heap.keyOf(5)).toThrow(RangeError);
    expect(() => heap.orderOf(50_000)).toThrow(RangeError);
  });

  it("holds rows far apart and many of them", () => {
    const heap = new IndexedHeap();
    heap.set(9_999, 2, 1);
    for (let each = 0; each < 5_000; each++) heap.set(each, 3, each);
    heap.set(70_000, 1, 1);
    expect(heap.first()).toBe(70_000);
    heap.remove(70_000);
    expect(heap.first()).toBe(9_999);
    expect(heap.keyOf(9_999)).toBe(2);
  });
});
