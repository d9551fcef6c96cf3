import { z } from "zod";
import { choice, decimal, duration, integer, isAnyMap, strictMap } from "./field.js";
import { isKeyNamed, keyFields, keyRule } from "./key.js";

const ALGORITHMS = [
  "leastconn",
  "roundrobin",
  "random",
  "first",
  "consistent-hash",
  "maglev",
  "ewma",
] as const;

/** Envoy's limit of a Maglev table. */
const LARGEST_TABLE = 5_000_011;

const hashFields = {
  on: keyFields.on.prefault("source"),
  name: keyFields.name,
  loadFactor: decimal(
    "Most load of a backend relative to its share, beyond which a key goes to the next one; 0 for no bound.",
    { min: 0, max: 100 },
  ).prefault(1.25),
};

const loadFactorRule = { path: ["loadFactor"], error: "0, or more than 1", when: isAnyMap };

function isBound({ loadFactor }: { readonly loadFactor?: unknown }): boolean {
  return typeof loadFactor !== "number" || loadFactor === 0 || loadFactor > 1;
}

const balanceMap = z.discriminatedUnion(
  "algorithm",
  [
    strictMap({
      algorithm: z.literal("leastconn").describe("The backend with the fewest open requests for its weight."),
      idle: choice(
        "Between idle backends: by weight, or as HAProxy, where weights mean nothing while idle.",
        ["weighted", "haproxy"],
      ).prefault("weighted"),
    }),
    strictMap({ algorithm: z.literal("roundrobin").describe("Each in turn, smoothly by weight.") }),
    strictMap({
      algorithm: z.literal("random").describe("The less loaded of a few draws."),
      draws: integer("How many are drawn.", { min: 1, max: 16 }).prefault(2),
    }),
    strictMap({
      algorithm: z
        .literal("first")
        .describe("The first by key that has a slot left; a limit per backend makes it go on to the next."),
    }),
    strictMap({
      algorithm: z
        .literal("consistent-hash")
        .describe("By a key of the request, on a ring with bounded load."),
      ...hashFields,
      virtualNodes: integer("Points on the ring of one of the heaviest backends.", {
        min: 1,
        max: 1024,
      }).prefault(128),
    })
      .refine(isKeyNamed, keyRule)
      .refine(isBound, loadFactorRule),
    strictMap({
      algorithm: z.literal("maglev").describe("By a key of the request, in a table, with bounded load."),
      ...hashFields,
      tableSize: integer("Slots of the table, a prime; at best a hundred times the number of backends.", {
        min: 251,
        max: LARGEST_TABLE,
      }).prefault(65_537),
    })
      .refine(isKeyNamed, keyRule)
      .refine(isBound, loadFactorRule)
      .refine(({ tableSize }) => typeof tableSize !== "number" || isPrime(tableSize), {
        path: ["tableSize"],
        error: "a prime number, such as 65537",
        when: isAnyMap,
      }),
    strictMap({
      algorithm: z
        .literal("ewma")
        .describe("Of two draws the one of least latency times open requests (peak EWMA)."),
      decay: duration("Time in which a latency is mostly forgotten.", { min: "1ms" }).prefault("10s"),
      defaultRtt: duration("Taken for the latency of a backend that has answered nothing yet.", {
        min: "1ms",
      }).prefault("30ms"),
    }),
  ],
  { error: "a map with algorithm" },
);

/** `balance`: how a pool shares its work. The name of an algorithm stands for it with its defaults. */
export const balanceSchema = z.union([
  choice("The algorithm with its defaults.", ALGORITHMS).transform((algorithm) =>
    balanceMap.parse({ algorithm }),
  ),
  balanceMap,
]);

function isPrime(value: number): boolean {
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return value > 1;
}
