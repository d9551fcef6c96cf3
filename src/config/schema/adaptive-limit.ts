import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { duration, integer, isAbove, isAnyMap, isOff, isOn, scalar, strictMap } from "./field.js";

const limit = (doc: string) => integer(doc, { min: 1, max: 1_000_000 });

const adaptiveLimitMap = strictMap({
  minLimit: limit("A backend is always given so many at once.").prefault(3),
  maxLimit: limit("A backend is never given more at once.").prefault(1_000),
  interval: duration("Least time from one limit to the next.", { min: "10ms" }).prefault("100ms"),
  minSamples: integer("Answers without which the limit stays; an interval goes on until it has them.", {
    min: 1,
    max: 100_000,
  }).prefault(20),
  percentile: integer("Time that counts: the one this percent of the answers do not exceed.", {
    min: 1,
    max: 99,
  }).prefault(50),
  bufferPercent: integer("How much slower than at little load is still well, in percent,", {
    min: 0,
    max: 1_000,
  }).prefault(25),
  minDifference: duration("but at least so much slower.").prefault("2ms"),
  minRttInterval: duration("How often the time at little load is measured, with half of the limit.", {
    min: "1s",
  }).prefault("60s"),
  minRttJitterPercent: integer("Up to so much later, in percent, so that not all measure together.", {
    min: 0,
    max: 100,
  }).prefault(15),
  minRttSamples: integer("Answers that a measurement takes.", { min: 1, max: 100_000 }).prefault(100),
}).refine(({ minLimit, maxLimit }) => !isAbove(minLimit, maxLimit), {
  path: ["minLimit"],
  error: "at most maxLimit",
  when: isAnyMap,
});

const adaptiveLimitDefaults = adaptiveLimitMap.parse({});

/** `limits.adaptive`: on, off or a map of its options. Undefined where it is off. */
export const adaptiveLimitSchema = z.union([
  scalar(
    "On with defaults, or off.",
    (input) => (isOff(input) ? accept(false) : isOn(input) ? accept(true) : refuse("on, off or a map")),
    { enum: ["on", "off", true, false] },
  ).transform((on) => (on ? adaptiveLimitDefaults : undefined)),
  adaptiveLimitMap,
]);
