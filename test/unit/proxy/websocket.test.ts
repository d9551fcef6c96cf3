import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameTracker, WebSocketFarewell } from "../../../src/proxy/websocket.js";

/** A frame as RFC 6455 section 5.2 has it. */
function frame(opcode: number, length: number, isMasked: boolean): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([0x80 | opcode, mask | length])
      : length < 65_536
        ? Buffer.from([0x80 | opcode, mask | 126, length >> 8, length & 0xff])
        : Buffer.concat([Buffer.from([0x80 | opcode, mask | 127]), eightBytes(length)]);
  // What is carried looks like heads of frames.
  return Buffer.concat([head, Buffer.alloc(isMasked ? 4 : 0, 0xff), Buffer.alloc(length, 0x88)]);
}

function eightBytes(length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(length));
  return bytes;
}

const frames = fc.array(
  fc.tuple(
    fc.constantFrom(0, 1, 2, 9, 10),
    fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536),
    fc.boolean(),
  ),
  { minLength: 1, maxLength: 6 },
);

describe("FrameTracker", () => {
  it("is between frames exactly where one ends, however the bytes come", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 20 }), (list, cuts) => {
        const parts = list.map(([opcode, length, isMasked]) => frame(opcode, length, isMasked));
        const bytes = Buffer.concat(parts);
        const ends = new Set([0]);
        let end = 0;
        for (const { length } of parts) {
          end += length;
          ends.add(end);
        }
        const tracker = new FrameTracker();
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          const next = Math.min(at + cut, bytes.length);
          tracker.take(bytes.subarray(at, next));
          at = next;
          expect(tracker.takesFrame).toBe(ends.has(at));
        }
      }),
      { numRuns: 200 },
    );
  });

  it("takes nothing behind a close frame, which may come byte by byte", () => {
    const tracker = new FrameTracker();
    for (const byte of frame(8, 2, true)) tracker.take([byte] as unknown as Uint8Array);
    expect(tracker.takesFrame).toBe(false);
    tracker.take(frame(1, 3, false));
    expect(tracker.takesFrame).toBe(false);
  });
});

describe("WebSocketFarewell", () => {
  it("says 1001, unmasked to a client and masked to a backend (RFC 6455 5.1, 7.4.1)", () => {
    const farewell = new WebSocketFarewell(() => 0.5);
    expect(farewell.to("client")?.toString("hex")).toBe("880203e9");
    expect(farewell.to("backend")?.toString("hex")).toBe("8882" + "80000000" + "83e9");
  });

  it("never speaks into a frame, which is the other side's word", () => {
    const farewell = new WebSocketFarewell(() => 0);
    farewell.passed("backend", frame(1, 5, false).subarray(0, 4));
    expect(farewell.to("client")).toBeUndefined();
    expect(farewell.to("backend")).toBeDefined();
    farewell.passed("client", frame(8, 2, true));
    expect(farewell.to("backend")).toBeUndefined();
  });
});
