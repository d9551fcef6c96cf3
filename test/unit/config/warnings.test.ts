import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/load.js";

/** Warnings of a pool with this affinity or balancer behind listeners of these protocols. */
function warningsOf(what: string, ...protocols: readonly string[]): readonly string[] {
  const listeners = protocols.map(
    (protocol, index) =>
      `  - { name: l${index}, bind: "127.0.0.1:${6000 + index}", protocol: ${protocol}, pool: web }`,
  );
  const text = `listeners:
${listeners.join("\n")}
pools:
  - { name: web, ${what}, fallback: spare, discovery: { type: static, endpoints: ["127.0.0.1:1"] } }
  - { name: spare, ${what}, discovery: { type: static, endpoints: ["127.0.0.1:2"] } }
`;
  const result = parseConfig(text, { file: "test", env: {} });
  return result.ok ? result.warnings.map(({ path, message }) => `${path}: ${message}`) : ["not good"];
}

describe("a key that TCP listeners cannot read", () => {
  it.each([
    ["affinity: { type: cookie, name: S }", "affinity", "cookie"],
    ["affinity: { type: header, name: x }", "affinity", "header"],
    ["affinity: { type: path }", "affinity", "path"],
    ["affinity: { type: table, on: cookie, name: x }", "affinity", "cookie"],
    ["balance: { algorithm: maglev, on: path }", "balance", "path"],
  ])("is warned of: %s", (what, field, key) => {
    const warning = (index: number, pool: string) =>
      `pools[${index}].${field}: does nothing: only tcp listeners use the pool ${pool}, and they read no ${key}; expected source`;
    expect(warningsOf(what, "tcp")).toEqual([warning(0, "web"), warning(1, "spare")]);
    expect(warningsOf(what, "tcp", "http")).toEqual([]);
    expect(warningsOf(what, "http")).toEqual([]);
  });

  it.each(["on", "{ minLimit: 5 }"])("and an adaptive limit that is %s are warned of", (adaptive) => {
    const what = `limits: { adaptive: ${adaptive} }`;
    const warning = (index: number, pool: string) =>
      `pools[${index}].limits.adaptive: does nothing: only tcp listeners use the pool ${pool}, and a tunnel has no latency to follow; expected maxConnectionsPerBackend`;
    expect(warningsOf(what, "tcp")).toEqual([warning(0, "web"), warning(1, "spare")]);
    expect(warningsOf(what, "tcp", "http")).toEqual([]);
    expect(warningsOf("limits: { adaptive: off }", "tcp")).toEqual([]);
  });

  it.each(["affinity: { type: source }", "affinity: { type: table, on: source }", "balance: leastconn"])(
    "is not %s",
    (what) => {
      expect(warningsOf(what, "tcp")).toEqual([]);
    },
  );
});
