import { describe, expect, it } from "vitest";
import { FlapBook, type FlapRules } from "../../../src/control/flap-book.js";

const RULES: FlapRules = { halfLifeMs: 60_000, suppress: 2_500, reuse: 750, maxSuppressMs: 300_000 };
const others = ["b", "c", "d"];
const none: ReadonlySet<string> = new Set();

/** A book over a pool of four, of which `a` comes and goes. */
class Scene {
  readonly book = new FlapBook();

  constructor() {
    this.rejoin(0);
  }

  leave(nowMs: number): void {
    this.book.note(new Set(others), none, RULES, nowMs);
  }

  rejoin(nowMs: number): void {
    this.book.note(new Set(["a", ...others]), none, RULES, nowMs);
  }

  flap(times: number, atMs: number): void {
    for (let n = 0; n < times; n += 1) {
      this.leave(atMs);
      this.rejoin(atMs);
    }
  }

  a(nowMs: number) {
    return this.book.of("a", RULES, nowMs);
  }
}

describe("the penalty of an instance", () => {
  it("is 1000 per departure and nothing for coming", () => {
    const scene = new Scene();
    expect(scene.a(0)).toBeUndefined();
    scene.leave(0);
    scene.rejoin(0);
    expect(scene.a(0)).toMatchObject({ penalty: 1_000, departures: 1, isSuppressed: false });
  });

  it("halves with each half life", () => {
    const scene = new Scene();
    scene.flap(1, 0);
    expect(scene.a(60_000)?.penalty).toBeCloseTo(500, 6);
    expect(scene.a(30_000)?.penalty).toBeCloseTo(707.1, 1);
  });

  it("suppresses from its limit on, and a departure a minute never does", () => {
    const often = new Scene();
    often.flap(1, 0);
    often.flap(1, 1);
    expect(often.a(1)?.isSuppressed).toBe(false);
    often.flap(1, 2);
    expect(often.a(2)?.isSuppressed).toBe(true);
    const seldom = new Scene();
    for (let minute = 0; minute < 100; minute += 1) seldom.flap(1, minute * 60_000);
    expect(seldom.a(99 * 60_000)).toMatchObject({ isSuppressed: false });
    expect(seldom.a(99 * 60_000)?.penalty).toBeCloseTo(2_000, 0);
  });

  it("lets it work again just below the lower limit, at the time it foretold", () => {
    const scene = new Scene();
    scene.flap(3, 0);
    const reuseMs = scene.a(0)?.reuseMs ?? 0;
    expect(reuseMs).toBeCloseTo(120_000, 6);
    expect(scene.a(reuseMs - 1)?.isSuppressed).toBe(true);
    expect(scene.a(reuseMs + 1)?.isSuppressed).toBe(false);
  });

  it("stays suppressed between the limits, and is not anew until it passes the upper one", () => {
    const scene = new Scene();
    scene.flap(3, 0);
    expect(scene.a(100_000)?.isSuppressed).toBe(true);
    expect(scene.a(130_000)?.isSuppressed).toBe(false);
    scene.flap(1, 130_000);
    expect(scene.a(130_000)).toMatchObject({ isSuppressed: false, departures: 4 });
  });

  it("has a ceiling, so that no suppression outlasts its longest time", () => {
    const scene = new Scene();
    scene.flap(500, 0);
    expect(scene.a(0)?.penalty).toBe(750 * 2 ** 5);
    expect(scene.a(299_999)?.isSuppressed).toBe(true);
    expect(scene.a(300_001)?.isSuppressed).toBe(false);
  });

  it("is forgotten below half of the lower limit", () => {
    const scene = new Scene();
    scene.flap(1, 0);
    scene.rejoin(84_000);
    expect(scene.a(84_000)).toBeDefined();
    scene.rejoin(86_000);
    expect(scene.a(86_000)).toBeUndefined();
  });
});

describe("a departure", () => {
  it("is not charged while somebody has it in maintenance", () => {
    const scene = new Scene();
    for (let n = 0; n < 5; n += 1) {
      scene.book.note(new Set(others), new Set(["a"]), RULES, 0);
      scene.rejoin(0);
    }
    expect(scene.a(0)).toBeUndefined();
  });

  it("is charged to nobody when more than half leave at once", () => {
    const scene = new Scene();
    for (let n = 0; n < 10; n += 1) {
      scene.book.note(new Set(["d"]), none, RULES, n);
      scene.rejoin(n);
    }
    expect(scene.a(10)).toBeUndefined();
    scene.book.note(new Set(["c", "d"]), none, RULES, 11);
    expect([scene.a(11), scene.book.of("b", RULES, 11)]).toMatchObject([
      { departures: 1 },
      { departures: 1 },
    ]);
  });

  it("of the only instance is not charged", () => {
    const book = new FlapBook();
    for (let n = 0; n < 10; n += 1) {
      book.note(new Set(["a"]), none, RULES, n);
      book.note(none, none, RULES, n);
    }
    expect(book.of("a", RULES, 10)).toBeUndefined();
  });
});

it("remembers ten thousand, and the youngest of them", () => {
  const book = new FlapBook();
  const stay = Array.from({ length: 2 }, (_, n) => `stay-${n}`);
  for (let n = 0; n < 10_001; n += 1) {
    book.note(new Set([...stay, `gone-${n}`]), none, RULES, 0);
    book.note(new Set(stay), none, RULES, 0);
  }
  expect(book.of("gone-0", RULES, 0)).toBeUndefined();
  expect(book.of("gone-1", RULES, 0)).toBeDefined();
  expect(book.of("gone-10000", RULES, 0)).toBeDefined();
}, 60_000);
