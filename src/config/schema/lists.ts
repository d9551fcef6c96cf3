import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { duration, integer, isAbove, isAnyMap, isOff, isOn, scalar, strictMap } from "./field.js";

/** On with its defaults, off, or a map. */
function switchable<Map extends z.ZodType>(map: Map) {
  return z.union([
    scalar(
      "On with defaults, or off.",
      (input) => (isOff(input) ? accept(false) : isOn(input) ? accept(true) : refuse("on, off or a map")),
      { enum: ["on", "off", true, false] },
    ).transform((on): z.output<Map> | undefined => (on ? map.parse({}) : undefined)),
    map,
  ]);
}

/** `suspicion`: which answers of discovery are not believed at once. Undefined when off. */
export const suspicionSchema = switchable(
  strictMap({
    removedPercent: integer(
      "An answer that leaves so many percent fewer instances than took work before is suspect; 100: that leaves none.",
      { min: 1, max: 100 },
    ).prefault(100),
    hold: duration("Longest time a suspect answer is held.", { min: "1s" }).prefault("1m"),
    evidence: duration("How long a good answer to real traffic counts as a sign of life.", {
      min: "1s",
    }).prefault("10s"),
  }),
);

/** `flapDamping`: what instances earn that come and go. Undefined when off. */
export const flapDampingSchema = switchable(
  strictMap({
    halfLife: duration("Time in which a penalty halves.", { min: "1s" }).prefault("1m"),
    suppress: integer("An instance is suppressed from this penalty on; each departure adds 1000.", {
      min: 1,
      max: 1_000_000,
    }).prefault(2_500),
    reuse: integer("It takes work again below this penalty.", { min: 1, max: 1_000_000 }).prefault(750),
    maxSuppress: duration("Longest suppression after the last departure.", { min: "1s" }).prefault("5m"),
    maxSuppressedPercent: integer("Most of those that are well that may be suppressed at once.", {
      min: 1,
      max: 99,
    }).prefault(50),
  })
    .refine(({ suppress, reuse }) => !isAbove(reuse, suppress) && reuse !== suppress, {
      path: ["reuse"],
      error: "less than suppress",
      when: isAnyMap,
    })
    .refine(({ maxSuppress, halfLife }) => !isAbove(halfLife, maxSuppress), {
      path: ["maxSuppress"],
      error: "at least halfLife",
      when: isAnyMap,
    }),
);

/** `savedList`: the last good list on disk. Undefined when off. */
export const savedListSchema = switchable(
  strictMap({
    maxAge: duration("A list last known to be true longer ago is not used.", { min: "1s" }).prefault("24h"),
  }),
);
