import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { duration, integer, isOff, isOn, scalar, strictMap } from "./field.js";

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
