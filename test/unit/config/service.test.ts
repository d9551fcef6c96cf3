import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/load.js";
import type { ServiceConfig } from "../../../src/config/model.js";

const OUT = '{ name: out, bind: "127.0.0.1:1", pool: web }';
const IN = '{ name: in, bind: "10.0.0.5:2", pool: web, direction: inbound }';
const IN_TOO = '{ name: in-too, bind: ":3", pool: web, direction: inbound }';
const IN_UNIX = '{ name: in-unix, bind: "unix:/run/a", pool: web, direction: inbound }';
const IN_LOOPBACK = '{ name: in, bind: ["unix:/run/b", "127.0.0.1:2"], pool: web, direction: inbound }';

function parse(service: string, ...listeners: readonly string[]) {
  const text = `service: ${service}
listeners: [${listeners.join()}]
pools: [{ name: web, discovery: { type: file, path: e } }]`;
  return parseConfig(text, { file: "f", env: { NAME: "shop" } });
}

function read(service: string, ...listeners: readonly string[]): ServiceConfig | undefined {
  const result = parse(service, ...listeners);
  if (!result.ok) throw new Error(result.problems.map(({ message }) => message).join());
  return result.config.service;
}

function warningsOf(service: string, ...listeners: readonly string[]): readonly string[] {
  const result = parse(service, ...listeners);
  return result.ok ? result.warnings.map(({ path, message }) => `${path}: ${message}`) : ["not good"];
}

describe("the service block", () => {
  it("gets every default", () => {
    expect(read("{ name: web, port: 5001 }", OUT)).toEqual({
      name: "web",
      port: 5001,
      tags: [],
      meta: {},
      weights: { passing: 1, warning: 1 },
      advertise: { kind: "application" },
      check: {
        kind: "ttl-probe",
        ttlMs: 10_000,
        intervalMs: 2_000,
        timeoutMs: 1_000,
        fall: 3,
        rise: 2,
        deregisterCriticalServiceAfterMs: 60_000,
      },
      shutdown: "deregister",
    });
  });

  it("keeps what is said", () => {
    const text = `{ name: "\${NAME}", port: 5001, id: a/b, address: web.local, tags: [v2], meta: { zone: b },
      weights: { passing: 10, warning: 0 }, advertise: application, shutdown: maintenance,
      check: { kind: consul-http, http: "/status?x", interval: 1s, fall: 1, rise: 1, deregisterCriticalServiceAfter: 5m } }`;
    expect(read(text, IN)).toEqual({
      name: "shop",
      port: 5001,
      id: "a/b",
      address: "web.local",
      tags: ["v2"],
      meta: { zone: "b" },
      weights: { passing: 10, warning: 0 },
      advertise: { kind: "application" },
      check: {
        kind: "consul-http",
        httpPath: "/status?x",
        intervalMs: 1_000,
        timeoutMs: 1_000,
        fall: 1,
        rise: 1,
        deregisterCriticalServiceAfterMs: 300_000,
      },
      shutdown: "maintenance",
    });
  });

  it.each([
    ["the one inbound listener", [OUT, IN], { kind: "listener", listener: "in" }],
    ["the one inbound listener that has a port", [IN, IN_UNIX], { kind: "listener", listener: "in" }],
    ["the application, where two could be meant", [IN, IN_TOO], { kind: "application" }],
    ["the application, behind a unix socket", [IN_UNIX], { kind: "application" }],
  ] as const)("advertises %s", (_what, listeners, advertise) => {
    expect(read("{ name: web, port: 5001 }", ...listeners)?.advertise).toEqual(advertise);
  });

  it("advertises an outbound listener when told to", () => {
    expect(read("{ name: web, port: 5001, advertise: { listener: out } }", OUT, IN)?.advertise).toEqual({
      kind: "listener",
      listener: "out",
    });
  });

  it.each([
    [
      "{ name: web, port: 5001 }",
      IN_LOOPBACK,
      ["service: 127.0.0.1:2 is registered, which only this machine can reach"],
    ],
    ["{ name: web, port: 5001, address: 10.0.0.5 }", IN_LOOPBACK, []],
    ["{ name: web, port: 5001, advertise: application }", IN_LOOPBACK, []],
    ["{ name: web, port: 5001 }", IN, []],
    ["{ name: web, port: 5001 }", IN_TOO, []],
  ] as const)("%s before %s warns of %j", (service, listener, warnings) => {
    expect(warningsOf(service, listener)).toEqual(warnings);
  });
});
