import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { duration, integer, isAbove, isAnyMap, isOff, isOn, scalar, strictMap } from "./field.js";

const DEFAULT_MAX_EJECTION_MS = 300_000;

const outlierDetectionMap = strictMap({
  consecutive5xx: integer("Server errors in a row that eject; 0 for never.", {
    min: 0,
    max: 1_000_000,
  }).prefault(5),
  consecutiveGatewayFailure: integer("502, 503 and 504 in a row that eject; 0 for never.", {
    min: 0,
    max: 1_000_000,
  }).prefault(0),
  consecutiveConnectFailure: integer("Failed connects in a row that eject; 0 for never.", {
    min: 0,
    max: 1_000_000,
  }).prefault(5),
  interval: duration("Time between two sweeps, which bring ejected backends back.", { min: "10ms" }).prefault(
    "10s",
  ),
  baseEjectionTime: duration("How long the first ejection lasts; the next ones are longer.", {
    min: "1ms",
  }).prefault("30s"),
  maxEjectionTime: duration("Longest ejection; 300s by default, or baseEjectionTime where that is longer.", {
    min: "1ms",
  }).optional(),
  maxEjectionPercent: integer("Most of the pool that may be ejected at once; one always may.", {
    min: 0,
    max: 100,
  }).prefault(50),
})
  .refine(({ baseEjectionTime, maxEjectionTime }) => !isAbove(baseEjectionTime, maxEjectionTime), {
    path: ["maxEjectionTime"],
    error: "at least baseEjectionTime",
    when: isAnyMap,
  })
  .transform(({ maxEjectionTime, ...detection }) => ({
    ...detection,
    maxEjectionTime: maxEjectionTime ?? Math.max(DEFAULT_MAX_EJECTION_MS, detection.baseEjectionTime),
  }));

/** What `on` means, and what a pool has that says nothing. */
export const outlierDetectionDefaults = outlierDetectionMap.parse({});

/** `outlierDetection`: a map of thresholds, on (true) or off (false). Undefined is left for the listeners to decide. */
export const outlierDetectionSchema = z.union([
  scalar(
    "On with defaults, or off.",
    (input) => (isOff(input) ? accept(false) : isOn(input) ? accept(true) : refuse("on, off or a map")),
    { enum: ["on", "off", true, false] },
  ).transform((on) => (on ? outlierDetectionDefaults : (false as const))),
  outlierDetectionMap,
]);
