// biome-ignore-all lint/suspicious/noTemplateCurlyInString: what the file substitutes is written so.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { substitute } from "../../../src/config/environment.js";

const env = { PORT: "80", HOST: "web", EMPTY: "", NESTED: "${PORT}" };

describe("substitute", () => {
  it.each([
    ["${PORT}", "80"],
    ["${HOST}:${PORT}", "web:80"],
    ["a${EMPTY}b", "ab"],
    ["$${PORT}", "${PORT}"],
    ["$PORT", "$PORT"],
    ["100$", "100$"],
    ["${NESTED}", "${PORT}"],
  ])("%j becomes %j", (text, expected) => {
    expect(substitute(text, env)).toEqual({ text: expected, faults: [] });
  });

  it("names every variable that is not set", () => {
    expect(substitute("${A}-${PORT}-${B}", env).faults).toEqual([
      "the environment variable A is not set",
      "the environment variable B is not set",
    ]);
  });

  it.each(["${}", "${A-B}", "${A:-x}", "${1A}", "${A"])("refuses %j", (text) => {
    expect(substitute(text, { A: "x" }).faults).toHaveLength(1);
  });

  it("takes names from the environment alone, not from every object", () => {
    expect(substitute("${toString}", {}).faults).toHaveLength(1);
  });

  it("leaves text without ${ alone", () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes("${")),
        (text) => {
          expect(substitute(text, env)).toEqual({ text, faults: [] });
        },
      ),
    );
  });
});
