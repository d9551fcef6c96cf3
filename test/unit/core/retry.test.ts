import { describe, expect, it } from "vitest";
import { backoffMs } from "../../../src/core/backoff.js";
import { retryAdvice, retryConditions } from "../../../src/core/retry.js";
import { RetryBudget } from "../../../src/core/retry-budget.js";
import { seededRandom } from "../../support/seeded-random.js";

describe("what a further try may follow", () => {
  it("is read from words, statuses and names of gRPC statuses", () => {
    const { kinds, statuses, grpcStatuses } = retryConditions([
      "conn-failure",
      503,
      "unavailable",
      "internal",
    ]);
    expect([...kinds]).toEqual(["conn-failure"]);
    expect([...statuses]).toEqual([503]);
    expect([...grpcStatuses]).toEqual([14, 13]);
  });

  it("is everything HAProxy thinks of as retryable", () => {
    const { kinds, statuses } = retryConditions(["all-retryable-errors"]);
    expect([...kinds]).toEqual(["conn-failure", "empty-response", "junk-response", "response-timeout"]);
    expect([...statuses]).toEqual([500, 502, 503, 504]);
  });
});

describe("what an answer says of a further try", () => {
  it.each([
    [undefined, undefined, { kind: "as-you-like" }],
    ["0", undefined, { kind: "after", delayMs: 0, isOfService: true }],
    ["250", "9", { kind: "after", delayMs: 250, isOfService: true }],
    ["-1", undefined, { kind: "never" }],
    ["soon", undefined, { kind: "never" }],
    ["1.5", undefined, { kind: "never" }],
    [undefined, "2", { kind: "after", delayMs: 2_000, isOfService: false }],
    [undefined, "Wed, 21 Oct 2026 07:28:00 GMT", { kind: "never" }],
    [undefined, "-2", { kind: "never" }],
  ])("pushback %s, Retry-After %s", (pushback, retryAfter, advice) => {
    expect(retryAdvice(pushback, retryAfter)).toEqual(advice);
  });
});

describe("the pause before a try (Envoy: uniform in [0, (2^n - 1) * base), capped)", () => {
  const rules = { baseMs: 25, maxMs: 250 };

  it.each([
    [1, 25],
    [2, 75],
    [3, 175],
    [4, 250],
    [20, 250],
    [2_000, 250],
  ])("is below its limit for try %d", (retry, limitMs) => {
    expect(backoffMs(rules, retry, 0)).toBe(0);
    expect(backoffMs(rules, retry, 0.5)).toBe(limitMs / 2);
    expect(backoffMs(rules, retry, 1 - Number.EPSILON)).toBeLessThan(limitMs);
  });
});

describe("the budget", () => {
  it("allows a share of what is under way, and always a few", () => {
    const budget = new RetryBudget();
    const rules = { percent: 20, min: 3 };
    for (let place = 0; place < 3; place++) expect(budget.take(rules, 0)).toBe(true);
    expect(budget.take(rules, 19)).toBe(false);
    expect(budget.take(rules, 20)).toBe(true);
    expect(budget.take(rules, 24)).toBe(false);
    expect(budget.take(rules, 25)).toBe(true);
    budget.giveBack();
    expect(budget.take(rules, 24)).toBe(false);
    budget.giveBack();
    expect(budget.take(rules, 24)).toBe(true);
  });

  it("keeps a service that fails altogether from being called more than its share again", () => {
    const random = seededRandom(1);
    const budget = new RetryBudget();
    const rules = { percent: 20, min: 3 };
    let calls = 0;
    let first = 0;
    // Each step a request comes, fails, and may be tried up to three times; tries end at random steps.
    const trying: { left: number; endsAt: number }[] = [];
    for (let step = 0; step < 20_000; step++) {
      first++;
      calls++;
      const underWay = 50;
      if (budget.take(rules, underWay))
        trying.push({ left: 3, endsAt: step + 1 + Math.floor(random() * 200) });
      for (const each of [...trying]) {
        if (each.endsAt > step) continue;
        calls++;
        each.left--;
        each.endsAt = step + 1 + Math.floor(random() * 200);
        if (each.left > 0) continue;
        trying.splice(trying.indexOf(each), 1);
        budget.giveBack();
      }
      expect(budget.active).toBeLessThanOrEqual(10);
    }
    expect(calls / first).toBeLessThan(1.2);
    expect(calls / first).toBeGreaterThan(1.01);
  });
});
