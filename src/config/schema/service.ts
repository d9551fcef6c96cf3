import { isIP } from "node:net";
import { z } from "zod";
import { accept, type Parsed, refuse } from "../parsed.js";
import { choice, duration, integer, isAbove, isAnyMap, list, scalar, strictMap, text } from "./field.js";
import { nameField } from "./route.js";

const DEFAULT_TIMEOUT_MS = 1_000;
/** The agent does not probe more often, whatever it is told. */
const CONSUL_INTERVAL_MIN_MS = 1_000;
/** Consul's own limits. */
const META_PAIRS_MAX = 64;
const META_NAME = /^[A-Za-z0-9_-]{1,128}$/;

const checkSchema = strictMap({
  kind: choice(
    "ttl-probe: the sidecar probes the application and keeps a check with a time to live alive. consul-http, consul-tcp, consul-grpc: the agent probes what is registered.",
    ["ttl-probe", "consul-http", "consul-tcp", "consul-grpc"],
  ).prefault("ttl-probe"),
  http: text(
    "Path of the probe. ttl-probe opens a connection without it; consul-http needs it.",
    "a path that begins with /",
    /^\/[\x21-\x7e]{0,4095}$/,
  ).optional(),
  interval: duration("Time between two probes.", { min: "100ms" }).prefault("2s"),
  timeout: duration("Longest probe; 1s by default, or the interval where that is shorter.", {
    min: "1ms",
  }).optional(),
  fall: integer("Consecutive failures that make it critical.", { min: 1, max: 1_000 }).prefault(3),
  rise: integer("Consecutive passes that make it passing again.", { min: 1, max: 1_000 }).prefault(2),
  ttl: duration("ttl-probe: critical when the agent hears nothing for this long; 10s by default.", {
    min: "1s",
  }).optional(),
  deregisterCriticalServiceAfter: duration("The agent removes an instance that was critical for this long.", {
    min: "1m",
  }).prefault("1m"),
})
  .refine(({ timeout, interval }) => !isAbove(timeout, interval), {
    path: ["timeout"],
    error: "at most the interval",
    when: isAnyMap,
  })
  .refine(({ kind, http }) => kind !== "consul-http" || http !== undefined, {
    path: ["http"],
    error: "the path that Consul asks for, such as /status",
    when: isAnyMap,
  })
  .refine(({ kind, http }) => (kind !== "consul-tcp" && kind !== "consul-grpc") || http === undefined, {
    path: ["http"],
    error: "no path, except with ttl-probe and consul-http",
    when: isAnyMap,
  })
  .refine(({ kind, ttl }) => kind === "ttl-probe" || ttl === undefined, {
    path: ["ttl"],
    error: "no time to live, except with ttl-probe",
    when: isAnyMap,
  })
  .refine(({ kind, interval }) => kind === "ttl-probe" || !isAbove(CONSUL_INTERVAL_MIN_MS, interval), {
    path: ["interval"],
    error: "at least 1s where Consul probes",
    when: isAnyMap,
  })
  .transform(({ timeout, ttl, ...check }) => ({
    ...check,
    timeout: timeout ?? Math.min(DEFAULT_TIMEOUT_MS, check.interval),
    ttl: ttl ?? 10_000,
  }));

const advertiseSchema = z.union([
  scalar(
    "The application's own port.",
    (input) =>
      input === "application" ? accept("application" as const) : refuse("application or { listener: NAME }"),
    { enum: ["application"] },
  ),
  strictMap({ listener: nameField("The listener whose port is registered.") }),
]);

/** `service`: the instance this sidecar stands beside. */
export const serviceSchema = strictMap({
  name: text("Name of the service.", "the name of a service", /^[^\s\0/]{1,255}$/),
  port: integer("Port of the application.", { min: 1, max: 65_535 }),
  id: text(
    "Id of the instance, unique per agent; made from name, host name and port without it.",
    "an id without spaces and quotes",
    /^[^\s\0"\\]{1,255}$/,
  ).optional(),
  address: scalar(
    "Host name or IP address to register. Without it: where the listener is bound, or, where that is everywhere, the address of the agent's node.",
    parseAddress,
    { type: "string" },
  ).optional(),
  tags: list(text("A tag.", "a tag", /^.{1,255}$/))
    .prefault([])
    .describe("Tags."),
  meta: z
    .record(z.string(), text("A value.", "text of at most 512 characters", /^[^\0]{0,512}$/), {
      error: "a map from names to text",
    })
    .superRefine((meta, context) => {
      const names = Object.keys(meta);
      if (names.length > META_PAIRS_MAX)
        context.addIssue({ code: "custom", message: `at most ${META_PAIRS_MAX} names` });
      for (const name of names) {
        if (META_NAME.test(name)) continue;
        const message = "a name of letters, digits, dash and underscore";
        context.addIssue({ code: "custom", path: [name], message, params: { key: true } });
      }
    })
    .prefault({})
    .describe("Free names and values."),
  weights: strictMap({
    passing: integer("While every check passes.", { min: 1, max: 65_535 }).prefault(1),
    warning: integer("While a check warns; 0 takes no new work.", { min: 0, max: 65_535 }).prefault(1),
  })
    .prefault({})
    .describe("Shares of the traffic."),
  advertise: advertiseSchema
    .optional()
    .describe(
      "Whose port is registered: application or { listener: NAME }. By default the inbound listener, where there is exactly one, else the application.",
    ),
  check: checkSchema.prefault({}).describe("How the instance's health becomes known."),
  shutdown: choice("What a stop does with the registration, before it takes less traffic.", [
    "deregister",
    "maintenance",
  ]).prefault("deregister"),
}).describe("The instance this sidecar stands beside; registered in Consul once the listeners are open.");

/** Consul refuses the addresses that mean "all of them". */
function parseAddress(input: unknown): Parsed<string> {
  const isName =
    typeof input === "string" &&
    /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/.test(input) &&
    !/^[\d.]+$/.test(input);
  if (typeof input === "string" && (isIP(input) !== 0 || isName) && input !== "0.0.0.0" && input !== "::")
    return accept(input);
  return refuse("a host name or an IP address that others can connect to, without a port");
}
