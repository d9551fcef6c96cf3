import { describe, expect, it } from "vitest";
import { CheckStarts } from "../../../src/control/check-starts.js";
import { ManualClock } from "../../support/manual-clock.js";

function setUp() {
  const clock = new ManualClock();
  const starts = new CheckStarts(clock);
  const made: string[] = [];
  return { clock, starts, made, call: (name: string) => () => made.push(`${name} at ${clock.nowMs()}`) };
}

describe("CheckStarts", () => {
  it.each([
    ["the next moment of the grid", 1_000, 1_004, 1_010, 1_000],
    ["the moment after it where that is nearer", 1_000, 1_006, 1_010, 1_010],
    ["a later moment where the near one lies before the span", 1_002, 1_003, 1_010, 1_010],
    ["an earlier moment where the near one lies behind the span", 1_000, 1_006, 1_009, 1_000],
    ["what was chosen where the span holds no moment of the grid", 1_002, 1_006, 1_009, 1_006],
    ["what was chosen where there is no choice", 1_003, 1_003, 1_003, 1_003],
  ])("starts at %s", async (_title, leastMs, atMs, mostMs, dueMs) => {
    const { clock, starts, made, call } = setUp();
    expect(starts.within(leastMs, atMs, mostMs, call("a")).dueMs).toBe(dueMs);
    await clock.advance(20);
    expect(made).toEqual([`a at ${dueMs}`]);
  });

  it("shares one timer among those that start at one moment, in the order they asked", async () => {
    const { clock, starts, made, call } = setUp();
    for (const [name, atMs] of [
      ["a", 1_017],
      ["b", 1_024],
      ["c", 1_026],
    ] as const)
      starts.within(1_000, atMs, 1_100, call(name));
    expect(clock.pendingTimers()).toBe(2);
    await clock.advance(100);
    expect(made).toEqual(["a at 1020", "b at 1020", "c at 1030"]);
  });

  it("forgets a start that is cancelled, and the timer with the last of them", async () => {
    const { clock, starts, made, call } = setUp();
    const a = starts.within(1_020, 1_020, 1_020, call("a"));
    const b = starts.within(1_020, 1_020, 1_020, call("b"));
    a.cancel();
    a.cancel();
    expect(clock.pendingTimers()).toBe(1);
    b.cancel();
    expect(clock.pendingTimers()).toBe(0);
    await clock.advance(100);
    expect(made).toEqual([]);
  });

  it("leaves out a start that another one of the same moment cancels", async () => {
    const { clock, starts, made, call } = setUp();
    starts.within(1_020, 1_020, 1_020, () => b.cancel());
    const b = starts.within(1_020, 1_020, 1_020, call("b"));
    await clock.advance(100);
    expect(made).toEqual([]);
  });

  it("starts again at the same moment what asks within its call", async () => {
    const { clock, starts, made, call } = setUp();
    starts.within(1_020, 1_020, 1_020, () => {
      starts.within(1_020, 1_020, 1_020, call("again"));
    });
    await clock.advance(100);
    expect(made).toEqual(["again at 1020"]);
  });
});
