import fc from "fast-check";
import { expect, it } from "vitest";
import type { ConsulAnswer } from "../../../../src/control/sources/consul/answer.js";
import { cut, list, refusal, WatchHarness } from "./watch-harness.js";

/** What an agent may do with one query. `truth` is the only one that tells the list as it is. */
type Deed =
  | "truth"
  | "reset"
  | "cut"
  | "timeout"
  | "html"
  | "no-index"
  | "junk"
  | "429"
  | "500"
  | "503"
  | "403"
  | "404"
  | "400"
  | "back"
  | "zero"
  | "restart"
  | "reset, then forgetful"
  | "leaderless";

const DEEDS: readonly Deed[] = [
  ...(["truth", "truth", "truth", "truth", "reset", "cut", "timeout", "html", "no-index", "junk"] as const),
  ...([
    "429",
    "500",
    "503",
    "403",
    "404",
    "400",
    "back",
    "zero",
    "restart",
    "leaderless",
    "reset, then forgetful",
  ] as const),
];

/** An agent whose catalog always holds something, so that an empty list is always wrong. */
class Agent {
  names: readonly string[] = ["a"];
  index = 100n;
  /** Comes back after a reset without knowing anything, once. */
  #isForgetful = false;

  change(step: number): void {
    this.names = [`n${step}`, `m${step}`];
    this.index += 1n;
  }

  answer(deed: Deed, harness: WatchHarness): ConsulAnswer {
    if (this.#isForgetful) {
      this.#isForgetful = false;
      return list([], this.index);
    }
    switch (deed) {
      case "reset, then forgetful":
        this.#isForgetful = true;
        return { kind: "network", message: "read ECONNRESET" };
      case "truth":
        return list(this.names, this.index);
      case "back":
        this.index = this.index > 50n ? this.index - 50n : 1n;
        return list(this.names, this.index);
      case "zero":
        return list(this.names, 0n);
      case "restart":
        // Comes back knowing nothing, on another connection, with an index that may be known.
        harness.closings += 1;
        return list([], this.index);
      case "leaderless":
        return list(this.names, this.index, { "x-consul-knownleader": "false" });
      case "reset":
        return { kind: "network", message: "read ECONNRESET" };
      case "cut":
        return cut;
      case "timeout":
        return { kind: "timeout", message: "no complete answer" };
      case "html":
        return { kind: "not-json", message: "answer 200 is not JSON" };
      case "no-index":
        return { kind: "ok", status: 200, headers: {}, body: ["wrong"] };
      case "junk":
        return { kind: "ok", status: 200, headers: { "x-consul-index": "7" }, body: { wrong: true } };
      default:
        return refusal(Number(deed));
    }
  }
}

it("whatever the agent does, one query is open, no wrong list passes, and soon after all is as it is", async () => {
  const step = fc.record({ deed: fc.constantFrom(...DEEDS), isChange: fc.boolean(), pauseMs: fc.nat(3_000) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (steps, chances) => {
        const harness = new WatchHarness({
          emptyGraceMs: 600_000,
          random: () => chances.next().value ?? 0.5,
        });
        const agent = new Agent();
        const told = new Set<string>();
        const answerAs = async (deed: Deed) => {
          const given = agent.answer(deed, harness);
          if (given.kind === "ok" && Array.isArray(given.body)) told.add(given.body.join());
          await harness.answer(given);
        };
        harness.watch.start();
        let answered = 0;
        for (const [at, { deed, isChange, pauseMs }] of steps.entries()) {
          if (isChange) agent.change(at);
          if (harness.sent.length > answered) {
            answered = harness.sent.length;
            await answerAs(deed);
          }
          await harness.clock.advance(pauseMs);
        }
        // From here on it tells the truth to whoever asks; the longest pause is that after a query it cannot read.
        const before = harness.sent.length;
        const startMs = harness.clock.nowMs();
        while (
          harness.clock.nowMs() - startMs < 61_000 &&
          harness.values.at(-1)?.join() !== agent.names.join()
        ) {
          if (harness.sent.length > answered) {
            answered = harness.sent.length;
            await answerAs("truth");
          }
          await harness.clock.advance(100);
        }
        expect(harness.values.at(-1)).toEqual(agent.names);
        expect(harness.sent.length - before).toBeLessThan(10);
        expect(harness.inFlightMax).toBe(1);
        // An empty list may be the first of all, when nothing is there yet to lose; never one that takes away.
        expect(harness.values.slice(1).filter((value) => value.length === 0)).toEqual([]);
        expect(harness.values.every((value) => told.has(value.join()))).toBe(true);
        expect(harness.values.flat()).not.toContain("wrong");
        harness.watch.stop();
        expect(harness.clock.pendingTimers()).toBe(0);
      },
    ),
    { numRuns: 500, seed: 20_261_125 },
  );
}, 120_000);
