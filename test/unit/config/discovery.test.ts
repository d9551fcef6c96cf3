import { describe, expect, it } from "vitest";
import { z } from "zod";
import { configJsonSchema } from "../../../src/config/json-schema.js";
import { parseConfig } from "../../../src/config/load.js";
import type { DiscoveryConfig } from "../../../src/config/model.js";

function parse(discovery: object) {
  return parseConfig(
    JSON.stringify({
      listeners: [{ name: "front", bind: ":1", pool: "web" }],
      pools: [{ name: "web", discovery }],
    }),
    { file: "f", env: {} },
  );
}

function readAll(discovery: object): readonly DiscoveryConfig[] {
  const result = parse(discovery);
  expect(result.ok ? [] : result.problems).toEqual([]);
  return (result.ok ? result.config.pools[0]?.discovery : undefined) ?? [];
}

function read(discovery: object): DiscoveryConfig | undefined {
  const [only, ...others] = readAll(discovery);
  expect(others).toEqual([]);
  return only;
}

function problemsOf(discovery: object): readonly string[] {
  const result = parse(discovery);
  return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
}

describe("discovery by dns", () => {
  it("has a default for everything but the name", () => {
    expect(read({ type: "dns", name: "_web._tcp.test." })).toEqual({
      type: "dns",
      name: "_web._tcp.test.",
      record: "srv",
      port: undefined,
      resolvers: undefined,
      minTtlMs: 1_000,
      maxTtlMs: 300_000,
      hold: {
        nxMs: 30_000,
        timeoutMs: undefined,
        refusedMs: undefined,
        otherMs: undefined,
        obsoleteMs: 0,
      },
      timeoutMs: 1_000,
      retries: 3,
      resolve: "all",
    });
  });

  it("takes every field", () => {
    expect(
      read({
        type: "dns",
        name: "web.service.consul",
        record: "a",
        port: "8080",
        resolvers: ["127.0.0.1:8600", "10.0.0.2", "::1", "[::1]:8600"],
        minTtl: "500ms",
        maxTtl: "1m",
        hold: { nx: "forever", timeout: "1m", refused: "0s", other: "2m", obsolete: "5s" },
        timeout: "200ms",
        retries: 0,
        resolve: "one",
      }),
    ).toEqual({
      type: "dns",
      name: "web.service.consul",
      record: "a",
      port: 8080,
      resolvers: [
        { host: "127.0.0.1", port: 8600 },
        { host: "10.0.0.2", port: 53 },
        { host: "::1", port: 53 },
        { host: "::1", port: 8600 },
      ],
      minTtlMs: 500,
      maxTtlMs: 60_000,
      hold: { nxMs: undefined, timeoutMs: 60_000, refusedMs: 0, otherMs: 120_000, obsoleteMs: 5_000 },
      timeoutMs: 200,
      retries: 0,
      resolve: "one",
    });
  });

  it.each([
    [{ name: undefined }, "name: missing, expected a DNS name"],
    [{ name: "a b" }, "expected a DNS name"],
    [{ name: `${"a".repeat(64)}.test` }, "expected a DNS name"],
    [{ name: `${"a.".repeat(127)}a` }, "expected a DNS name"],
    [{ record: "a" }, "port: missing, expected the port, which address records do not tell"],
    [{ port: 80 }, "port: found 80, expected no port: SRV records tell it"],
    [{ resolvers: ["10.0.0.1:0"] }, "the IP address of a name server"],
    [{ resolvers: [53] }, "the IP address of a name server"],
    [{ hold: { nx: "never" } }, 'hold.nx: found "never", expected a duration with its unit'],
    [{ hold: { valid: "10s" } }, "hold.valid: unknown key"],
  ])("refuses %j", (change, message) => {
    const problems = problemsOf({ type: "dns", name: "web.test", ...change });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });
});

describe("discovery by dns-sd", () => {
  it("has a default for everything but the service", () => {
    expect(read({ type: "dns-sd", service: "_http._tcp.local" })).toEqual({
      type: "dns-sd",
      service: "_http._tcp.local",
      interfaces: undefined,
      resolve: "one",
    });
  });

  it("takes every field", () => {
    const discovery = {
      type: "dns-sd",
      service: "_my-app._udp.local",
      interfaces: ["eth0", "192.0.2.2"],
      resolve: "all",
    };
    expect(read(discovery)).toEqual(discovery);
  });

  it.each([
    "_http._tcp",
    "http._tcp.local",
    "_a-very-long-name-1._tcp.local",
    "_-a._tcp.local",
    "_a._sctp.local",
  ])("refuses the service type %j", (service) => {
    expect(problemsOf({ type: "dns-sd", service })).toEqual([
      `pools[0].discovery.service: found ${JSON.stringify(service)}, expected a service type, such as _http._tcp.local`,
    ]);
  });
});

describe("the JSON schema of discovery", () => {
  const validator = z.fromJSONSchema(configJsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const isValid = (discovery: object) =>
    validator.safeParse({
      listeners: [{ name: "front", bind: ":1", pool: "web" }],
      pools: [{ name: "web", discovery }],
    }).success;

  it.each([
    [{ type: "dns", name: "web.test", resolvers: ["::1"], hold: { nx: "forever", timeout: "5s" } }, true],
    [{ type: "dns", name: "web.test", record: "a", port: 80 }, true],
    [{ type: "dns" }, false],
    [{ type: "dns-sd", service: "_http._tcp.local", interfaces: ["lo"] }, true],
    [{ type: "dns-sd", service: "http" }, false],
    [{ type: "dns", name: "web.test", hold: { nx: "never" } }, false],
    [{ type: "dns", name: "web.test", ttl: "5s" }, false],
  ])("says of %j: %j", (discovery, expected) => {
    expect(isValid(discovery)).toBe(expected);
  });
});

describe("discovery by consul", () => {
  it("takes every field, and makes a source of each datacenter in the order of failover", () => {
    const shared = {
      type: "consul",
      subject: { kind: "service", name: "web" },
      tags: ["v2"],
      minStatus: "passing",
      namespace: "ns",
      partition: "p",
      filter: "x == 1",
      near: "_agent",
      zoneKey: "rack",
      resolve: "one",
    };
    expect(
      readAll({
        ...{ type: "consul", service: "web", tags: ["v2"], minStatus: "passing", namespace: "ns" },
        ...{ partition: "p", filter: "x == 1", near: "_agent", zoneKey: "rack", resolve: "one" },
        datacenter: "dc1",
        taggedAddress: "lan",
        failover: ["dc2", { datacenter: "dc3", taggedAddress: "wan" }],
      }),
    ).toEqual([
      { ...shared, datacenter: "dc1", taggedAddress: "lan", priority: 0 },
      { ...shared, datacenter: "dc2", taggedAddress: "lan", priority: 1 },
      { ...shared, datacenter: "dc3", taggedAddress: "wan", priority: 2 },
    ]);
  });

  it("takes a prepared query", () => {
    expect(read({ type: "consul", query: "nearest-web" })).toMatchObject({
      subject: { kind: "query", name: "nearest-web", intervalMs: 10_000 },
      priority: 0,
    });
  });

  it("takes the name of a service from the environment", () => {
    const text = (name: string) =>
      `listeners: [{ name: front, bind: ":1", pool: web }]
pools: [{ name: web, discovery: { type: consul, service: "${name}" } }]`;
    const env = { APP: "shop", STAGE: "blue" };
    const result = parseConfig(text(`web-\${APP}-\${STAGE}`), { file: "f", env });
    expect(result.ok && result.config.pools[0]?.discovery[0]).toMatchObject({
      subject: { kind: "service", name: "web-shop-blue" },
    });
    const broken = parseConfig(text(`web-\${NOWHERE}`), { file: "f", env });
    expect(broken.ok ? "" : broken.problems.map(({ message }) => message).join()).toContain(
      "the environment variable NOWHERE is not set",
    );
  });
});

describe("several sources", () => {
  it("stand in their order", () => {
    const sources = readAll([
      { type: "file", path: "e.yaml" },
      { type: "consul", service: "web", failover: ["dc2"] },
      { type: "static", endpoints: ["10.0.0.1:80"] },
    ]);
    expect(sources.map((each) => [each.type, "datacenter" in each ? each.datacenter : ""])).toEqual([
      ["file", ""],
      ["consul", undefined],
      ["consul", "dc2"],
      ["static", ""],
    ]);
  });

  it.each<[object, string]>([
    [[], "pools[0].discovery: found an empty list, expected at least one source"],
    [
      Array(9).fill({ type: "file", path: "e" }),
      "pools[0].discovery: found a list, expected at most 8 sources",
    ],
    [[{ type: "file" }], "pools[0].discovery[0].path: missing, expected the path of a file"],
    [["web"], 'pools[0].discovery[0]: found "web", expected a map with type'],
    [
      [{ type: "static", endpoints: ["a:1", "a:1"] }],
      'pools[0].discovery[0].endpoints[1]: found "a:1", expected no endpoint twice',
    ],
  ])("are refused: %j", (discovery, problem) => {
    expect(problemsOf(discovery).join("\n")).toContain(problem);
  });
});

describe("connections to Consul", () => {
  const problems = (pools: number, more: object = {}, discovery: object = {}) => {
    const names = Array.from({ length: pools }, (_, index) => `p${index}`);
    const result = parseConfig(
      JSON.stringify({
        listeners: names.map((name, index) => ({ name, bind: `:${index + 1}`, pool: name })),
        pools: names.map((name) => ({ name, discovery: { type: "consul", service: name, ...discovery } })),
        ...more,
      }),
      { file: "f", env: {} },
    );
    return result.ok ? [] : result.problems.map(({ path, message }) => `${path}: ${message}`);
  };

  it("are one per watch and at most 150, and the first above is named", () => {
    expect(problems(150)).toEqual([]);
    expect(problems(152)).toEqual([
      "pools[150].discovery: needs connection 151 to Consul, expected at most 150 (consul.maxConnections)",
    ]);
  });

  it("are counted for each datacenter and for the registration, against the configured limit", () => {
    const consul = { maxConnections: 4 };
    expect(problems(2, { consul }, { failover: ["dc2"] })).toEqual([]);
    expect(problems(2, { consul, service: { name: "me", port: 9 } }, { failover: ["dc2"] })).toEqual([
      "pools[1].discovery: needs connection 5 to Consul, expected at most 4 (consul.maxConnections)",
    ]);
  });
});
