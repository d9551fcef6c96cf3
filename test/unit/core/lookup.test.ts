import { describe, expect, it } from "vitest";
import { findBackends, nearestNames } from "../../../src/core/lookup.js";
import { endpointOf, poolOf } from "../admin/scene.js";

describe("findBackends", () => {
  const pool = poolOf("web");
  pool.apply(
    {
      endpoints: [
        endpointOf("web-1", 81),
        endpointOf("web-2", 82),
        endpointOf("web-2", 83, { key: "consul/dc1///other/web-2" }),
        endpointOf("web-4", 84),
        endpointOf("10.0.0.1:84", 85, { key: "static/10.0.0.1:84" }),
      ],
    },
    0,
  );

  it.each([
    ["the row id", "consul/dc1///node/web-2@10.0.0.1:82", "10.0.0.1:82"],
    ["the full key", "consul/dc1///other/web-2", "10.0.0.1:83"],
    ["a service id that is unique", "web-1", "10.0.0.1:81"],
    ["an address that is unique", "10.0.0.1:81", "10.0.0.1:81"],
  ])("finds a backend by %s", (_what, name, address) => {
    const found = findBackends(pool, name);
    expect(found.kind === "found" && found.backends.map((backend) => backend.address)).toEqual([address]);
  });

  it("names the keys when several backends share the service id", () => {
    const keys = ["consul/dc1///node/web-2", "consul/dc1///other/web-2"];
    expect(findBackends(pool, "web-2")).toEqual({ kind: "ambiguous", keys });
  });

  it("takes an address and an equal service id of another backend for ambiguous", () => {
    expect(findBackends(pool, "10.0.0.1:84").kind).toBe("ambiguous");
  });

  it("knows no part of a name", () => {
    expect(findBackends(pool, "web")).toEqual({ kind: "unknown" });
  });

  it("answers both rows of a key whose address changed while work is open", () => {
    const moved = poolOf("moved");
    moved.apply({ endpoints: [endpointOf("a", 1)] }, 0);
    const lease = moved.acquire([], 0);
    moved.apply({ endpoints: [endpointOf("a", 2)] }, 1);
    const found = findBackends(moved, "consul/dc1///node/a");
    expect(found.kind === "found" && found.backends).toHaveLength(2);
    lease?.release("success", 200, 2);
    const after = findBackends(moved, "a");
    expect(after.kind === "found" && after.backends.map(({ address }) => address)).toEqual(["10.0.0.1:2"]);
  });
});

describe("nearestNames", () => {
  it.each([
    ["wbe", ["web"]],
    ["WEB", ["web", "web-next"]],
    ["weeb", ["web"]],
    ["next", ["web-next"]],
    ["legcy-pol", ["legacy-pool"]],
    ["zzz", []],
    ["", []],
  ])("proposes for %j", (written, expected) => {
    expect(nearestNames(written, ["web", "web-next", "legacy-pool", "web"])).toEqual(expected);
  });

  it("proposes three at most, the nearest first", () => {
    const names = ["node-12", "node-1", "node-123", "node-1234"];
    expect(nearestNames("node-1", names)).toEqual(["node-1", "node-12", "node-123"]);
  });
});
