import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/load.js";

const POOL = "name: web, discovery: { type: file, path: e }";

function problemsOf({ top = "", listener = "", bind = "", pool = POOL, defaults = "" }): readonly string[] {
  const text = `
${top}
defaults: { pool: { ${defaults} } }
listeners: [{ name: a, bind: [{ address: ":1"${bind} }], pool: web${listener} }]
pools: [{ ${pool} }]`;
  const result = parseConfig(text, { file: "f", env: {} });
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("what the format has and this version has not", () => {
  it.each([
    [{ top: "threads: 2" }, "threads: found 2, not available in this version"],
    [
      { top: "log: { access: { to: 'syslog:x' } }" },
      'log.access.to: found "syslog:x", not available in this version',
    ],
    [{ bind: ", tls: {}" }, "listeners[0].bind[0].tls: not available in this version"],
    [{ bind: ", proxyProtocol: true" }, "listeners[0].bind[0].proxyProtocol: not available in this version"],
  ] as [Parameters<typeof problemsOf>[0], string][])("%j says just so", (parts, problem) => {
    expect(problemsOf(parts)).toEqual([problem]);
  });

  it("leaves the value that is available alone", () => {
    expect(problemsOf({ top: "threads: 1" })).toEqual([]);
  });
});
