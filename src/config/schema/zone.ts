import { integer, strictMap, text } from "./field.js";

/** The `zone` block of a pool. */
export const zoneSchema = strictMap({
  own: text(
    "The zone this process works in, as endpoints name theirs.",
    "a name of 1 to 128 letters, digits and ./:_-",
    /^[A-Za-z0-9./:_-]{1,128}$/,
  ),
  minPercent: integer(
    "Percent of its fair share of the healthy weight (the whole by the number of zones) that the own zone must have to come first.",
    { min: 0, max: 1_000 },
  ).prefault(100),
  minBackends: integer("Fewest healthy backends of all zones at which the own zone comes first.", {
    min: 1,
    max: 1_000_000,
  }).prefault(6),
  spillFactor: integer(
    "Work spills over once the own zone's load per weight is this many times that of the others; 0 to spill only at its limits.",
    { min: 0, max: 1_000 },
  ).prefault(10),
});
