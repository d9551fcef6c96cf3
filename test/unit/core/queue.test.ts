import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Backend } from "../../../src/core/backend.js";
import type { Priority, Waiter } from "../../../src/core/line.js";
import { type Ticket, WaitQueue } from "../../../src/core/queue.js";
import { Scoreboard } from "../../../src/core/scoreboard.js";
import { backendOf, waiter } from "../../support/pool-fixture.js";

function waiterOf(priority?: Priority, isTunnel = false): Waiter {
  return waiter(() => undefined, { priority, isTunnel });
}

/** Takes out who is next in the line at a backend, or in the common one. */
function shift(queue: WaitQueue, backend?: Backend): Waiter | undefined {
  const place = (backend === undefined ? queue.common : queue.at(backend))?.first;
  if (place !== undefined) queue.leave(place);
  return place?.waiter;
}

interface Entry {
  readonly waiter: Waiter;
  readonly ticket: Ticket;
  readonly class: number;
  readonly turnMs: number;
  at: Backend | undefined;
}

describe("wait queue", () => {
  const scoreboard = new Scoreboard();
  const backends = [undefined, backendOf(scoreboard, "a"), backendOf(scoreboard, "b")];

  it("serves each line by class, turn and arrival, whoever leaves or moves, and never exceeds its limit", () => {
    const step = fc.record({
      kind: fc.constantFrom("join", "join", "join", "leave", "shift", "move"),
      pick: fc.nat(),
      at: fc.nat({ max: 2 }),
      class: fc.integer({ min: -1, max: 1 }),
      offsetMs: fc.constantFrom(-3, 0, 0, 2),
      isTunnel: fc.boolean(),
    });
    const steps = fc.array(step, { maxLength: 40, size: "max" });
    fc.assert(
      fc.property(steps, fc.integer({ min: 0, max: 12 }), (taken, limit) => {
        const queue = new WaitQueue(limit);
        // In order of arrival, so that a stable sort by class and turn is the order of service.
        const model: Entry[] = [];
        const lineAt = (at: Backend | undefined) =>
          model.filter((entry) => entry.at === at).sort((a, b) => a.class - b.class || a.turnMs - b.turnMs);
        let longest = 0;
        for (const [nowMs, { kind, pick, at, isTunnel, ...priority }] of taken.entries()) {
          const backend = backends[at];
          const chosen = model[pick % Math.max(model.length, 1)];
          if (kind === "join") {
            const joining = waiterOf(priority, isTunnel);
            const ahead = lineAt(backend).length;
            const ticket = queue.join(joining, backend, nowMs);
            expect(ticket === undefined).toBe(model.length >= limit);
            if (ticket === undefined) continue;
            expect([ticket.backend, ticket.ahead]).toEqual([backend, ahead]);
            const turnMs = nowMs + priority.offsetMs;
            model.push({ waiter: joining, ticket, class: priority.class, turnMs, at: backend });
          } else if (kind === "leave" && chosen !== undefined) {
            model.splice(model.indexOf(chosen), 1);
            chosen.ticket.cancel();
            chosen.ticket.cancel();
          } else if (kind === "shift") {
            const first = lineAt(backend)[0];
            expect(shift(queue, backend)).toBe(first?.waiter);
            if (first !== undefined) model.splice(model.indexOf(first), 1);
            first?.ticket.cancel();
          } else if (kind === "move") {
            const from = backends[pick % 3];
            const place = (from === undefined ? queue.common : queue.at(from))?.first;
            const moved = lineAt(from)[0];
            if (place !== undefined) queue.move(place, backend);
            if (moved !== undefined) moved.at = backend;
          }
          longest = Math.max(longest, model.length);
          expect([queue.length, queue.longest, queue.isFull]).toEqual([
            model.length,
            longest,
            model.length >= limit,
          ]);
          for (const each of backends) {
            const line = each === undefined ? queue.common : queue.at(each);
            const expected = lineAt(each).map((entry) => entry.waiter);
            expect([line?.length ?? 0, line?.first?.waiter, line?.firstTunnel?.waiter]).toEqual([
              expected.length,
              expected[0],
              expected.find((one) => one.isTunnel),
            ]);
          }
          const busy = backends.filter((each) => each !== undefined && lineAt(each).length > 0);
          expect(new Set([...queue.busy].map((line) => line.backend?.id))).toEqual(
            new Set(busy.map((each) => each?.id)),
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  it("compares turns across lines as within one", () => {
    const queue = new WaitQueue(10);
    const [, a] = backends;
    queue.join(waiterOf(), a, 5);
    queue.join(waiterOf(), undefined, 5);
    queue.join(waiterOf({ class: 1, offsetMs: -100 }), backends[2], 6);
    const [first, second, third] = [
      queue.at(a as Backend),
      queue.common,
      queue.at(backends[2] as Backend),
    ].map((line) => line?.first);
    if (first === undefined || second === undefined || third === undefined) throw new Error("nobody waits");
    expect([first.precedes(second), second.precedes(first), second.precedes(third)]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("starts its maxima anew from those who wait", () => {
    const queue = new WaitQueue(3);
    queue.join(waiterOf(), undefined, 0);
    queue.join(waiterOf(), undefined, 0);
    shift(queue);
    queue.clearMaxima();
    expect([queue.longest, queue.common.longest]).toEqual([1, 1]);
  });
});
