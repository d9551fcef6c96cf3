import { describe, expect, it } from "vitest";
import {
  ABSENT_OVERRIDE_MS,
  MOST_OVERRIDDEN_KEYS,
  OVERRIDE_ORIGINS,
  OverrideBook,
  type OverrideOrigin,
  overrideOf,
} from "../../../src/core/override.js";
import { terms } from "../../support/pool-fixture.js";

const drain = (ttlMs: number | undefined, nowMs: number) => overrideOf("drain" as const, terms(ttlMs), nowMs);
const heavy = (ttlMs: number | undefined, nowMs: number) =>
  overrideOf({ kind: "weight", weight: 9 } as const, terms(ttlMs), nowMs);

describe("overrides", () => {
  it("end exactly on time, each by itself", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: drain(100, 0), weight: heavy(200, 0) });
    expect(book.nextExpiryMs()).toBe(100);
    expect(book.expire(99)).toEqual([]);
    expect(book.expire(100)).toEqual(["a"]);
    expect([book.of("a").admin, book.of("a").weight?.value]).toEqual([
      undefined,
      { kind: "weight", weight: 9 },
    ]);
    expect(book.nextExpiryMs()).toBe(200);
    expect(book.expire(200)).toEqual(["a"]);
    expect(book.keys()).toEqual([]);
    expect(book.nextExpiryMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("without an end last while the backend is there, and a day once it is away", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: drain(undefined, 0) });
    book.seen("a", true, 0);
    expect(book.expire(10 * ABSENT_OVERRIDE_MS)).toEqual([]);
    book.seen("a", false, 1_000);
    book.seen("a", false, 5_000);
    expect(book.nextExpiryMs()).toBe(1_000 + ABSENT_OVERRIDE_MS);
    expect(book.expire(1_000 + ABSENT_OVERRIDE_MS - 1)).toEqual([]);
    expect(book.expire(1_000 + ABSENT_OVERRIDE_MS)).toEqual(["a"]);
  });

  it("start their day anew when the backend was back in between", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: drain(undefined, 0) });
    book.seen("a", false, 0);
    book.seen("a", true, 500);
    expect(book.nextExpiryMs()).toBe(Number.POSITIVE_INFINITY);
    book.seen("a", false, 900);
    expect(book.nextExpiryMs()).toBe(900 + ABSENT_OVERRIDE_MS);
  });

  it("with an end keep it while the backend is away", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: drain(3 * ABSENT_OVERRIDE_MS, 0) });
    book.seen("a", false, 0);
    expect(book.nextExpiryMs()).toBe(3 * ABSENT_OVERRIDE_MS);
  });

  it("are forgotten when taken back, absence included", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: drain(undefined, 0) });
    book.seen("a", false, 0);
    book.set("a", "operator", { admin: undefined });
    expect(book.keys()).toEqual([]);
    book.set("a", "operator", { weight: heavy(undefined, 0) });
    expect(book.nextExpiryMs()).toBe(Number.POSITIVE_INFINITY);
  });

  it("are full at the limit", () => {
    const book = new OverrideBook();
    for (let key = 0; key < MOST_OVERRIDDEN_KEYS - 1; key++)
      book.set(`k${key}`, "operator", { weight: heavy(undefined, 0) });
    expect(book.isFull).toBe(false);
    book.set("last", "operator", { weight: heavy(undefined, 0) });
    expect(book.isFull).toBe(true);
  });

  it("lie in layers: the strongest is in force, and each origin takes back its own alone", () => {
    const book = new OverrideBook();
    const by = (origin: OverrideOrigin) => ({ ...terms(undefined), origin });
    const weight = (origin: OverrideOrigin, percent: number) => ({
      weight: overrideOf({ kind: "percent", percent } as const, by(origin), 0),
    });
    for (const [index, origin] of [...OVERRIDE_ORIGINS].reverse().entries()) {
      book.set("a", origin, weight(origin, index));
      expect(book.of("a").weight?.origin).toBe(origin);
    }
    book.set("a", "agent", { limit: overrideOf(5, by("agent"), 0) });
    expect(book.layers("a").map(([origin]) => origin)).toEqual([...OVERRIDE_ORIGINS]);
    for (const [index, origin] of OVERRIDE_ORIGINS.entries()) {
      expect(book.of("a").weight?.origin).toBe(origin);
      book.set("a", origin, { weight: undefined });
      expect(book.of("a").weight?.origin).toBe(OVERRIDE_ORIGINS[index + 1]);
    }
    expect(book.of("a").limit?.value).toBe(5);
    book.set("a", "operator", { limit: undefined });
    expect(book.of("a").limit?.value).toBe(5);
    book.set("a", "agent", { limit: undefined });
    expect(book.keys()).toEqual([]);
  });

  it("uncover the weaker layer when the stronger one expires", () => {
    const book = new OverrideBook();
    book.set("a", "operator", { admin: overrideOf("maint", terms(100), 0) });
    book.set("a", "agent", { admin: overrideOf("drain", { ...terms(undefined), origin: "agent" }, 0) });
    expect(book.of("a").admin?.value).toBe("maint");
    expect(book.expire(100)).toEqual(["a"]);
    expect(book.of("a").admin?.value).toBe("drain");
  });
});
