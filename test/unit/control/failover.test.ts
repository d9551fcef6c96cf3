import { expect, it } from "vitest";
import { holdLaterDatacenters } from "../../../src/control/failover.js";
import type { Endpoint } from "../../../src/core/endpoint.js";
import { endpoint } from "../../support/pool-fixture.js";

function inDatacenter(priority: number, id: string, changes: Partial<Endpoint> = {}): Endpoint {
  return endpoint(id, { key: `consul/dc${priority + 1}/default/default/n/${id}`, priority, ...changes });
}

function working(...endpoints: readonly Endpoint[]): string[] {
  return holdLaterDatacenters(endpoints)
    .filter(({ admitted }) => admitted)
    .map(({ id }) => id);
}

const critical = { status: "critical", admitted: false } as const;

it("gives all the work to the first datacenter that has someone to do it", () => {
  const [a, b, c] = [inDatacenter(0, "a"), inDatacenter(1, "b"), inDatacenter(2, "c")];
  expect(working(c, b, a)).toEqual(["a"]);
  expect(working(b, c)).toEqual(["b"]);
  expect(working(inDatacenter(0, "a", critical), b, c)).toEqual(["b"]);
  expect(working(inDatacenter(0, "a", { weight: 0 }), b, c)).toEqual(["a", "b"]);
  expect(working(inDatacenter(0, "a", critical), inDatacenter(1, "b", critical), c)).toEqual(["c"]);
});

it("says what those after it wait for, and keeps them in the list", () => {
  const listed = holdLaterDatacenters([inDatacenter(0, "a"), inDatacenter(1, "b")]);
  expect(listed.map(({ reason }) => reason)).toEqual([
    "",
    "waits while a datacenter before its own has usable instances",
  ]);
});

it("changes nothing where there is no failover, nor in what other sources list", () => {
  const plain = [inDatacenter(0, "a"), inDatacenter(0, "b")];
  expect(holdLaterDatacenters(plain)).toBe(plain);
  expect(working(inDatacenter(0, "a"), endpoint("backup", { priority: 1 }))).toEqual(["a", "backup"]);
});
