import { parseCidr } from "../cidr.js";
import type { AccessLogConfig } from "../model.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { choice, duration, integer, list, SUBSTITUTED, scalar, strictMap, text } from "./field.js";

/** Levels of the log, from the most talkative. `--log-level` takes the same words. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** `log`: the program's own log and the access log. */
export const logSchema = strictMap({
  level: choice("The least severe messages that are written.", LOG_LEVELS).prefault("info"),
  access: strictMap({
    format: choice("One line per exchange and per tunnel: JSON, HAProxy's text format, or none.", [
      "json",
      "haproxy",
      "off",
    ]).prefault("json"),
    to: scalar("Where access lines go: stdout, stderr or file:PATH.", parseLogTarget, {
      type: "string",
      pattern: `^(stdout|stderr|file:.+)$|${SUBSTITUTED}`,
    }).prefault("stdout"),
  })
    .prefault({})
    .describe("The access log."),
})
  .prefault({})
  .describe("What is logged and where.");

/** `limits`: what the whole process may hold. */
export const processLimitsSchema = strictMap({
  maxConnections: integer(
    "Most client connections of the whole process; beyond it the listeners stop accepting.",
    { min: 1, max: 1_000_000 },
  ).prefault(10_000),
  maxChecks: integer("Most probes of active checks under way at once; the others wait in line.", {
    min: 1,
    max: 100_000,
  }).prefault(256),
})
  .prefault({})
  .describe("Limits of the whole process.");

/** `shutdown`: how SIGTERM is carried out. */
export const shutdownSchema = strictMap({
  grace: duration("Keep serving for this long after readiness was withdrawn.").prefault("2s"),
  deadline: duration(
    "Exchanges and tunnels still open this long after the listeners closed are cut.",
  ).prefault("30s"),
})
  .prefault({})
  .describe("How the process stops on SIGTERM.");

/** `trustedNetworks`: whose word about the client is believed. */
export const trustedNetworksSchema = list(
  scalar("A network in CIDR form, or one address.", parseCidr, { type: "string" }),
)
  .prefault([])
  .describe(
    "Networks whose X-Forwarded-* and Forwarded fields are believed; those of all others are replaced.",
  );

/** `stateDir`: what is to outlive the process. */
export const stateDirSchema = text(
  "Folder for what outlives the process: overrides of operators, last good lists. Made for its owner alone; without it nothing is kept.",
  "the path of a folder",
  /^[^\0]{1,4096}$/,
);

/** `startDeadline`. */
export const startDeadlineSchema = duration(
  "Longest wait for the first list of every pool before the listeners open without it.",
).prefault("10s");

function parseLogTarget(input: unknown): Parsed<AccessLogConfig["to"]> {
  if (input === "stdout" || input === "stderr") return accept({ kind: input });
  if (typeof input === "string" && /^file:[^\0]{1,4096}$/.test(input)) {
    return accept({ kind: "file", path: input.slice("file:".length) });
  }
  return refuse("stdout, stderr or file:PATH");
}
