import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Ticket, type Waiter, WaitQueue } from "../../../src/core/queue.js";

/** Takes out who has waited longest. */
function shift(queue: WaitQueue): Waiter | undefined {
  const place = queue.first;
  if (place !== undefined) queue.leave(place);
  return place?.waiter;
}

const waiter = (): Waiter => ({ avoid: [], granted: () => undefined });

describe("wait queue", () => {
  it("serves in order of arrival, whoever leaves in between, and never exceeds its limit", () => {
    const step = fc.record({
      kind: fc.constantFrom("join", "join", "join", "leave", "shift"),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 0, max: 12 }), (steps, limit) => {
        const queue = new WaitQueue(limit);
        const model: { waiter: Waiter; ticket: Ticket }[] = [];
        let longest = 0;
        for (const { kind, pick } of steps) {
          if (kind === "join") {
            const joining = waiter();
            const ticket = queue.join(joining);
            expect(ticket === undefined).toBe(model.length >= limit);
            if (ticket !== undefined) model.push({ waiter: joining, ticket });
          } else if (kind === "leave" && model.length > 0) {
            const [left] = model.splice(pick % model.length, 1);
            left?.ticket.cancel();
            left?.ticket.cancel();
          } else if (kind === "shift") {
            const first = model.shift();
            expect(shift(queue)).toBe(first?.waiter);
            first?.ticket.cancel();
          }
          longest = Math.max(longest, model.length);
          expect([queue.length, queue.first?.waiter, queue.longest]).toEqual([
            model.length,
            model[0]?.waiter,
            longest,
          ]);
          expect(queue.isFull).toBe(model.length >= limit);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("starts its maximum anew from those who wait", () => {
    const queue = new WaitQueue(3);
    queue.join(waiter());
    queue.join(waiter());
    shift(queue);
    queue.clearMaxima();
    expect(queue.longest).toBe(1);
  });
});
