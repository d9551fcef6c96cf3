import { z } from "zod";
import { parseBind } from "../address.js";
import type { SocketAddressConfig } from "../model.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { choice, duration, flag, integer, list, scalar, size, strictMap } from "./field.js";
import { prioritySchema } from "./priority.js";
import { nameField, routeSchema } from "./route.js";

const bindText = scalar(
  "host:port, :port (all addresses), [::1]:port, a range of ports, unix:/path or fd:N.",
  parseBind,
  {
    type: "string",
    examples: ["127.0.0.1:8080", ":8080", "127.0.0.1:60000-60001", "unix:/run/front.sock", "fd:3"],
  },
);

const bindMap = strictMap({
  address: bindText,
  mode: scalar('Permissions of a unix socket, octal digits in quotes such as "0660".', parseMode, {
    type: "string",
    pattern: "^0?[0-7]{3}$",
  }).optional(),
})
  .refine((bind) => bind.mode === undefined || isUnix(bind.address), {
    path: ["mode"],
    error: "no mode, except for a unix socket",
  })
  .transform(({ address, mode }) => address.map((one) => (one.kind === "unix" ? { ...one, mode } : one)));

const bindSchema = z
  .union([bindText, bindMap, list(z.union([bindText, bindMap])).min(1, { error: "at least one address" })])
  .transform((bind): readonly SocketAddressConfig[] => bind.flat());

const shared = {
  protocol: choice("What is spoken: HTTP/1.1 with routes, or any bytes over TCP.", ["http", "tcp"]).prefault(
    "http",
  ),
  direction: choice(
    "outbound carries what this host calls; inbound stands in front of the local service, where outlier detection is off by default.",
    ["outbound", "inbound"],
  ).prefault("outbound"),
  timeouts: strictMap({
    client: duration("Longest silence of a client that is waited for; 0 for no limit.").prefault("30s"),
    httpRequest: duration("From the first byte of a request's head to its end; 0 for no limit.").prefault(
      "10s",
    ),
    httpKeepAlive: duration("Idle time between two requests of a connection; 0 for no limit.").prefault(
      "60s",
    ),
  })
    .prefault({})
    .describe("HAProxy's names and meaning."),
  limits: strictMap({
    maxConnections: integer("Most client connections of this listener.", { min: 1, max: 1_000_000 }).prefault(
      4_096,
    ),
    maxWaiting: integer(
      "Most connections beyond it, or beyond the limit of the process, that wait for room; what comes then is reset. 0 when none may wait.",
      { min: 0, max: 1_000_000 },
    ).prefault(4_096),
    backlog: integer(
      "Most connections that the kernel keeps until they are accepted, which it cuts to its own limit (net.core.somaxconn); for addresses opened from then on.",
      { min: 1, max: 1_000_000 },
    ).prefault(4_096),
    maxConnectionsPerAddress: integer("Most connections of one client address; 0 for no limit.", {
      min: 0,
      max: 1_000_000,
    }).prefault(0),
    maxHeadBytes: size("Longest head of a request, and of an answer.", { min: "1KiB", max: "1MiB" }).prefault(
      "16KiB",
    ),
    maxHeaders: integer("Most fields in a head.", { min: 1, max: 10_000 }).prefault(128),
    maxBodyBytes: size("Longest body of a request, refused with 413 beyond it; 0 for no limit.", {
      min: "0",
      max: "1024GiB",
    }).prefault(0),
  })
    .prefault({})
    .describe("What one listener takes."),
  allowConnect: flag(
    "Whether CONNECT is forwarded, to a backend that is a forward proxy, and becomes a tunnel; otherwise it is refused with 501. A route matches it by host and method.",
  ).prefault(false),
  priority: prioritySchema
    .optional()
    .describe(
      "Where its requests stand among those who wait for a slot. By default all are of class 0, first come first served.",
    ),
};

/** One entry of `listeners`, after `defaults.listener` was laid below it. */
export const listenerSchema = strictMap({
  name: nameField("Name of the listener, unique among listeners."),
  bind: bindSchema.describe("Where it listens: one address or a list."),
  ...shared,
  pool: nameField("Pool where no route matches; without it an HTTP listener answers 404.").optional(),
  routes: list(routeSchema).prefault([]).describe("Rules of an HTTP listener; the first that matches wins."),
});

/** `defaults.listener`: what every listener begins with. */
export const listenerDefaultsSchema = strictMap(shared).partial();

function isUnix(addresses: readonly SocketAddressConfig[]): boolean {
  return addresses.every((address) => address.kind === "unix");
}

function parseMode(input: unknown): Parsed<number> {
  // An unquoted 0660 is the decimal number 660 in YAML 1.2, so only text is safe.
  return typeof input === "string" && /^0?[0-7]{3}$/.test(input)
    ? accept(Number.parseInt(input, 8))
    : refuse('octal digits in quotes, such as "0660"');
}
