import { describe, expect, it } from "vitest";
import { type Endpoint, formatAddress, isSameEndpoint, rowIdOf } from "../../../src/core/endpoint.js";
import { endpoint } from "../../support/pool-fixture.js";

describe("endpoint", () => {
  it.each([
    { host: "10.0.0.1", port: 80, text: "10.0.0.1:80" },
    { host: "::1", port: 8080, text: "[::1]:8080" },
    { host: "fe80::1%eth0", port: 1, text: "[fe80::1%eth0]:1" },
  ])("writes $host and $port as $text", ({ host, port, text }) => {
    expect(formatAddress(host, port)).toBe(text);
  });

  it("names a row by identity and address", () => {
    expect(rowIdOf(endpoint("a", { host: "::1", port: 7 }))).toBe("test/a@[::1]:7");
  });

  const base = endpoint("a", { tags: ["x"], meta: { k: "v" } });
  it.each([
    [true, {}],
    [true, { tags: ["x"], meta: { k: "v" } }],
    [false, { id: "b" }],
    [false, { weight: 2 }],
    [false, { status: "warning" }],
    [false, { admitted: false }],
    [true, { reason: "told with the discovery fact" }],
    [false, { tags: ["y"] }],
    [false, { tags: ["x", "y"] }],
    [false, { meta: { k: "w" } }],
    [false, { meta: { k: "v", l: "" } }],
    [false, { meta: { l: "v" } }],
    [false, { node: "n" }],
    [false, { datacenter: "dc" }],
    [false, { zone: "z" }],
    [false, { priority: 1 }],
  ] as [boolean, Partial<Endpoint>][])("calls it the same (%s) with %o", (same, change) => {
    expect(isSameEndpoint(base, { ...base, ...change })).toBe(same);
  });
});
