import { expect, it } from "vitest";
import { differenceOf, obstacleTo, touches } from "../../../src/config/difference.js";
import { parseConfig } from "../../../src/config/load.js";
import type { Config } from "../../../src/config/model.js";

const BASE = `
listeners: [{ name: front, bind: ":8080", pool: web }]
pools:
  - { name: web, discovery: { type: consul, service: web } }
`;

function read(text: string): Config {
  const result = parseConfig(text, { file: "f.yaml", env: {} });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.config;
}

function changes(before: string, after: string): readonly string[] {
  return differenceOf(read(before), read(after)).map(
    ({ path, from, to }) => `${path}: ${from ?? "-"} > ${to ?? "-"}`,
  );
}

it("finds nothing between equal configurations, however they are written", () => {
  expect(changes(BASE, BASE.replace("pools:", "# said\npools:"))).toEqual([]);
});

it("names one value by its place, lists with names by these", () => {
  expect(changes(BASE, BASE.replace("name: web,", "name: web, timeouts: { connect: 1s },"))).toEqual([
    "pools[web].timeouts.connectMs: 5000 > 1000",
  ]);
  const other = `${BASE}  - { name: other, discovery: { type: static, endpoints: ["a:1"] } }\n`;
  expect(changes(BASE, other)).toEqual([expect.stringMatching(/^pools\[other\]: - > \{"name":"other"/)]);
  expect(changes(other, BASE)).toEqual([expect.stringMatching(/^pools\[other\]: \{"name":"other".* > -$/)]);
});

it("does not care for the order of what has names", () => {
  const two = (a: string, b: string) => `
listeners: [{ name: front, bind: ":8080", pool: web }]
pools:
  - { name: ${a}, discovery: { type: consul, service: x } }
  - { name: ${b}, discovery: { type: consul, service: x } }
`;
  expect(changes(two("web", "b"), two("b", "web"))).toEqual([]);
});

it("shows no secret", () => {
  const token = (secret: string) => `consul: { token: ${secret} }\n${BASE}`;
  expect(changes(token("one"), token("two"))).toEqual(['consul.token: "***" > "***"']);
});

it("says what a running process cannot change, and what to do", () => {
  const [change] = differenceOf(read(BASE), read(`stateDir: /a\n${BASE}`));
  if (change === undefined) throw new Error("no change");
  expect(obstacleTo(change)).toMatch(/restart the process/);
  expect(obstacleTo({ path: "listeners[front].protocol", from: '"http"', to: '"tcp"' })).toMatch(
    /an address of its own/,
  );
  expect(obstacleTo({ path: "pools[web].balance", from: "1", to: "2" })).toBeUndefined();
});

it("tells what lies below a place from what begins like it", () => {
  const change = (path: string) => [{ path, from: undefined, to: undefined }];
  expect(touches(change("consul.token"), "consul")).toBe(true);
  expect(touches(change("pools[web]"), "pools")).toBe(true);
  expect(touches(change("pools[web].balance"), "pools[web]")).toBe(true);
  expect(touches(change("pools[web-next].balance"), "pools[web]")).toBe(false);
  expect(touches(change("consulate"), "consul")).toBe(false);
});
