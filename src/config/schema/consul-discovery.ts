import { z } from "zod";
import { choice, duration, isAnyMap, list, strictMap, text } from "./field.js";

const datacenter = text("A datacenter.", "the name of a datacenter", /^[^\s\0/]{1,255}$/);

const taggedAddress = text(
  "Connect to this tagged address where an instance has it: lan, wan, lan_ipv4 and so on.",
  "the name of a tagged address, such as wan",
  /^[A-Za-z0-9_.-]{1,64}$/,
);

const failoverEntry = z.union([
  datacenter.transform((name) => ({ datacenter: name, taggedAddress: undefined })),
  strictMap({ datacenter, taggedAddress: taggedAddress.optional() }),
]);

/** A tag that instances must bear. */
export const tag = text("A tag.", "a tag", /^.{1,255}$/);

/** For endpoints whose host is a name. */
export const resolve = choice(
  "For endpoints that are names: every address is a backend, or the first one alone.",
  ["all", "one"],
).prefault("all");

/** `discovery` of the type consul. */
export const consulDiscoverySchema = strictMap({
  type: z.literal("consul").describe("Watch a service in Consul's catalog, or repeat a prepared query."),
  service: text("Name of the service.", "the name of a service", /^[^\s\0/]{1,255}$/).optional(),
  query: text(
    "Name or id of a prepared query, in place of a service.",
    "the name of a prepared query",
    /^[^\s\0/]{1,255}$/,
  ).optional(),
  queryInterval: duration("A prepared query cannot be waited on: time between two executions.", {
    min: "1s",
  }).prefault("10s"),
  tags: list(tag).prefault([]).describe("All of them must be present."),
  minStatus: choice("Worst status that still takes traffic.", ["passing", "warning", "any"]).prefault(
    "warning",
  ),
  datacenter: text("In place of consul.datacenter.", "the name of a datacenter").optional(),
  failover: list(failoverEntry)
    .max(8, "at most 8 datacenters")
    .prefault([])
    .describe(
      "Further datacenters, each for when nobody is usable in those before it: a name, or { datacenter, taggedAddress }.",
    ),
  namespace: text("In place of consul.namespace.", "the name of a namespace").optional(),
  partition: text("In place of consul.partition.", "the name of a partition").optional(),
  filter: text(
    "Consul filter expression, passed through.",
    "a filter expression",
    /^[^\0]{1,4096}$/,
  ).optional(),
  near: text(
    "Node whose nearest instances come first, by round trip; _agent is the agent's own.",
    "the name of a node, or _agent",
    /^[^\s\0]{1,255}$/,
  ).optional(),
  taggedAddress: taggedAddress.optional(),
  zoneKey: text(
    "Key of the node's meta, or else the service's, that says the zone of an instance.",
    "a key of meta",
    /^[A-Za-z0-9_-]{1,128}$/,
  ).prefault("zone"),
  resolve,
})
  .refine((consul) => consul.service !== undefined || consul.query !== undefined, {
    path: ["service"],
    error: "the name of a service, or query",
    when: isAnyMap,
  })
  .refine((consul) => consul.service === undefined || consul.query === undefined, {
    path: ["query"],
    error: "either service or query",
    when: isAnyMap,
  })
  .refine((consul) => consul.query === undefined || !isFilled(consul.failover), {
    path: ["failover"],
    error: "none for a prepared query, which has its own",
    when: isAnyMap,
  })
  .refine((consul) => consul.query === undefined || consul.filter === undefined, {
    path: ["filter"],
    error: "none for a prepared query, which Consul would not apply",
    when: isAnyMap,
  });

/** Such a rule also runs over maps with other faults, so it may be anything. */
function isFilled(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0;
}
