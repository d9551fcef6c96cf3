import { describe, expect, it } from "vitest";
import { listElements } from "../../../../src/proxy/http1/syntax.js";

describe("the elements of a list (RFC 9110 section 5.6.1)", () => {
  it.each([
    ["", []],
    [" \t ", []],
    ["a", ["a"]],
    ["A, b", ["a", "b"]],
    [" \ta\t , b ", ["a", "b"]],
    [",, a ,,b,", ["a", "b"]],
    ["a b", ["a b"]],
    ["a\u00a0", ["a\u00a0"]],
  ])("of %j", (value, elements) => {
    expect(listElements(value)).toEqual(elements);
  });

  it("are found in one pass, whatever white space a client sends", () => {
    const blanks = " ".repeat(300_000);
    expect(listElements(`a${blanks}b,${blanks}c${blanks}`)).toEqual([`a${blanks}b`, "c"]);
  }, 5_000);
});
