import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ChunkedCounter } from "../../bench/chunked.js";
import { chunkedBody } from "../../bench/load/request-text.js";

describe("chunked counter", () => {
  it("counts what a chunked body holds, however it is split, and stops behind it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 50 }),
        (bytes, chunkBytes, step) => {
          const body = chunkedBody(bytes, chunkBytes);
          const wire = Buffer.concat([body, Buffer.from("next")]);
          const counter = new ChunkedCounter();
          let at = 0;
          while (!counter.done) at = counter.take(wire, at, Math.min(wire.length, at + step));
          expect(counter.bodyBytes).toBe(bytes);
          expect(at).toBe(body.length);
        },
      ),
    );
  });

  it("passes over extensions and trailers", () => {
    const wire = Buffer.from("A;a=b0\r\n0123456789\r\n0\r\nX-End: 1\r\n\r\n");
    const counter = new ChunkedCounter();
    expect(counter.take(wire, 0, wire.length)).toBe(wire.length);
    expect(counter.done).toBe(true);
    expect(counter.bodyBytes).toBe(10);
  });

  it("begins anew after reset", () => {
    const counter = new ChunkedCounter();
    const wire = chunkedBody(5, 5);
    counter.take(wire, 0, wire.length);
    counter.reset();
    expect(counter.done).toBe(false);
    counter.take(wire, 0, wire.length);
    expect(counter.bodyBytes).toBe(5);
  });
});
