import { describe, expect, it } from "vitest";
import { UpstreamConnections } from "../../../../src/proxy/http1/upstream-connections.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { apply, backendNamed, endpoint, newPool } from "../../../support/pool-fixture.js";
import { FakeConnection } from "./fake-connection.js";

describe("how long a close and a request may cross", () => {
  const pool = newPool();
  apply(pool, [endpoint("near"), endpoint("far")]);
  const options = { idleMs: 60_000, maxPerBackend: 0, isReusing: true, isBinding: false };
  const connections = new UpstreamConnections(pool, options, new ManualClock());
  const crossingMs = (id: string, connectMs: number): number =>
    connections.crossingMs(connections.adopt(new FakeConnection(), backendNamed(pool, id), connectMs));

  it("is two of the shortest dials to the backend, since some were held up", () => {
    expect(crossingMs("far", 40)).toBe(80);
    expect(crossingMs("far", 15)).toBe(30);
    expect(crossingMs("far", 200)).toBe(30);
  });

  it("is 2 ms where dials take less", () => {
    expect(crossingMs("near", 0.3)).toBe(2);
  });
});
