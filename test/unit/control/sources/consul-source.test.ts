import { describe, expect, it } from "vitest";
import type { ConsulDiscoveryConfig } from "../../../../src/config/consul-model.js";
import type { ConsulConfig } from "../../../../src/config/model.js";
import type { ConsulAnswer } from "../../../../src/control/sources/consul/answer.js";
import type { ConsulRequest } from "../../../../src/control/sources/consul/client.js";
import { createConsulSource } from "../../../../src/control/sources/consul/source.js";
import { ManualClock, settled } from "../../../support/manual-clock.js";
import { consulConfig, consulDiscovery, RecordingLog } from "./consul-config.js";
import { FakeResolver, RecordingSink } from "./recording-sink.js";

function setUp(discovery: Partial<ConsulDiscoveryConfig> = {}, config: Partial<ConsulConfig> = {}) {
  const clock = new ManualClock();
  const resolver = new FakeResolver();
  const log = new RecordingLog();
  const sink = new RecordingSink();
  const requests: ConsulRequest[] = [];
  let answer = (_answer: ConsulAnswer) => {};
  let closed = 0;
  const authorizations: (object | undefined)[] = [];
  let authorization: ConsulAnswer = { kind: "timeout", message: "not asked" };
  const client = {
    request: (request: ConsulRequest) => {
      if (request.path === "/internal/acl/authorize") {
        authorizations.push(request.body);
        return Promise.resolve(authorization);
      }
      requests.push(request);
      return new Promise<ConsulAnswer>((resolve) => (answer = resolve));
    },
    tokenChanges: () => 0,
    closings: () => 0,
    close: () => (closed += 1),
  };
  const deps = { clock, random: () => 0, resolver, log };
  const source = createConsulSource(
    consulDiscovery(discovery),
    consulConfig("http://user:pass@consul:8500", config),
    deps,
    client,
  );
  let index = 1;
  const give = async (...instances: readonly (readonly [id: string, host: string, port: number])[]) => {
    index += 1;
    const body = instances.map(([id, host, port]) => ({
      Node: { Node: "n1", Address: "10.0.0.1", Datacenter: "dc1" },
      Service: { ID: id, Address: host, Port: port, Tags: [], Meta: {} },
      Checks: [],
    }));
    answer({ kind: "ok", status: 200, headers: { "x-consul-index": String(index) }, body });
    await settled();
    await clock.advance(100);
  };
  return {
    clock,
    resolver,
    log,
    sink,
    requests,
    source,
    give,
    answer: (a: ConsulAnswer) => answer(a),
    authorizations,
    authorize: (body: unknown) => {
      authorization = { kind: "ok", status: 200, headers: {}, body };
    },
    closed: () => closed,
  };
}

describe("the query", () => {
  it("asks any server for the service by its encoded name", () => {
    const { source, sink, requests } = setUp({ subject: { kind: "service", name: "a b/c" } });
    source.start(sink);
    expect(requests[0]).toMatchObject({ path: "/health/service/a%20b%2Fc", query: { stale: "1" } });
  });

  it("takes datacenter, namespace and partition from the pool before the agent's", () => {
    const agent = { datacenter: "dc1", namespace: "ns1", partition: "p1" };
    const inherited = setUp({ filter: "x == 1" }, agent);
    inherited.source.start(inherited.sink);
    expect(inherited.requests[0]?.query).toEqual({
      stale: "1",
      dc: "dc1",
      ns: "ns1",
      partition: "p1",
      filter: "x == 1",
    });
    const own = setUp({ datacenter: "dc2", namespace: "ns2", partition: "p2" }, agent);
    own.source.start(own.sink);
    expect(own.requests[0]?.query).toEqual({ stale: "1", dc: "dc2", ns: "ns2", partition: "p2" });
  });

  it("names the node whose nearest come first", () => {
    const { source, sink, requests } = setUp({ near: "_agent" });
    source.start(sink);
    expect(requests[0]?.query).toEqual({ stale: "1", near: "_agent" });
  });

  it("executes a prepared query again and again, never blocking", async () => {
    const query = { kind: "query", name: "near web", intervalMs: 10_000 } as const;
    const { source, sink, requests, answer, clock } = setUp({ subject: query });
    source.start(sink);
    expect(requests[0]).toMatchObject({ path: "/query/near%20web/execute", query: { stale: "1" } });
    expect(source.status().target).toBe("query near web at http://consul:8500");
    const body = {
      Nodes: [
        {
          Node: { Node: "n1", Address: "10.0.0.1", Datacenter: "dc2" },
          Service: { ID: "a", Address: "", Port: 80 },
          Checks: [],
        },
      ],
    };
    for (let round = 1; round <= 3; round += 1) {
      answer({ kind: "ok", status: 200, headers: { "x-consul-index": "1" }, body });
      await clock.advance(8_999);
      expect(requests.length).toBe(round);
      await clock.advance(1);
      expect(requests.length).toBe(round + 1);
      expect(requests.at(-1)?.query).toEqual({ stale: "1" });
    }
    expect(sink.lists()).toEqual([["a=10.0.0.1:80"]]);
    expect(sink.snapshots[0]?.endpoints[0]?.key).toBe("consul/dc2/default/default/n1/a");
  });

  it("says what is wrong with a query that does not exist, and asks seldom", async () => {
    const query = { kind: "query", name: "none", intervalMs: 10_000 } as const;
    const { source, sink, requests, answer, clock } = setUp({ subject: query });
    source.start(sink);
    answer({ kind: "status", status: 404, text: "Query not found", retryAfterMs: undefined, message: "x" });
    await clock.advance(4_999);
    expect(source.status().reason).toBe("there is no such prepared query (Consul says: Query not found)");
    expect(requests.length).toBe(1);
    await clock.advance(1);
    expect(requests.length).toBe(2);
  });

  it("tells instances that are all critical from none at all", async () => {
    const { source, sink, give } = setUp();
    source.start(sink);
    await give(["a", "10.0.0.1", 80], ["b", "10.0.0.2", 80]);
    expect(source.status().details.passing).toBe("2");
    await give();
    expect(source.status().details.passing).toBeUndefined();
  });

  it("says in words what it watches, without the password", () => {
    const { source } = setUp({ datacenter: "dc2" });
    expect(source.status().target).toBe("service web in datacenter dc2 at http://consul:8500");
  });
});

describe("names in Consul", () => {
  it("hold the list back until they are resolved, and later changes come without a query", async () => {
    const { source, sink, resolver, requests, give } = setUp();
    source.start(sink);
    await give(["a", "web.internal", 80]);
    expect(sink.snapshots).toEqual([]);
    expect(source.status()).toMatchObject({ state: "starting", endpoints: 0 });
    resolver.answer("web.internal", ["10.0.0.5"]);
    expect(sink.lists()).toEqual([["a=10.0.0.5:80"]]);
    expect(source.status()).toMatchObject({ state: "live", endpoints: 1 });
    const queries = requests.length;
    resolver.answer("web.internal", ["10.0.0.5", "10.0.0.6"]);
    expect(sink.lists().at(-1)).toEqual(["a=10.0.0.5:80", "a=10.0.0.6:80"]);
    expect(requests.length).toBe(queries);
    expect(sink.states()).toEqual(["live"]);
  });

  it("leave the list as it was when none of a new one can be resolved", async () => {
    const { source, sink, resolver, give } = setUp();
    source.start(sink);
    await give(["a", "10.0.0.1", 80]);
    await give(["a", "gone.internal", 80]);
    resolver.fail("gone.internal", "ENOTFOUND");
    expect(sink.lists()).toEqual([["a=10.0.0.1:80"]]);
    expect(source.status()).toMatchObject({
      state: "stale",
      reason: "no address is known: gone.internal: ENOTFOUND",
    });
  });
});

it("counts and logs instances it cannot use", async () => {
  const { source, sink, log, give } = setUp();
  source.start(sink);
  await give(["a", "10.0.0.1", 80], ["b", "10.0.0.2", 0]);
  expect(sink.lists()).toEqual([["a=10.0.0.1:80"]]);
  expect(source.status().details.skippedWithoutPort).toBe("1");
  expect(log.lines.filter((line) => line.level === "warn").map((line) => line.fields)).toEqual([
    { what: "service web", noPort: 1, noAddress: 0 },
  ]);
});

it("passes one snapshot per change of content", async () => {
  const { source, sink, give } = setUp();
  source.start(sink);
  await give(["a", "10.0.0.1", 80]);
  await give(["a", "10.0.0.1", 80]);
  await give(["a", "10.0.0.1", 81]);
  expect(sink.snapshots.length).toBe(2);
});

it("lives on when its status is not taken", async () => {
  const { source, sink, log, give, answer, clock } = setUp();
  sink.onStatus = () => {
    throw new Error("broken listener");
  };
  source.start(sink);
  await give(["a", "10.0.0.1", 80]);
  answer({ kind: "network", message: "ECONNRESET" });
  await clock.advance(5_000);
  await give(["a", "10.0.0.2", 80]);
  expect(sink.lists().at(-1)).toEqual(["a=10.0.0.2:80"]);
  expect(log.lines.some((line) => line.level === "error")).toBe(true);
});

it("aborts its request and closes its connection when stopped", async () => {
  const { source, sink, requests, clock, closed, give } = setUp();
  source.start(sink);
  await give(["a", "10.0.0.1", 80]);
  source.stop();
  expect(requests.at(-1)?.signal.aborted).toBe(true);
  expect(closed()).toBe(1);
  await give(["b", "10.0.0.2", 80]);
  expect(sink.lists()).toEqual([["a=10.0.0.1:80"]]);
  expect(clock.pendingTimers()).toBe(0);
});

describe("an empty list", () => {
  const denied = (Resource: string, Segment: string) => ({ Resource, Segment, Access: "read", Allow: false });

  it("is asked about: what the token may not read is hidden, and the list stays", async () => {
    const { source, sink, give, authorize, authorizations } = setUp({}, { datacenter: "dc1" });
    source.start(sink);
    await give(["a", "10.0.0.1", 80]);
    authorize([{ ...denied("service", "web"), Allow: true }, denied("node", "n1")]);
    await give();
    expect(sink.lists()).toEqual([["a=10.0.0.1:80"]]);
    expect(source.status()).toMatchObject({
      state: "stale",
      reason: 'every instance is hidden from the token: it lacks node:read on "n1"',
    });
    expect(authorizations).toEqual([
      [
        { Resource: "service", Access: "read", Segment: "web" },
        { Resource: "node", Access: "read", Segment: "n1" },
      ],
    ]);
  });

  it("names all that is missing, also before any node is known", async () => {
    const { source, sink, give, authorize } = setUp();
    source.start(sink);
    authorize([denied("service", "web"), denied("node", "")]);
    await give();
    expect(sink.snapshots).toEqual([]);
    expect(source.status()).toMatchObject({
      state: "starting",
      reason:
        'every instance is hidden from the token: it lacks service:read on "web" and node:read on its nodes',
    });
  });

  it.each<[string, unknown]>([
    ["everything is allowed", [{ Resource: "service", Segment: "web", Access: "read", Allow: true }]],
    ["the answer is none", { error: "ACL support disabled" }],
    ["the answer is of another shape", [null, 7, { Allow: false }]],
  ])("is believed where %s", async (_name, body) => {
    const { source, sink, give, authorize } = setUp();
    source.start(sink);
    authorize(body);
    await give();
    expect(sink.lists()).toEqual([[]]);
    expect(source.status().state).toBe("live");
  });

  it("is believed of an agent that cannot be asked", async () => {
    const { source, sink, give } = setUp();
    source.start(sink);
    await give();
    expect(sink.lists()).toEqual([[]]);
  });
});
