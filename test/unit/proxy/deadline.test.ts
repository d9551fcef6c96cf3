import { describe, expect, it } from "vitest";
import { Deadline } from "../../../src/proxy/deadline.js";
import { ManualClock } from "../../support/manual-clock.js";

function scene() {
  const clock = new ManualClock();
  const passed: number[] = [];
  return { clock, passed, deadline: new Deadline(clock, () => passed.push(clock.nowMs())) };
}

describe("a deadline", () => {
  it("passes once, at its time and not before", () => {
    const { clock, passed, deadline } = scene();
    const startMs = clock.nowMs();
    deadline.set(100, startMs);
    clock.advanceSync(99);
    expect(passed).toEqual([]);
    clock.advanceSync(1);
    clock.advanceSync(1_000);
    expect(passed).toEqual([startMs + 100]);
  });

  it("moves later without a new timer, and passes at the later time", () => {
    const { clock, passed, deadline } = scene();
    const startMs = clock.nowMs();
    deadline.set(100, startMs);
    clock.advanceSync(60);
    deadline.set(100, clock.nowMs());
    clock.advanceSync(99);
    expect(passed).toEqual([]);
    clock.advanceSync(1);
    expect(passed).toEqual([startMs + 160]);
  });

  it("moves earlier", () => {
    const { clock, passed, deadline } = scene();
    const startMs = clock.nowMs();
    deadline.set(100, startMs);
    deadline.set(10, startMs);
    clock.advanceSync(10);
    expect(passed).toEqual([startMs + 10]);
  });

  it("never passes when it is 0, cleared or cancelled", () => {
    for (const stop of ["zero", "clear", "cancel"] as const) {
      const { clock, passed, deadline } = scene();
      deadline.set(100, clock.nowMs());
      if (stop === "zero") deadline.set(0, clock.nowMs());
      else deadline[stop]();
      clock.advanceSync(1_000);
      expect(passed).toEqual([]);
    }
  });

  it("can be set anew after each of these", () => {
    const { clock, passed, deadline } = scene();
    deadline.set(100, clock.nowMs());
    deadline.clear();
    deadline.set(50, clock.nowMs());
    clock.advanceSync(50);
    deadline.set(50, clock.nowMs());
    deadline.cancel();
    deadline.set(50, clock.nowMs());
    clock.advanceSync(50);
    expect(passed).toHaveLength(2);
  });

  it("may be set again by what it calls", () => {
    const clock = new ManualClock();
    let count = 0;
    const deadline: Deadline = new Deadline(clock, () => {
      if (++count < 3) deadline.set(10, clock.nowMs());
    });
    deadline.set(10, clock.nowMs());
    clock.advanceSync(100);
    expect(count).toBe(3);
  });
});
