import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import {
  decimal,
  duration,
  flag,
  integer,
  isAbove,
  isAnyMap,
  isOff,
  isOn,
  scalar,
  strictMap,
} from "./field.js";

const DEFAULT_MAX_EJECTION_MS = 300_000;

const count = (doc: string) => integer(doc, { min: 0, max: 1_000_000 });
const percent = (doc: string) => integer(doc, { min: 0, max: 100 });
const chance = (of: string) => percent(`Chance in percent that ${of} ejects; at 0 it is only counted.`);

const latencyMap = strictMap({
  percentile: integer("Time that is compared: the one this percent of the answers do not exceed.", {
    min: 50,
    max: 99,
  }).prefault(90),
  factor: decimal("Slow is what takes so many times as long as the middle one of the others,", {
    min: 1,
    max: 1_000,
  }).prefault(3),
  deviations: decimal("and so many deviations longer, by the median absolute deviation of the others,", {
    min: 0,
    max: 100,
  }).prefault(3),
  minDifference: duration("and at least this much longer.").prefault("25ms"),
  interval: duration("How often backends are compared; each time a step of weight.", {
    min: "10ms",
  }).prefault("1s"),
  requestVolume: integer("Answers without which nobody is compared, those of earlier intervals in part.", {
    min: 1,
    max: 1_000_000,
  }).prefault(30),
  minWeightPercent: integer("Least share of the weight that is left to a slow backend, in percent.", {
    min: 1,
    max: 100,
  }).prefault(10),
});

/** What `on` means. */
export const latencyDefaults = latencyMap.parse({});

const latencySchema = z.union([
  scalar(
    "On with defaults, or off.",
    (input) => (isOff(input) ? accept(false) : isOn(input) ? accept(true) : refuse("on, off or a map")),
    { enum: ["on", "off", true, false] },
  ),
  latencyMap,
]);

const outlierDetectionMap = strictMap({
  consecutive5xx: count("Server errors in a row that eject; 0 for never.").prefault(5),
  enforcingConsecutive5xx: chance("a row of server errors").prefault(100),
  consecutiveGatewayFailure: count("502, 503 and 504 in a row that eject; 0 for never.").prefault(0),
  enforcingConsecutiveGatewayFailure: chance("a row of 502, 503 and 504").prefault(100),
  consecutiveConnectFailure: count("Failed connects in a row that eject; 0 for never.").prefault(5),
  enforcingConsecutiveConnectFailure: chance("a row of failed connects").prefault(100),
  splitExternalLocalOriginErrors: flag(
    "Whether failed connects, timeouts and resets are judged apart from answers; otherwise they count as 503, 504 and 500.",
  ).prefault(false),
  consecutiveLocalOriginFailure: count(
    "Failed connects, timeouts and resets in a row that eject, where they are judged apart; 0 for never.",
  ).prefault(5),
  enforcingConsecutiveLocalOriginFailure: chance(
    "a row of failed connects, timeouts and resets, judged apart,",
  ).prefault(100),
  successRateMinimumHosts: count("Backends with enough requests that are needed to compare them.").prefault(
    5,
  ),
  successRateRequestVolume: count(
    "Requests per interval that are enough for a backend to be compared.",
  ).prefault(100),
  successRateStdevFactor: count(
    "Ejects below the mean success rate less so many thousandths of the standard deviation.",
  ).prefault(1_900),
  enforcingSuccessRate: chance("a success rate").prefault(100),
  enforcingLocalOriginSuccessRate: chance("a success rate of connections, judged apart,").prefault(100),
  failurePercentageThreshold: percent(
    "Percent of an interval's requests that failed from which on a backend is ejected; 0 for never.",
  ).prefault(85),
  failurePercentageMinimumHosts: count(
    "Backends with enough requests that are needed for the failure percentage to count.",
  ).prefault(2),
  failurePercentageRequestVolume: count(
    "Requests per interval that are enough for the failure percentage of a backend.",
  ).prefault(50),
  enforcingFailurePercentage: chance("a failure percentage").prefault(100),
  enforcingFailurePercentageLocalOrigin: chance(
    "a failure percentage of connections, judged apart,",
  ).prefault(100),
  interval: duration("How often success rates are compared, and good conduct forgiven one ejection.", {
    min: "10ms",
  }).prefault("10s"),
  baseEjectionTime: duration("How long the first ejection lasts; the next ones are longer.", {
    min: "1ms",
  }).prefault("30s"),
  maxEjectionTime: duration("Longest ejection; 300s by default, or baseEjectionTime where that is longer.", {
    min: "1ms",
  }).optional(),
  maxEjectionTimeJitter: duration(
    "Up to so much is added to each ejection, so that those ejected together do not return together.",
  ).prefault("0s"),
  maxEjectionPercent: percent("Most of the pool that may be ejected at once; one always may.").prefault(50),
  minHealthyBackends: integer("So many backends that take new work stay, whatever they do.", {
    min: 1,
    max: 1_000_000,
  }).prefault(1),
  probation: integer(
    "Successes that a backend owes after an ejection: until then it gets one request at a time, and one failure ejects it again; 0 for none.",
    { min: 0, max: 1_000 },
  ).prefault(1),
  successfulActiveHealthCheckUneject: flag("Whether a passed active check ends an ejection.").prefault(true),
  latency: latencySchema
    .optional()
    .describe(
      "Takes weight, half of what is left at each comparison, from backends that answer much slower than the others. On by default, off where the algorithm binds keys to backends.",
    ),
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
