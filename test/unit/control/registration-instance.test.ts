import { describe, expect, it } from "vitest";
import type { ServiceConfig, SocketAddressConfig } from "../../../src/config/model.js";
import {
  definitionOf,
  findDifference,
  type Instance,
  locateInstance,
  neighbourOf,
} from "../../../src/control/registration/instance.js";
import { serviceConfig, ttlProbe } from "./registration-scene.js";

const FRONT = { advertise: { kind: "listener", listener: "front" } } as const;

function tcp(host: string, port: number): SocketAddressConfig {
  return { kind: "tcp", host, port };
}

function instance(
  changes: Partial<ServiceConfig> = {},
  bound: readonly SocketAddressConfig[] = [],
): Instance {
  const found = locateInstance(serviceConfig(changes), bound, "host-a");
  if (found === undefined) throw new Error("no instance");
  return found;
}

describe("what is registered", () => {
  it.each([
    ["the application", {}, [], undefined, 5001],
    ["the application under its address", { address: "10.0.0.5" }, [], "10.0.0.5", 5001],
    ["a listener that is bound everywhere", FRONT, [tcp("::", 8080)], undefined, 8080],
    ["a listener that is bound to all of IPv4", FRONT, [tcp("0.0.0.0", 8080)], undefined, 8080],
    ["a listener at its address", FRONT, [tcp("10.0.0.5", 8080)], "10.0.0.5", 8080],
    ["a loopback listener, truthfully", FRONT, [tcp("127.0.0.1", 8080)], "127.0.0.1", 8080],
    ["a listener under another address", { ...FRONT, address: "a.b" }, [tcp("::1", 8080)], "a.b", 8080],
    [
      "the first port of several",
      FRONT,
      [{ kind: "unix", path: "/a", mode: undefined }, tcp("::", 8080), tcp("::", 8081)],
      undefined,
      8080,
    ],
  ] as const)("is %s", (_what, changes, bound, address, port) => {
    expect(instance(changes, bound)).toMatchObject({ address, port, id: "web-1" });
  });

  it("is nothing where the listener has no port", () => {
    const bound = [{ kind: "unix", path: "/a", mode: undefined }] as const;
    expect(locateInstance(serviceConfig(FRONT), bound, "host-a")).toBeUndefined();
  });

  it("has an id of name, host and port where none is given, and a check id with its kind", () => {
    expect(instance({ id: undefined })).toMatchObject({
      id: "web-host-a-5001",
      checkId: "service:web-host-a-5001:ttl-probe",
    });
  });
});

describe("the probe", () => {
  it.each([
    [{}, "127.0.0.1"],
    [{ address: "10.0.0.5" }, "10.0.0.5"],
    [{ ...FRONT, address: "10.0.0.5" }, "127.0.0.1"],
  ] as const)("of %j goes to the application at %s", (changes, host) => {
    expect(neighbourOf(instance(changes, [tcp("::", 8080)]))).toEqual({ host, port: 5001 });
  });
});

describe("the definition", () => {
  it("has every field of the configuration", () => {
    const full = instance({
      address: "10.0.0.5",
      tags: ["v2", "blue"],
      meta: { zone: "b" },
      weights: { passing: 10, warning: 0 },
    });
    expect(definitionOf(full, "critical")).toEqual({
      ID: "web-1",
      Name: "web",
      Address: "10.0.0.5",
      Port: 5001,
      Tags: ["v2", "blue"],
      Meta: { zone: "b" },
      Weights: { Passing: 10, Warning: 0 },
      Check: {
        CheckID: "service:web-1:ttl-probe",
        Name: "Service 'web' ttl-probe",
        Status: "critical",
        TTL: "9000ms",
        DeregisterCriticalServiceAfter: "60000ms",
      },
    });
  });

  const shared = {
    Status: "critical",
    Interval: "1000ms",
    Timeout: "500ms",
    FailuresBeforeCritical: 3,
    SuccessBeforePassing: 2,
    DeregisterCriticalServiceAfter: "60000ms",
  };

  it.each([
    ["consul-http", "/status?x=1", "::1", { HTTP: "http://[::1]:8080/status?x=1" }],
    ["consul-http", "/status", "::", { HTTP: "http://127.0.0.1:8080/status" }],
    ["consul-tcp", undefined, "10.0.0.5", { TCP: "10.0.0.5:8080" }],
    ["consul-grpc", undefined, "10.0.0.5", { GRPC: "10.0.0.5:8080" }],
  ] as const)(
    "%s with %s at %s lets the agent probe what is advertised",
    (kind, httpPath, host, expected) => {
      const { ttlMs: _ttlMs, ...timing } = ttlProbe();
      const probed = instance({ ...FRONT, check: { ...timing, kind, httpPath } }, [tcp(host, 8080)]);
      expect(definitionOf(probed, "critical")).toMatchObject({
        Check: {
          CheckID: `service:web-1:${kind}`,
          Name: `Service 'web' ${kind}`,
          ...shared,
          ...expected,
        },
      });
      expect(JSON.stringify(definitionOf(probed, "critical"))).not.toContain("TTL");
    },
  );
});

describe("what the agent answers", () => {
  const ours = instance({ tags: ["a", "b"], meta: { zone: "b" }, weights: { passing: 10, warning: 2 } });
  const same = {
    ID: "web-1",
    Service: "web",
    Tags: ["b", "a"],
    Meta: { zone: "b", added: "by someone" },
    Port: 5001,
    Address: "",
    Weights: { Passing: 10, Warning: 2 },
    EnableTagOverride: false,
    Datacenter: "dc1",
  };

  it("is the same whatever the order of tags and whatever newer agents add", () => {
    expect(findDifference(same, ours)).toBeUndefined();
  });

  it.each([
    ["name", { Service: "shop" }],
    ["port", { Port: 5002 }],
    ["address", { Address: "10.0.0.9" }],
    ["tags", { Tags: ["a"] }],
    ["tags", { Tags: ["a", "c"] }],
    ["tags", { Tags: null }],
    ["meta", { Meta: { zone: "c" } }],
    ["meta", { Meta: null }],
    ["weights", { Weights: { Passing: 1, Warning: 2 } }],
    ["weights", { Weights: undefined }],
  ])("differs in its %s with %j", (difference, change) => {
    expect(findDifference({ ...same, ...change }, ours)).toBe(difference);
  });

  it.each([[undefined], [null], [[]], ["x"]])("differs in form as %j", (body) => {
    expect(findDifference(body, ours)).toBe("form");
  });
});
