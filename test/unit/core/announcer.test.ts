import { describe, expect, it } from "vitest";
import { Announcer } from "../../../src/core/announcer.js";
import type { PoolEvent } from "../../../src/core/events.js";

const usable = (isUsable: boolean): PoolEvent => ({ type: "usable-changed", isUsable });

function setUp() {
  const failures: string[] = [];
  return { failures, announcer: new Announcer((what) => failures.push(what)) };
}

describe("announcer", () => {
  it("tells nothing before delivery, and everything in order then", () => {
    const { announcer } = setUp();
    const heard: unknown[] = [];
    announcer.subscribe((event, nowMs) => heard.push([event, nowMs]));
    announcer.note(usable(true), 1);
    announcer.note(usable(false), 2);
    expect([heard, announcer.isPending]).toEqual([[], true]);
    announcer.deliver();
    expect(heard).toEqual([
      [usable(true), 1],
      [usable(false), 2],
    ]);
    expect(announcer.isPending).toBe(false);
  });

  it("tells what a listener brings about after what is being told", () => {
    const { announcer } = setUp();
    const heard: string[] = [];
    announcer.subscribe((_event, nowMs) => {
      heard.push(`first ${nowMs}`);
      if (nowMs > 2) return;
      announcer.note(usable(true), nowMs + 10);
      announcer.deliver();
    });
    announcer.subscribe((_event, nowMs) => heard.push(`second ${nowMs}`));
    announcer.note(usable(true), 1);
    announcer.note(usable(true), 2);
    announcer.deliver();
    expect(heard).toEqual([
      "first 1",
      "second 1",
      "first 2",
      "second 2",
      "first 11",
      "second 11",
      "first 12",
      "second 12",
    ]);
  });

  it("tells nobody who listens later, nor who has stopped", () => {
    const { announcer } = setUp();
    const heard: string[] = [];
    const stop = announcer.subscribe(() => heard.push("stopped"));
    announcer.note(usable(true), 0);
    announcer.subscribe(() => heard.push("late"));
    stop();
    announcer.deliver();
    expect(heard).toEqual([]);
  });

  it("reports a listener that throws and tells the others", () => {
    const { announcer, failures } = setUp();
    const heard: string[] = [];
    announcer.subscribe(() => {
      throw new Error("no");
    });
    announcer.subscribe(() => heard.push("told"));
    announcer.note(usable(true), 0);
    announcer.deliver();
    expect(heard).toEqual(["told"]);
    expect(failures).toEqual(["a listener failed on usable-changed: Error: no"]);
  });
});
