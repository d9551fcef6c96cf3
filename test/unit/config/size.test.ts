import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatSize, parseSize } from "../../../src/config/size.js";

describe("parseSize", () => {
  it.each([
    ["16KiB", 16_384],
    ["1MiB", 1_048_576],
    ["2GiB", 2_147_483_648],
    ["100", 100],
    [4096, 4_096],
    [0, 0],
  ])("reads %j as %d bytes", (input, sizeBytes) => {
    expect(parseSize(input)).toEqual({ ok: true, value: sizeBytes });
  });

  it.each(["", "16KB", "16k", "16kib", "1.5MiB", "-1", "MiB", "999999999999999GiB", -1, 0.5, null, []])(
    "refuses %j",
    (input) => {
      expect(parseSize(input).ok).toBe(false);
    },
  );

  it("reads back what formatSize writes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (sizeBytes) => {
        expect(parseSize(formatSize(sizeBytes))).toEqual({ ok: true, value: sizeBytes });
      }),
    );
  });
});
