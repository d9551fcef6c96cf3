import { z } from "zod";
import { parseHostPort } from "../address.js";
import { choice, filePath, integer, list, scalar, strictMap, text } from "./field.js";

const tag = text("A tag.", "a tag", /^.{1,255}$/);

const endpointText = scalar("host:port of an instance.", parseHostPort, { type: "string" });

const endpointSchema = z.union([
  endpointText.transform(({ host, port }) => ({ host, port, id: undefined, weight: 1, tags: [], meta: {} })),
  strictMap({
    address: endpointText,
    id: text(
      "Identity that survives a change of address; host:port without it.",
      "an id",
      /^[^\s\0]{1,255}$/,
    ).optional(),
    weight: integer("Share of the traffic; 0 takes no new work.", { min: 0, max: 256 }).prefault(1),
    tags: list(tag).prefault([]).describe("Tags."),
    meta: z
      .record(z.string(), text("A value.", "text", /^[^\0]{0,1024}$/), { error: "a map from names to text" })
      .prefault({})
      .describe("Free names and values."),
  }).transform(({ address, ...rest }) => ({ ...address, ...rest })),
]);

const resolve = choice("For endpoints that are names: every address is a backend, or the first one alone.", [
  "all",
  "one",
]).prefault("all");

const consulSchema = strictMap({
  type: z.literal("consul").describe("Watch a service in Consul's catalog."),
  service: text("Name of the service.", "the name of a service", /^[^\s\0/]{1,255}$/),
  tags: list(tag).prefault([]).describe("All of them must be present."),
  minStatus: choice("Worst status that still takes traffic.", ["passing", "warning", "any"]).prefault(
    "warning",
  ),
  datacenter: text("In place of consul.datacenter.", "the name of a datacenter").optional(),
  namespace: text("In place of consul.namespace.", "the name of a namespace").optional(),
  partition: text("In place of consul.partition.", "the name of a partition").optional(),
  filter: text(
    "Consul filter expression, passed through.",
    "a filter expression",
    /^[^\0]{1,4096}$/,
  ).optional(),
  resolve,
});

const staticSchema = strictMap({
  type: z.literal("static").describe("The endpoints stand here."),
  endpoints: list(endpointSchema).describe("host:port, or { address, id, weight, tags, meta }."),
  resolve,
});

const fileSchema = strictMap({
  type: z.literal("file").describe("The endpoints stand in a file that is watched."),
  path: filePath("YAML or JSON: a list of endpoints, or a map with `endpoints`."),
  resolve,
});

/** `discovery`: where the endpoints of a pool come from. */
export const discoverySchema = z
  .discriminatedUnion("type", [consulSchema, staticSchema, fileSchema], { error: "a map with type" })
  .describe("Where the endpoints come from.");
