import { describe, expect, it } from "vitest";
import { readHealthEntries, readQueryEntries } from "../../../../src/control/sources/consul/health-entry.js";
import {
  type MappedList,
  type MappingRules,
  mapHealthEntries,
} from "../../../../src/control/sources/consul/mapping.js";

interface Given {
  readonly node?: Record<string, unknown>;
  readonly service?: Record<string, unknown>;
  readonly checks?: readonly Record<string, unknown>[] | null;
}

function entry(given: Given = {}): unknown {
  return {
    Node: { Node: "n1", Address: "10.0.0.1", Datacenter: "dc1", Meta: {}, ...given.node },
    Service: {
      ID: "web-1",
      Service: "web",
      Address: "10.0.0.9",
      Port: 80,
      Tags: ["v2"],
      Meta: { team: "a" },
      Weights: { Passing: 10, Warning: 2 },
      ...given.service,
    },
    Checks: given.checks === undefined ? [check("serf", "passing")] : given.checks,
  };
}

function check(id: string, status: string, more: Record<string, string> = {}): Record<string, unknown> {
  return { CheckID: id, Name: `${id} check`, Status: status, Notes: "", Output: "", ...more };
}

const RULES: MappingRules = {
  tags: [],
  minStatus: "passing",
  taggedAddress: undefined,
  zoneKey: "zone",
  priority: 0,
  isOrdered: false,
};

function map(entries: readonly unknown[], rules: Partial<MappingRules> = {}): MappedList {
  const read = readHealthEntries(entries);
  if (!read.ok) throw new Error(read.problem);
  return mapHealthEntries(read.entries, { ...RULES, ...rules });
}

function one(given: Given, rules: Partial<MappingRules> = {}) {
  const [endpoint] = map([entry(given)], rules).endpoints;
  if (endpoint === undefined) throw new Error("no endpoint");
  return endpoint;
}

describe("identity and address", () => {
  it("maps a whole instance", () => {
    expect(one({ node: { Meta: { zone: "east" } } })).toEqual({
      key: "consul/dc1/default/default/n1/web-1",
      id: "web-1",
      host: "10.0.0.9",
      port: 80,
      weight: 10,
      status: "passing",
      admitted: true,
      reason: "",
      tags: ["v2"],
      meta: { team: "a" },
      node: "n1",
      datacenter: "dc1",
      zone: "east",
      priority: 0,
    });
  });

  it.each<[string, Given, string]>([
    [
      "a namespace and a partition",
      { service: { Namespace: "ns", Partition: "p" } },
      "consul/dc1/p/ns/n1/web-1",
    ],
    ["the partition of the node", { node: { Partition: "p" } }, "consul/dc1/p/default/n1/web-1"],
    ["separators in names", { node: { Node: "a/b%@c" } }, "consul/dc1/default/default/a%2Fb%25%40c/web-1"],
  ])("keys an instance with %s", (_name, given, key) => {
    expect(one(given).key).toBe(key);
  });

  it("keeps apart what only differs by where a slash stands", () => {
    const entries = [
      entry({ node: { Node: "a/b" }, service: { ID: "c" } }),
      entry({ node: { Node: "a" }, service: { ID: "b/c" } }),
    ];
    expect(new Set(map(entries).endpoints.map((endpoint) => endpoint.key)).size).toBe(2);
  });

  it.each<[string, Given, string, number]>([
    ["the service's", {}, "10.0.0.9", 80],
    ["the node's when the service has none", { service: { Address: "" } }, "10.0.0.1", 80],
    ["a name as it is", { service: { Address: "web.internal" } }, "web.internal", 80],
    [
      "the default of several ports",
      {
        service: {
          Port: 0,
          Ports: [
            { Name: "m", Port: 9 },
            { Name: "w", Port: 81, Default: true },
          ],
        },
      },
      "10.0.0.9",
      81,
    ],
    [
      "the only one of named ports",
      { service: { Port: 0, Ports: [{ Name: "w", Port: 82 }] } },
      "10.0.0.9",
      82,
    ],
    [
      "the plain port before named ones",
      { service: { Ports: [{ Name: "w", Port: 82, Default: true }] } },
      "10.0.0.9",
      80,
    ],
  ])("takes the address: %s", (_name, given, host, port) => {
    expect(one(given)).toMatchObject({ host, port });
  });

  it.each<[string, Given, string]>([
    ["port 0", { service: { Port: 0 } }, "noPort"],
    ["no port", { service: { Port: undefined } }, "noPort"],
    ["several ports and no default", { service: { Port: 0, Ports: [{ Port: 1 }, { Port: 2 }] } }, "noPort"],
    ["a port beyond 65535", { service: { Port: 70_000 } }, "noPort"],
    ["no address anywhere", { node: { Address: "" }, service: { Address: "" } }, "noAddress"],
  ])("skips and counts an instance with %s", (_name, given, reason) => {
    const mapped = map([entry(given), entry({ service: { ID: "web-2" } })]);
    expect(mapped.endpoints.map((endpoint) => endpoint.id)).toEqual(["web-2"]);
    expect(mapped.skipped).toEqual({ noPort: 0, noAddress: 0, tags: 0, [reason]: 1 });
  });

  describe("with a tagged address", () => {
    const wan = { wan: { Address: "203.0.113.9", Port: 8080 } };
    const nodeWan = { TaggedAddresses: { wan: "203.0.113.1" } };

    it.each<[string, Given, string, number]>([
      ["the service's, with its port", { service: { TaggedAddresses: wan } }, "203.0.113.9", 8080],
      [
        "the service's, with the plain port where it has none",
        { service: { TaggedAddresses: { wan: { Address: "203.0.113.9" } } } },
        "203.0.113.9",
        80,
      ],
      [
        "the node's for a service without address",
        { service: { Address: "" }, node: nodeWan },
        "203.0.113.1",
        80,
      ],
      ["the service's own before the node's tagged one", { node: nodeWan }, "10.0.0.9", 80],
      [
        "the plain one where nobody has it",
        { service: { TaggedAddresses: { lan: wan.wan } } },
        "10.0.0.9",
        80,
      ],
      [
        "the plain one where it is empty",
        { service: { TaggedAddresses: { wan: { Address: "" } } } },
        "10.0.0.9",
        80,
      ],
      ["the plain one where it is junk", { service: { TaggedAddresses: { wan: 7 } } }, "10.0.0.9", 80],
    ])("takes %s", (_name, given, host, port) => {
      expect(one(given, { taggedAddress: "wan" })).toMatchObject({ host, port });
    });

    it("is not fooled by names every object has", () => {
      expect(one({}, { taggedAddress: "constructor" })).toMatchObject({ host: "10.0.0.9", port: 80 });
    });
  });

  it("takes the zone from the key that is named", () => {
    const given = { node: { Meta: { zone: "a", rack: "r1" } }, service: { Meta: { rack: "r2" } } };
    expect(one(given, { zoneKey: "rack" }).zone).toBe("r1");
    expect(one({ service: { Meta: { rack: "r2" } } }, { zoneKey: "rack" }).zone).toBe("r2");
  });

  it("ranks instances by their datacenter, and its backups behind its actives", () => {
    expect(one({}, { priority: 2 }).priority).toBe(4);
    expect(one({ service: { Meta: { backup: "true" } } }, { priority: 2 }).priority).toBe(5);
    expect(one({ service: { Meta: { backup: "no" } } }, { priority: 0 }).priority).toBe(0);
  });

  it("keeps the order of an answer that has one, which is no change of content", () => {
    const entries = ["web-3", "web-1", "web-2"].map((ID) => entry({ service: { ID } }));
    const ordered = map(entries, { isOrdered: true });
    expect(ordered.endpoints.map(({ id }) => id)).toEqual(["web-3", "web-1", "web-2"]);
    expect(map([...entries].reverse(), { isOrdered: true }).digest).toBe(ordered.digest);
  });

  it("counts instances by status", () => {
    const critical = [check("c", "critical")];
    const entries = [
      entry(),
      entry({ service: { ID: "b" }, checks: critical }),
      entry({ service: { ID: "c" }, checks: critical }),
    ];
    expect(map(entries).statuses).toEqual({ passing: 1, warning: 0, critical: 2, maintenance: 0 });
  });

  it("takes the zone from the node before the service", () => {
    const service = { Meta: { zone: "west" } };
    expect(one({ service }).zone).toBe("west");
    expect(one({ service, node: { Meta: { zone: "east" } } }).zone).toBe("east");
    expect(one({}).zone).toBeUndefined();
  });
});

describe("status, weight and admission", () => {
  const passing = check("a", "passing");
  const warning = check("b", "warning", { Output: "slow\nvery slow" });
  const critical = check("c", "critical", { Output: "refused" });
  const service = check("_service_maintenance:web-1", "critical", { Notes: "moving house" });
  const other = check("_service_maintenance:web-2", "critical");
  const node = check("_node_maintenance", "critical");

  it.each<
    [
      string,
      readonly Record<string, unknown>[] | null,
      MappingRules["minStatus"],
      string,
      boolean,
      number,
      string,
    ]
  >([
    ["no checks", [], "passing", "passing", true, 10, ""],
    ["null for checks", null, "passing", "passing", true, 10, ""],
    ["all passing", [passing], "passing", "passing", true, 10, ""],
    [
      "a warning below passing",
      [passing, warning],
      "passing",
      "warning",
      false,
      2,
      "check 'b check' is warning: slow (needs passing)",
    ],
    ["a warning", [passing, warning], "warning", "warning", true, 2, "check 'b check' is warning: slow"],
    [
      "critical below warning",
      [warning, critical],
      "warning",
      "critical",
      false,
      2,
      "check 'c check' is critical: refused (and 1 more) (needs warning)",
    ],
    ["critical with any", [critical], "any", "critical", true, 2, "check 'c check' is critical: refused"],
    [
      "service maintenance with any",
      [critical, service],
      "any",
      "maintenance",
      false,
      10,
      "service maintenance: moving house",
    ],
    ["node maintenance", [node], "passing", "maintenance", false, 10, "node maintenance"],
    [
      "maintenance of another service",
      [other],
      "passing",
      "critical",
      false,
      2,
      "check '_service_maintenance:web-2 check' is critical (needs passing)",
    ],
    [
      "an unknown word",
      [check("x", "dubious")],
      "warning",
      "critical",
      false,
      2,
      "check 'x check' is dubious (needs warning)",
    ],
  ])("judges %s", (_name, checks, minStatus, status, admitted, weight, reason) => {
    expect(one({ checks }, { minStatus })).toMatchObject({ status, admitted, weight, reason });
  });

  it("keeps a critical instance in the list, not admitted", () => {
    const mapped = map([entry({ checks: [critical] }), entry({ service: { ID: "web-2" } })]);
    expect(mapped.endpoints.map((endpoint) => [endpoint.id, endpoint.admitted])).toEqual([
      ["web-1", false],
      ["web-2", true],
    ]);
  });

  it.each<[unknown, readonly unknown[], number]>([
    [undefined, [], 1],
    [null, [], 1],
    [{ Passing: 0, Warning: 0 }, [warning], 0],
    [{ Passing: 70_000, Warning: 1 }, [], 65_535],
    [{ Passing: -3, Warning: 1 }, [], 1],
    [{ Passing: "9" }, [], 1],
  ])("reads weights %j", (weights, checks, expected) => {
    const given = { service: { Weights: weights }, checks: checks as Record<string, unknown>[] };
    expect(one(given).weight).toBe(expected);
  });

  it("cuts the output of a check to one short printable line", () => {
    const output = `\u001b[31m${"x".repeat(500)}\nsecond`;
    const { reason } = one({ checks: [check("c", "critical", { Output: output })] });
    expect(reason.length).toBeLessThan(230);
    expect(reason).not.toContain("second");
    expect(reason).not.toContain("\u001b");
  });
});

it.each<[readonly string[], readonly string[] | null, number]>([
  [[], null, 1],
  [["v2"], ["v1", "v2"], 1],
  [["v1", "v2"], ["v2", "v1"], 1],
  [["v1", "v3"], ["v1", "v2"], 0],
  [["v2"], null, 0],
])("asks for tags %j of an instance with %j", (tags, has, count) => {
  const mapped = map([entry({ service: { Tags: has } })], { tags });
  expect(mapped.endpoints.length).toBe(count);
  expect(mapped.skipped.tags).toBe(1 - count);
});

describe("the digest", () => {
  const base = map([entry(), entry({ service: { ID: "web-2" } })]);

  it("sees no order, of instances, tags or meta", () => {
    const turned = map([entry({ service: { ID: "web-2" } }), entry()]);
    expect(turned.digest).toBe(base.digest);
    expect(turned.endpoints).toEqual(base.endpoints);
    const ab = map([entry({ service: { Tags: ["a", "b"], Meta: { x: "1", y: "2" } } })]).digest;
    expect(map([entry({ service: { Tags: ["b", "a"], Meta: { y: "2", x: "1" } } })]).digest).toBe(ab);
  });

  it("sees no output of a check and no field that is not used", () => {
    const before = map([entry({ checks: [check("c", "critical", { Output: "one" })] })]).digest;
    expect(
      map([entry({ checks: [check("c", "critical", { Output: "two" })], service: { ModifyIndex: 9 } })])
        .digest,
    ).toBe(before);
  });

  it.each<[string, Given]>([
    ["the id", { service: { ID: "x" } }],
    ["the address", { service: { Address: "10.0.0.8" } }],
    ["the port", { service: { Port: 81 } }],
    ["a weight in force", { service: { Weights: { Passing: 9, Warning: 2 } } }],
    ["tags", { service: { Tags: ["v3"] } }],
    ["meta", { service: { Meta: { team: "b" } } }],
    ["the zone", { node: { Meta: { zone: "z" } } }],
    ["a check's state", { checks: [check("serf", "warning")] }],
    ["a new check", { checks: [check("serf", "passing"), check("more", "passing")] }],
    ["maintenance notes", { checks: [check("_node_maintenance", "critical", { Notes: "x" })] }],
  ])("changes with %s", (_name, given) => {
    expect(map([entry(given)]).digest).not.toBe(map([entry()]).digest);
  });
});

it.each<[unknown, string]>([
  [null, "answer is null"],
  ["<html>", "answer is a string"],
  [{}, "answer is an object"],
  [[null], "instance 0 of the answer: is null"],
  [[entry(), {}], "instance 1 of the answer: has no Node.Node"],
  [[entry({ node: { Node: "" } })], "has no Node.Node"],
  [[entry({ service: { ID: 7 } })], "has no Service.ID"],
  [[entry({ service: { Port: "80" } })], "Service.Port that is no number"],
  [[{ ...(entry() as object), Checks: "none" }], "Checks that are no list"],
])("refuses a body of unknown shape as a whole: %j", (body, problem) => {
  const read = readHealthEntries(body);
  expect(read.ok).toBe(false);
  if (!read.ok) expect(read.problem).toContain(problem);
});

describe("the result of a prepared query", () => {
  it("holds its instances under Nodes, null for none", () => {
    const read = readQueryEntries({ Service: "web", Nodes: [entry()], Datacenter: "dc2", Failovers: 1 });
    expect(read.ok && read.entries.map(({ serviceId }) => serviceId)).toEqual(["web-1"]);
    expect(readQueryEntries({ Service: "web", Nodes: null })).toEqual({ ok: true, entries: [] });
  });

  it.each([
    [[], "answer is a list, expected a query's result"],
    [null, "answer is null"],
    [{ Nodes: {} }, "answer is an object"],
    [{ Nodes: [{}] }, "instance 0 of the answer: has no Node.Node"],
  ])("is refused when it is %j", (body, problem) => {
    const read = readQueryEntries(body);
    expect(read.ok ? "" : read.problem).toContain(problem);
  });
});
