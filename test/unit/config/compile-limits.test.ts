import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/load.js";
import type { PoolLimits } from "../../../src/config/model.js";

function limitsOf(listeners: string, limits: string): PoolLimits | undefined {
  const text = `
listeners: [${listeners}]
pools: [{ name: web, discovery: { type: file, path: e }, limits: ${limits} }]`;
  const result = parseConfig(text, { file: "f", env: {} });
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join());
  return result.config.pools[0]?.limits;
}

describe("limits of a pool", () => {
  const http = "{ name: a, bind: ':1', pool: web, limits: { maxConnections: 200 } }";
  const tcp = "{ name: b, bind: ':2', pool: web, protocol: tcp, limits: { maxConnections: 30 } }";

  it.each([
    [http, 20],
    [`${http}, ${tcp}`, 23],
    ["{ name: a, bind: ':1', pool: web, limits: { maxConnections: 5 } }", 1],
  ])("are whole at a tenth of what the listeners before it take: %s", (listeners, expected) => {
    expect(limitsOf(listeners, "{}")?.fullConnections).toBe(expected);
    expect(limitsOf(listeners, "{ fullConnections: 7 }")?.fullConnections).toBe(7);
  });

  it("follow no latency where only tcp listeners come, be it as a fallback", () => {
    const adaptiveOf = (listeners: string) => {
      const text = `
listeners: [${listeners}]
pools:
  - { name: web, discovery: { type: file, path: e }, fallback: spare, limits: { adaptive: on } }
  - { name: spare, discovery: { type: file, path: s }, limits: { adaptive: on } }`;
      const result = parseConfig(text, { file: "f", env: {} });
      if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join());
      return result.config.pools.map(({ limits }) => limits.adaptive !== undefined);
    };
    expect(adaptiveOf(tcp)).toEqual([false, false]);
    expect(adaptiveOf(http)).toEqual([true, true]);
    expect(adaptiveOf(`${http}, ${tcp}`)).toEqual([true, true]);
  });

  it("count no tunnel of a tcp listener as a request", () => {
    expect(limitsOf(tcp, "{ maxRequestsPerBackend: 9 }")?.maxRequestsPerBackend).toBe(0);
    expect(limitsOf(http, "{ maxRequestsPerBackend: 9 }")?.maxRequestsPerBackend).toBe(9);
    expect(limitsOf(`${http}, ${tcp}`, "{ maxRequestsPerBackend: 9 }")?.maxRequestsPerBackend).toBe(9);
  });
});
