import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { COUNTER, COUNTER_NAMES, type Row, Scoreboard } from "../../../src/core/scoreboard.js";

describe.each([
  { name: "one thread", options: {} },
  { name: "a shared buffer", options: { shared: true } },
  { name: "three writers over a shared buffer", options: { shared: true, writers: 3 } },
])("scoreboard over $name", ({ options }) => {
  it("counts each row apart, whatever is taken, given back, freed and reused", () => {
    const kinds = fc.constantFrom("allocate", "free", "take", "giveBack", "add");
    const step = fc.record({
      kind: kinds,
      pick: fc.nat(),
      counter: fc.nat(COUNTER_NAMES.length - 1),
      writer: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: "max" }), (steps) => {
        const scoreboard = new Scoreboard(options);
        const model = new Map<Row, { open: number[]; counted: number[] }>();
        for (const { kind, pick, counter, writer: drawn } of steps) {
          const writer = drawn % scoreboard.writers;
          const [row, held] = [...model][pick % Math.max(model.size, 1)] ?? [];
          if (kind === "allocate" || row === undefined || held === undefined) {
            const added = scoreboard.allocate();
            model.set(added, {
              open: Array(scoreboard.writers).fill(0),
              counted: COUNTER_NAMES.map(() => 0),
            });
          } else if (kind === "take") {
            row.take(writer);
            held.open[writer] = (held.open[writer] ?? 0) + 1;
          } else if (kind === "giveBack" && (held.open[writer] ?? 0) > 0) {
            row.giveBack(writer);
            row.add(COUNTER.success, writer, 1);
            held.open[writer] = (held.open[writer] ?? 0) - 1;
            held.counted[COUNTER.success] = (held.counted[COUNTER.success] ?? 0) + 1;
          } else if (kind === "add" && counter > COUNTER.ignored) {
            row.add(counter, writer, 2.5);
            held.counted[counter] = (held.counted[counter] ?? 0) + 2.5;
          } else if (kind === "free" && row.inFlight === 0) {
            scoreboard.free(row);
            model.delete(row);
          }
        }
        for (const [row, { open, counted }] of model) {
          const inFlight = open.reduce((a, b) => a + b, 0);
          expect(row.inFlight).toBe(inFlight);
          expect(row.read(COUNTER.served)).toBe(inFlight + (counted[COUNTER.success] ?? 0));
          for (const counter of Object.values(COUNTER)) {
            if (counter !== COUNTER.served) expect(row.read(counter)).toBe(counted[counter]);
          }
        }
        expect(new Set([...model.keys()].map((row) => row.index)).size).toBe(model.size);
      }),
    );
  });

  it("takes back what a dead writer held and keeps the others' leases", () => {
    if (!("writers" in options)) return;
    const row = new Scoreboard(options).allocate();
    row.take(0);
    row.take(2);
    row.take(2);
    expect(row.reclaim(2)).toBe(2);
    expect(row.inFlight).toBe(1);
    expect(row.read(COUNTER.served)).toBe(3);
    expect(row.reclaim(2)).toBe(0);
  });
});

describe("a row", () => {
  it("keeps its last numbers once freed, and lets nothing through to its successor", () => {
    const scoreboard = new Scoreboard();
    const old = scoreboard.allocate();
    old.take(0);
    old.giveBack(0);
    old.add(COUNTER.success, 0, 1);
    old.weight16 = 32;
    old.limit = 7;
    old.state = 15;
    scoreboard.free(old);
    const successor = scoreboard.allocate();
    expect(successor.index).toBe(old.index);
    expect(successor.generation).toBe(old.generation + 1);
    expect([successor.inFlight, successor.maxInFlight, successor.weight16, successor.limit]).toEqual([
      0, 0, 0, 0,
    ]);
    expect([successor.state, successor.read(COUNTER.served)]).toEqual([0, 0]);
    old.add(COUNTER.bytesOut, 0, 99);
    old.state = 1;
    old.take(0);
    expect([old.isFreed, old.weight16, old.limit, old.read(COUNTER.success)]).toEqual([true, 32, 7, 1]);
    expect([successor.read(COUNTER.bytesOut), successor.state, successor.inFlight]).toEqual([0, 0, 0]);
  });

  it("cannot be freed twice, nor while something is in flight", () => {
    const scoreboard = new Scoreboard();
    const row = scoreboard.allocate();
    row.take(0);
    expect(() => scoreboard.free(row)).toThrow(RangeError);
    row.giveBack(0);
    scoreboard.free(row);
    expect(() => scoreboard.free(row)).toThrow(RangeError);
  });

  it("is full at its limit, not before, and never without one", () => {
    const row = new Scoreboard().allocate();
    row.limit = 2;
    row.take(0);
    expect(row.isFull).toBe(false);
    row.take(0);
    expect(row.isFull).toBe(true);
    row.limit = 0;
    expect(row.isFull).toBe(false);
  });

  it("remembers the most in flight until the maxima are cleared", () => {
    const row = new Scoreboard().allocate();
    row.take(0);
    row.take(0);
    row.giveBack(0);
    expect(row.maxInFlight).toBe(2);
    row.clearMaxima();
    expect(row.maxInFlight).toBe(1);
  });

  it("does not wrap where Int32 would", () => {
    const row = new Scoreboard().allocate();
    row.add(COUNTER.bytesOut, 0, 2 ** 40);
    row.add(COUNTER.bytesOut, 0, 1);
    expect(row.read(COUNTER.bytesOut)).toBe(2 ** 40 + 1);
  });

  it("stands alone across chunks", () => {
    const scoreboard = new Scoreboard();
    const rows = Array.from({ length: 700 }, () => scoreboard.allocate());
    rows.forEach((row, index) => {
      row.weight16 = index;
    });
    expect(rows.map((row) => row.weight16)).toEqual(rows.map((_, index) => index));
    expect(scoreboard.size).toBe(700);
  });
});
