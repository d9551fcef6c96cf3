import { describe, expect, it } from "vitest";
import { HealthCredit, type InitialState, intervalOf } from "../../../src/core/health.js";

/** `-` fails, `+` passes. */
function play(fall: number, rise: number, checks: string, initial: InitialState = "up"): string[] {
  const credit = new HealthCredit({ fall, rise }, initial);
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

  it.each([
    { initial: "up", text: "UP 1/3", checks: "-", texts: ["DOWN"] },
    { initial: "down", text: "DOWN 1/2", checks: "+", texts: ["UP"] },
    { initial: "fully-up", text: "UP", checks: "---", texts: ["UP 2/3", "UP 1/3", "DOWN"] },
    { initial: "fully-down", text: "DOWN", checks: "++", texts: ["DOWN 1/2", "UP"] },
  ] as const)("begins $initial as $text and goes through $texts", ({ initial, text, checks, texts }) => {
    expect(new HealthCredit({ fall: 3, rise: 2 }, initial).text).toBe(text);
    expect(play(3, 2, checks, initial)).toEqual(texts);
  });

  it("asks for the interval at full credit, the down interval at none, the fast one in between", () => {
    const rhythm = { intervalMs: 3, fastIntervalMs: 1, downIntervalMs: 2 };
    const credit = new HealthCredit({ fall: 3, rise: 2 });
    const steps = ["", "+", "-", "-", "-", "+", "+"].map((check) => {
      if (check === "+") credit.pass();
      else if (check === "-") credit.fail();
      return intervalOf(credit, rhythm);
    });
    expect(steps).toEqual([1, 3, 1, 1, 2, 1, 3]);
  });

  it("has two steps to death: sudden death leaves one failure, mark down none", () => {
    const credit = new HealthCredit({ fall: 5, rise: 2 }, "fully-up");
    credit.failNearly();
    expect(credit.text).toBe("UP 1/5");
    credit.failNearly();
    expect(credit.text).toBe("DOWN");
    credit.pass();
    credit.pass();
    credit.markDown();
    expect(credit.text).toBe("DOWN");
  });
});
