import { describe, expect, it } from "vitest";
import { HealthCredit } from "../../../src/core/health.js";

/** `-` fails, `+` passes. */
function play(fall: number, rise: number, checks: string): string[] {
  const credit = new HealthCredit({ fall, rise });
  return [...checks].map((check) => {
    if (check === "+") credit.pass();
    else credit.fail();
    return credit.text;
  });
}

describe("health credit", () => {
  it.each([
    { fall: 3, rise: 2, checks: "+---++", texts: ["UP", "UP 2/3", "UP 1/3", "DOWN", "DOWN 1/2", "UP"] },
    { fall: 3, rise: 2, checks: "-", texts: ["DOWN"] },
    { fall: 3, rise: 2, checks: "+--+-", texts: ["UP", "UP 2/3", "UP 1/3", "UP", "UP 2/3"] },
    { fall: 3, rise: 2, checks: "-+-+", texts: ["DOWN", "DOWN 1/2", "DOWN", "DOWN 1/2"] },
    { fall: 1, rise: 1, checks: "-+-", texts: ["DOWN", "UP", "DOWN"] },
    { fall: 2, rise: 3, checks: "-+++-", texts: ["DOWN", "DOWN 1/3", "DOWN 2/3", "UP", "UP 1/2"] },
  ])("goes through $texts with fall $fall, rise $rise and $checks", ({ fall, rise, checks, texts }) => {
    expect(play(fall, rise, checks)).toEqual(texts);
  });

  it("starts up, one failure from down, and unsettled", () => {
    const credit = new HealthCredit({ fall: 3, rise: 2 });
    expect([credit.isUp, credit.isSettled]).toEqual([true, false]);
    credit.fail();
    expect([credit.isUp, credit.isSettled]).toEqual([false, true]);
    credit.fail();
    expect(credit.text).toBe("DOWN");
    credit.pass();
    expect([credit.isUp, credit.isSettled]).toEqual([false, false]);
    credit.pass();
    credit.pass();
    expect([credit.isUp, credit.isSettled]).toEqual([true, true]);
  });
});
