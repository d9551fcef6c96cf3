import { describe, expect, it } from "vitest";
import { isConsulMissing } from "../support/consul.js";
import { CASES } from "./cases.js";
import { pilotfish } from "./peers/pilotfish.js";
import { Scene } from "./scene.js";

/** Two rounds show the rule; `npm run trials` plays as many as one likes. Of the rolling replacement all ten. */
const TIMES = 2;
const ROLLS = 10;

describe.skipIf(isConsulMissing())("under constant traffic, with a real Consul", () => {
  it.each(CASES)(
    "$title: no request fails",
    async (trial) => {
      const scene = await Scene.open(pilotfish, trial.options);
      try {
        await scene.more(100);
        await trial.play(scene, trial.id === "rolling" ? ROLLS : TIMES);
        await scene.more(100);
        const { problems, twice, requests } = await scene.verdict();
        const lost = Object.keys(problems).filter((problem) => !trial.mayLose?.test(problem));
        expect(lost.map((problem) => `${problem}: ${problems[problem]}`)).toEqual([]);
        expect(twice).toBe(0);
        expect(requests).toBeGreaterThan(300);
      } finally {
        await scene.close();
      }
    },
    90_000,
  );
});
