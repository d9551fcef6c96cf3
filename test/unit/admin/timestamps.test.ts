import { describe, expect, it } from "vitest";
import {
  fromDuration,
  Timestamps,
  toDuration,
  toFineDuration,
  wallTimestamp,
} from "../../../src/admin/timestamps.js";
import { ManualClock } from "../../support/manual-clock.js";

describe("Timestamps", () => {
  it("turns a monotonic time into the wall time it had", () => {
    const clock = new ManualClock();
    const time = new Timestamps(clock);
    const thenMs = clock.nowMs();
    clock.advanceSync(61_234);
    expect(time.at(thenMs)).toEqual({ seconds: 1_700_000_000n, nanos: 0 });
    expect(time.now()).toEqual({ seconds: 1_700_000_061n, nanos: 234_000_000 });
    expect(time.since(thenMs)).toEqual({ seconds: 61n, nanos: 234_000_000 });
  });

  it("leaves out times that are not there", () => {
    const time = new Timestamps(new ManualClock());
    expect(time.at(undefined)).toBeUndefined();
    expect(time.at(Number.POSITIVE_INFINITY)).toBeUndefined();
    expect(time.since(undefined)).toBeUndefined();
  });

  it("says the same of one moment although the two clocks are read one after the other", () => {
    const clock = new ManualClock();
    const time = new Timestamps(clock);
    const first = time.at(1000);
    clock.setWall(clock.wallMs() + 3);
    expect(time.at(1000)).toEqual(first);
  });

  it("follows a wall clock that was set", () => {
    const clock = new ManualClock();
    const time = new Timestamps(clock);
    time.at(1000);
    clock.setWall(1_800_000_000_000);
    expect(time.at(1000)).toEqual({ seconds: 1_800_000_000n, nanos: 0 });
  });
});

describe("durations and timestamps", () => {
  it.each([
    [0, 0n, 0],
    [999.6, 1n, 0],
    [1500, 1n, 500_000_000],
    [-5, 0n, 0],
  ])("writes %d ms", (ms, seconds, nanos) => {
    expect(toDuration(ms)).toEqual({ seconds, nanos });
  });

  it.each([
    [0.236_074, 0n, 236_000],
    [999.999_6, 1n, 0],
    [1_500.25, 1n, 500_250_000],
    [-0.5, 0n, 0],
  ])("writes %d ms finely", (ms, seconds, nanos) => {
    expect(toFineDuration(ms)).toEqual({ seconds, nanos });
  });

  it("reads what it writes", () => {
    expect(fromDuration(toDuration(90_061_007))).toBe(90_061_007);
  });

  it("keeps nanos positive before the epoch", () => {
    expect(wallTimestamp(-1)).toEqual({ seconds: -1n, nanos: 999_000_000 });
  });
});
