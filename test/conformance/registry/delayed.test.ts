import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CatalogStore } from "../../../src/dev/registry/catalog-store.js";
import { LocalAgent } from "../../../src/dev/registry/local-agent.js";
import { RaftIndex } from "../../../src/dev/registry/raft-index.js";
import { readServiceDefinition } from "../../../src/dev/registry/service-definition.js";

const node = {
  ID: "",
  Node: "n",
  Address: "127.0.0.1",
  Datacenter: "dc1",
  TaggedAddresses: null,
  Meta: null,
};

/** What Consul does after minutes, on timers moved by hand. */
describe("the embedded agent, minutes later", () => {
  let catalog: CatalogStore;
  let agent: LocalAgent;

  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"],
    });
    catalog = new CatalogStore(new RaftIndex(), () => {});
    agent = new LocalAgent(
      catalog,
      node,
      () => 0,
      () => {},
    );
  });
  afterEach(() => {
    agent.close();
    vi.useRealTimers();
  });

  const register = (check: object) =>
    agent.registerService(readServiceDefinition({ Name: "web", Check: { TTL: "24h", ...check } }), false);
  const outputInCatalog = () => catalog.instances("web")[0]?.Checks[0]?.Output;

  it("writes an output that changed alone after half the update interval at the earliest", () => {
    register({ Status: "passing" });
    agent.reportTtl("service:web", "passing", "later");
    const index = catalog.serviceIndex("web", true);
    vi.advanceTimersByTime(149_000);
    expect(outputInCatalog()).toBe("");
    expect(catalog.serviceIndex("web", true)).toBe(index);
    vi.advanceTimersByTime(2000);
    expect(outputInCatalog()).toBe("later");
    expect(catalog.serviceIndex("web", true)).toBeGreaterThan(index);
  });

  it("writes a delayed output at once when the status changes", () => {
    register({ Status: "passing" });
    agent.reportTtl("service:web", "passing", "later");
    agent.reportTtl("service:web", "warning", "now");
    expect(outputInCatalog()).toBe("now");
  });

  it("removes a service that was critical for a minute, however short a time was asked for", () => {
    register({ DeregisterCriticalServiceAfter: "1s" });
    vi.advanceTimersByTime(59_000);
    expect(catalog.instances("web")).toHaveLength(1);
    vi.advanceTimersByTime(32_000);
    expect(catalog.instances("web")).toHaveLength(0);
    expect(agent.services.size).toBe(0);
  });

  it("keeps a service that recovered in between, and one that did not ask to be removed", () => {
    register({ DeregisterCriticalServiceAfter: "1m" });
    vi.advanceTimersByTime(50_000);
    agent.reportTtl("service:web", "passing", "");
    agent.reportTtl("service:web", "critical", "");
    vi.advanceTimersByTime(45_000);
    expect(catalog.instances("web")).toHaveLength(1);
    agent.deregisterService("web");
    register({});
    vi.advanceTimersByTime(3_600_000);
    expect(catalog.instances("web")).toHaveLength(1);
  });
});
