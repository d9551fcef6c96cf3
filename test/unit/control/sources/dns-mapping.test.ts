import { describe, expect, it } from "vitest";
import { HeldList } from "../../../../src/control/sources/dns/held-list.js";
import type { FoundInstance } from "../../../../src/control/sources/dns/lookup.js";
import { mapInstances } from "../../../../src/control/sources/dns/mapping.js";
import type { Endpoint } from "../../../../src/core/endpoint.js";

function instance(target: string, more: Partial<FoundInstance> = {}): FoundInstance {
  return { target, port: 80, priority: 1, weight: 1, addresses: ["10.0.0.1"], ...more };
}

const rules = { record: "srv", resolve: "all" } as const;

describe("mapping instances", () => {
  it("names SRV instances by target and port, so that a new address keeps the identity", () => {
    const [endpoint] = mapInstances([instance("a@x.test", { addresses: ["fd00::1"] })], rules, []);
    expect(endpoint).toMatchObject({
      key: "dns/a%40x.test:80",
      id: "a@x.test:80",
      host: "fd00::1",
      port: 80,
      weight: 1,
      admitted: true,
      reason: "",
    });
  });

  it("names addresses by themselves", () => {
    const found = mapInstances(
      [instance("web.test", { addresses: ["10.0.0.1", "fd00::1"] })],
      { record: "a", resolve: "one" },
      [],
    );
    expect(found.map(({ key, host }) => [key, host])).toEqual([
      ["dns/10.0.0.1:80", "10.0.0.1"],
      ["dns/[fd00::1]:80", "fd00::1"],
    ]);
  });

  it("makes a tier of each priority, the lowest number first", () => {
    const found = mapInstances(
      [instance("b.test", { priority: 20 }), instance("a.test", { priority: 10 })],
      rules,
      [],
    );
    expect(found.map(({ id, admitted, priority }) => [id, admitted, priority])).toEqual([
      ["a.test:80", true, 0],
      ["b.test:80", true, 1],
    ]);
  });

  it.each([
    [
      [0, 0],
      [1, 1],
    ],
    [
      [0, 5],
      [0, 5],
    ],
    [
      [65_535, 1],
      [65_535, 1],
    ],
  ])("takes weights %j for %j", (weights, expected) => {
    const found = mapInstances(
      weights.map((weight, index) => instance(`${index}.test`, { weight })),
      rules,
      [],
    );
    expect(found.map(({ weight }) => weight)).toEqual(expected);
  });

  it("judges weights by priority: all zero there means equal", () => {
    const found = mapInstances(
      [instance("a.test", { weight: 0 }), instance("b.test", { weight: 9, priority: 2 })],
      rules,
      [],
    );
    expect(found.map(({ weight }) => weight)).toEqual([1, 9]);
  });

  it("is the same for every order of records, and has no row twice", () => {
    const records = [
      instance("a.test", { priority: 2 }),
      instance("a.test"),
      instance("b.test", { addresses: ["10.0.0.2", "10.0.0.3"] }),
    ];
    const found = mapInstances(records, rules, []);
    expect(mapInstances([...records].reverse(), rules, [])).toEqual(found);
    expect(found.map(({ id, host, admitted }) => [id, host, admitted])).toEqual([
      ["a.test:80", "10.0.0.1", true],
      ["b.test:80", "10.0.0.2", true],
      ["b.test:80", "10.0.0.3", true],
    ]);
  });

  it("keeps to the address it took, for one address per target", () => {
    const one = { ...rules, resolve: "one" } as const;
    const first = mapInstances([instance("a.test", { addresses: ["10.0.0.2"] })], one, []);
    const both = instance("a.test", { addresses: ["10.0.0.1", "10.0.0.2"] });
    expect(mapInstances([both], one, first).map(({ host }) => host)).toEqual(["10.0.0.2"]);
    expect(mapInstances([both], one, []).map(({ host }) => host)).toEqual(["10.0.0.1"]);
  });
});

describe("holding the last good list", () => {
  const endpoint = (target: string): Endpoint => {
    const [made] = mapInstances([instance(target)], rules, []);
    if (made === undefined) throw new Error("no endpoint");
    return made;
  };
  const hold = { nxMs: 30_000, timeoutMs: undefined, refusedMs: 10_000, otherMs: 0, obsoleteMs: 5_000 };
  const shown = (list: HeldList, nowMs: number) =>
    list.current("why", nowMs)?.map(({ id, admitted, reason }) => `${id} ${admitted} ${reason}`.trim());

  it("knows nothing before the first answer", () => {
    const list = new HeldList(hold);
    list.refuse("nx");
    expect(list.current("why", 1_000_000)).toBeUndefined();
    expect(list.isExpired(1_000_000)).toBe(false);
  });

  it.each([
    ["nx", 30_000],
    ["refused", 10_000],
  ] as const)("%s counts from the last good answer, not from the first bad one", (kind, holdMs) => {
    const list = new HeldList(hold);
    list.accept([endpoint("a.test")], 1_000);
    list.refuse(kind);
    expect(shown(list, 1_000 + holdMs - 1)).toEqual(["a.test:80 true"]);
    expect(list.nextChangeMs(5_000)).toBe(1_000 + holdMs);
    expect(shown(list, 1_000 + holdMs)).toEqual(["a.test:80 false why"]);
    list.accept([endpoint("a.test")], 100_000);
    expect(shown(list, 100_000)).toEqual(["a.test:80 true"]);
    expect(list.nextChangeMs(100_000)).toBe(Number.POSITIVE_INFINITY);
  });

  it("lasts for ever where no time is set, and no time at all where it is 0", () => {
    const list = new HeldList(hold);
    list.accept([endpoint("a.test")], 0);
    list.refuse("timeout");
    expect(shown(list, 1e12)).toEqual(["a.test:80 true"]);
    expect(list.nextChangeMs(0)).toBe(Number.POSITIVE_INFINITY);
    list.refuse("other");
    expect(shown(list, 1e12)).toEqual(["a.test:80 false why"]);
  });

  it("keeps what is missing in a good answer for a while, counted from the first one without it", () => {
    const list = new HeldList(hold);
    list.accept([endpoint("a.test"), endpoint("b.test")], 0);
    list.accept([endpoint("a.test")], 1_000);
    list.accept([endpoint("a.test")], 4_000);
    expect(list.nextChangeMs(4_000)).toBe(6_000);
    expect(shown(list, 5_999)).toEqual(["a.test:80 true", "b.test:80 true"]);
    expect(shown(list, 6_000)).toEqual(["a.test:80 true"]);
    list.accept([endpoint("a.test"), endpoint("b.test")], 5_000);
    expect(shown(list, 50_000)).toEqual(["a.test:80 true", "b.test:80 true"]);
  });
});
