import { describe, expect, it } from "vitest";
import { isRedispatchDue } from "../../../src/core/redispatch.js";

describe("a redispatch interval", () => {
  it.each<[interval: number, most: number, due: readonly number[]]>([
    [1, 3, [1, 2, 3]],
    [2, 5, [2, 4]],
    [3, 3, [3]],
    [4, 3, []],
    [-1, 3, [3]],
    [-1, 1, [1]],
    [-2, 5, [4]],
    [-3, 5, [3]],
    // As HAProxy's remainder has it: the second, and so the fourth.
    [-4, 5, [2, 4]],
    [-3, 3, [1, 2, 3]],
    [-20, 3, [1, 2, 3]],
  ])("of %i with %i retries falls on retries %j", (interval, most, due) => {
    const retries = Array.from({ length: most }, (_, index) => index + 1);
    expect(retries.filter((retry) => isRedispatchDue(interval, retry, most))).toEqual(due);
  });
});
