import { z } from "zod";
import { accept, refuse } from "../parsed.js";
import { parseStatusRanges } from "../status-ranges.js";
import {
  choice,
  duration,
  filePath,
  flag,
  integer,
  isAbove,
  isAnyMap,
  isOff,
  isOn,
  scalar,
  strictMap,
  text,
} from "./field.js";

const DEFAULT_TIMEOUT_MS = 1_000;
const FIELD_NAME = /^[A-Za-z0-9!#$%&'*+.^_|~-]{1,128}$/;
const FIELDS_MAX = 32;

const target = {
  address: text(
    "Where to connect to; the backend's own address without it.",
    "a host or an address",
    /^[A-Za-z0-9._:-]{1,253}$/,
  ).optional(),
  port: integer("Port to connect to; the backend's own without it.", { min: 1, max: 65_535 }).optional(),
  timeout: duration("Longest check; 1s by default, or the interval where that is shorter.", {
    min: "1ms",
  }).optional(),
  jitter: integer("Each pause is up to so many percent longer or shorter, by chance.", {
    min: 0,
    max: 50,
  }).prefault(5),
};

const rhythm = {
  interval: duration("From the end of a check to the start of the next.", { min: "10ms" }).prefault("2s"),
  fastInterval: duration("The same while something is in doubt; the interval without it.", {
    min: "10ms",
  }).optional(),
  downInterval: duration("The same while it is down without doubt; the interval without it.", {
    min: "10ms",
  }).optional(),
  provenInterval: duration(
    "The same while traffic succeeds and nothing of it fails; the interval without it.",
    { min: "10ms" },
  ).optional(),
  demandPercent: integer(
    "While it is down, checks come as often as so many percent of the requests it would have taken, where that is more often than downInterval (at most every 5ms); 0 for not.",
    { min: 0, max: 100 },
  ).prefault(0),
  fall: integer("Consecutive failures that take a backend down.", { min: 1, max: 1_000 }).prefault(3),
  rise: integer("Consecutive passes that bring it back.", { min: 1, max: 1_000 }).prefault(2),
  initialState: choice(
    "What counts before the first check. up: up, and one failure takes it down; down: down, and one pass brings it up; fully-up and fully-down: fall and rise checks change it.",
    ["up", "down", "fully-up", "fully-down"],
  ).prefault("up"),
  observe: choice(
    "Errors in the traffic that count as checks. layer4: connections that do not come about; layer7: bad, broken, late and missing answers too.",
    ["off", "layer4", "layer7"],
  ).prefault("off"),
  errorLimit: integer("Errors in a row that make onError happen.", { min: 1, max: 1_000_000 }).prefault(10),
  onError: choice(
    "fastinter: check soon; fail-check: one failed check; sudden-death: the next failure takes it down; mark-down: down at once. All of them check soon.",
    ["fastinter", "fail-check", "sudden-death", "mark-down"],
  ).prefault("fail-check"),
  onMarkedDown: choice("Whether the open work of a backend that goes down is cut.", [
    "none",
    "shutdown-sessions",
  ]).prefault("none"),
  onMarkedUp: choice("Whether the open work of all backups is cut when an active is back up.", [
    "none",
    "shutdown-backup-sessions",
  ]).prefault("none"),
  verdict: choice(
    "Whose verdict decides. both: each alone takes a backend out; consul: discovery's alone; own: the check's alone, once it has one.",
    ["both", "consul", "own"],
  ).prefault("both"),
  ...target,
};

/** Who trusts anybody has no use for authorities: one of the two is a mistake. */
const uselessCa = {
  path: ["ca"],
  error: "no ca where verify is off",
  when: isAnyMap,
};

const tlsMap = strictMap({
  serverName: text(
    "Name of the server that is asked for and verified; the backend's address without it.",
    "a host name",
    /^[A-Za-z0-9._-]{1,253}$/,
  ).optional(),
  verify: flag("Whether the certificate is verified.").prefault(true),
  ca: filePath(
    "Certificates of the authorities that are trusted in place of the runtime's, PEM; looked at again as it changes.",
  ).optional(),
}).refine(({ ca, verify }) => ca === undefined || verify !== false, uselessCa);

const tls = z
  .union([
    scalar(
      "TLS with its defaults, or none.",
      (input) => {
        if (isOn(input)) return accept({ verify: true, serverName: undefined, ca: undefined });
        return isOff(input) ? accept(undefined) : refuse("on, off or a map");
      },
      { enum: ["on", "off", true, false] },
    ),
    tlsMap,
  ])
  .prefault("off")
  .describe("TLS towards the backend: on, off or { serverName, verify, ca }.");

const http = {
  method: text("Method of the probe.", "a method in capitals, such as GET", /^[A-Z][A-Z-]{0,31}$/).prefault(
    "GET",
  ),
  path: text("Path and query of the probe.", "a path that begins with /", /^\/[\x21-\x7e]{0,4095}$/).prefault(
    "/",
  ),
  host: text(
    "Host field of the probe; the backend's address without it.",
    "a host",
    /^[\x21-\x7e]{1,255}$/,
  ).optional(),
  headers: z
    .record(z.string(), text("A value.", "text without line breaks", /^[\t\x20-\x7e]{1,4096}$/), {
      error: "a map from names to text",
    })
    .superRefine((headers, context) => {
      const names = Object.keys(headers);
      if (names.length > FIELDS_MAX)
        context.addIssue({ code: "custom", message: `at most ${FIELDS_MAX} fields` });
      for (const name of names) {
        if (FIELD_NAME.test(name)) continue;
        context.addIssue({
          code: "custom",
          path: [name],
          message: "the name of a field",
          params: { key: true },
        });
      }
    })
    .prefault({})
    .describe("Further fields of the probe."),
  body: text("Body of the probe.", "text of at most 4096 characters", /^.{1,4096}$/s).optional(),
  expectStatus: scalar("Statuses that pass: numbers and ranges, such as 200-299,304.", parseStatusRanges, {
    type: ["string", "integer"],
  }).prefault("200-399"),
  expectBody: scalar(
    "Regular expression that must be found in the first 64 KiB of the body.",
    (input) => (isPattern(input) ? accept(input) : refuse("a regular expression")),
    { type: "string" },
  ).optional(),
  disableOn404: flag(
    "Whether a 404 of a backend that is up asks for bound work alone (HAProxy's NOLB).",
  ).prefault(false),
  tls,
};

/** Off, or a map: shared by both kinds of checks. */
const off = (doc: string) =>
  scalar(doc, (input) => (isOff(input) ? accept(false as const) : refuse("off or a map")), {
    enum: ["off", false],
  });

/** A timeout above the interval would let checks of one backend lag behind each other. */
const timeoutRule = {
  path: ["timeout"],
  error: "at most the interval",
  when: isAnyMap,
};

function withTimeout<T extends { readonly timeout?: number | undefined; readonly interval: number }>(
  check: T,
) {
  return { ...check, timeout: check.timeout ?? Math.min(DEFAULT_TIMEOUT_MS, check.interval) };
}

const agent = {
  send: text(
    "What is sent to the agent once connected; nothing without it.",
    "text",
    /^.{1,1024}$/s,
  ).optional(),
  interval: duration("From the end of a check to the start of the next.", { min: "10ms" }).prefault("2s"),
};

/** `healthCheck`: the active checks of a pool, or off. */
export const healthCheckSchema = z.union([
  off("Off: no active checks."),
  z
    .discriminatedUnion(
      "type",
      [
        strictMap({ type: z.literal("tcp").describe("A connection that opens is a pass."), ...rhythm }),
        strictMap({ type: z.literal("http").describe("An expected answer is a pass."), ...http, ...rhythm }),
        strictMap({
          type: z.literal("grpc").describe("SERVING of grpc.health.v1 is a pass."),
          service: text(
            "Name of the service; the server as a whole without it.",
            "a name",
            /^[\x21-\x7e]{1,255}$/,
          ).optional(),
          tls,
          ...rhythm,
        }),
        strictMap({
          type: z.literal("tls").describe("A handshake that is done is a pass."),
          serverName: tlsMap.shape.serverName,
          verify: tlsMap.shape.verify,
          ca: tlsMap.shape.ca,
          ...rhythm,
        }),
        strictMap({
          type: z.literal("agent").describe("An agent check (agentCheck) is the only check."),
          ...agent,
          ...target,
        }),
      ],
      { error: "off or a map with type" },
    )
    .refine(({ timeout, interval }) => !isAbove(timeout, interval), timeoutRule)
    .refine((check) => check.type !== "tls" || check.ca === undefined || check.verify !== false, uselessCa)
    .transform(withTimeout),
]);

/** `agentCheck`: HAProxy's agent check, beside the health check. */
export const agentCheckSchema = z.union([
  off("Off: no agent checks."),
  strictMap({ ...agent, ...target, port: integer("Port of the agent.", { min: 1, max: 65_535 }) })
    .refine(({ timeout, interval }) => !isAbove(timeout, interval), timeoutRule)
    .transform(withTimeout),
]);

function isPattern(input: unknown): input is string {
  if (typeof input !== "string" || input === "" || input.length > 1_024) return false;
  try {
    return new RegExp(input) instanceof RegExp;
  } catch {
    return false;
  }
}
