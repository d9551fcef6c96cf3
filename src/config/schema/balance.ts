import { z } from "zod";
import { choice, integer, strictMap } from "./field.js";

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
  ],
  { error: "a map with algorithm" },
);

/** `balance`: how a pool shares its work. The name of an algorithm stands for it with its defaults. */
export const balanceSchema = z.union([
  choice("The algorithm with its defaults.", ["leastconn", "roundrobin", "random"]).transform((algorithm) =>
    balanceMap.parse({ algorithm }),
  ),
  balanceMap,
]);
