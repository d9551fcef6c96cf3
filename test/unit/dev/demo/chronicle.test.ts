import { describe, expect, it } from "vitest";
import { Chronicle, type ChronicleEntry, Interrupted } from "../../../../src/dev/demo/chronicle.js";

function chronicle(): {
  readonly story: Chronicle;
  readonly told: ChronicleEntry[];
  clock: { nowMs: number };
} {
  const clock = { nowMs: 5_000 };
  const story = new Chronicle(() => clock.nowMs);
  const told: ChronicleEntry[] = [];
  story.follow((entry) => told.push(entry));
  return { story, told, clock };
}

describe("the chronicle", () => {
  it("replaces what happens by what was found", async () => {
    const { story, told, clock } = chronicle();
    const isOk = await story.step("web4 starts", async () => {
      clock.nowMs += 1_500;
      return { ok: true, text: "web4 took its first request" };
    });
    expect(isOk).toBe(true);
    expect(told).toEqual([
      { state: "running", atMs: 0, text: "web4 starts" },
      { state: "ok", atMs: 1_500, text: "web4 took its first request" },
    ]);
    expect(story.entries).toEqual([told[1]]);
  });

  it("takes a rejection for a step that failed, and goes on", async () => {
    const { story } = chronicle();
    expect(await story.step("first", () => Promise.reject(new Error("not within 10 s")))).toBe(false);
    expect(await story.step("second", async () => ({ ok: false, text: "nobody came" }))).toBe(false);
    expect(story.entries.map(({ state, text }) => [state, text])).toEqual([
      ["failed", "first: not within 10 s"],
      ["failed", "nobody came"],
    ]);
  });

  it("blames no step for an interruption", async () => {
    const { story } = chronicle();
    const reason = new Interrupted("Ctrl-C");
    await expect(story.step("first", () => Promise.reject(reason))).rejects.toBe(reason);
    expect(story.entries.map(({ state }) => state)).toEqual(["running"]);
  });
});
