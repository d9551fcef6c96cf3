import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { duration, integer, isAbove, isAnyMap, isOff, scalar, strictMap, text } from "./field.js";

const DEFAULT_TIMEOUT_MS = 1_000;

const timing = {
  interval: duration("Time between two checks of a backend.", { min: "10ms" }).prefault("2s"),
  timeout: duration("Longest check; 1s by default, or the interval where that is shorter.", {
    min: "1ms",
  }).optional(),
  fall: integer("Consecutive failures that take a backend down.", { min: 1, max: 1_000 }).prefault(3),
  rise: integer("Consecutive passes that bring it back.", { min: 1, max: 1_000 }).prefault(2),
};

/** `healthCheck`: the active checks of a pool, or off. */
export const healthCheckSchema = z.union([
  scalar(
    "Off: no active checks.",
    (input) => (isOff(input) ? accept(false as const) : refuse("off or a map")),
    {
      enum: ["off", false],
    },
  ),
  z
    .discriminatedUnion(
      "type",
      [
        strictMap({ type: z.literal("tcp").describe("A connection that opens is a pass."), ...timing }),
        strictMap({
          type: z.literal("http").describe("An answer of 200 to 399 is a pass."),
          method: text(
            "Method of the probe.",
            "a method in capitals, such as GET",
            /^[A-Z][A-Z-]{0,31}$/,
          ).prefault("GET"),
          path: text(
            "Path and query of the probe.",
            "a path that begins with /",
            /^\/[\x21-\x7e]{0,4095}$/,
          ).prefault("/"),
          host: text(
            "Host field of the probe; the backend's address without it.",
            "a host",
            /^[\x21-\x7e]{1,255}$/,
          ).optional(),
          ...timing,
        }),
      ],
      { error: "off or a map with type" },
    )
    .refine(({ timeout, interval }) => !isAbove(timeout, interval), {
      path: ["timeout"],
      error: "at most the interval",
      when: isAnyMap,
    })
    .transform(({ timeout, ...check }) => ({
      ...check,
      timeout: timeout ?? Math.min(DEFAULT_TIMEOUT_MS, check.interval),
    })),
]);
