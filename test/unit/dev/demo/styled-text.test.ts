import { describe, expect, it } from "vitest";
import { cut, render, span, wrap } from "../../../../src/dev/demo/styled-text.js";

describe("styled text", () => {
  const line = [span("ab", "good"), span("cde")];

  it.each([
    [9, "abcde"],
    [5, "abcde"],
    [3, "abc"],
    [2, "ab"],
    [0, ""],
  ])("is cut to %i columns", (columns, expected) => {
    expect(render(cut(line, columns), false)).toBe(expected);
  });

  it("is coloured only where colours are wanted", () => {
    expect(render(line, true)).toBe("\u001b[32mab\u001b[0mcde");
    expect(render(line, false)).toBe("abcde");
  });

  it.each([
    ["one two three", 20, ["one two three"]],
    ["one two three", 7, ["one two", "three"]],
    ["one two three", 6, ["one", "two", "three"]],
    ["/a/very/long/path", 6, ["/a/ver", "y/long", "/path"]],
    ["", 5, [""]],
  ])("%j in %i columns becomes %j", (text, columns, expected) => {
    expect(wrap(text, columns)).toEqual(expected);
  });
});
