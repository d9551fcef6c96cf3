import { isIPv6 } from "node:net";
import { z } from "zod";
import { accept, type Parsed, refuse } from "../parsed.js";
import { duration, integer, isAnyMap, list, scalar, strictMap, text } from "./field.js";
import { prioritySchema } from "./priority.js";
import { routeRetriesSchema } from "./retries.js";

/** Name of a field or a method: RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/;

/** Names of listeners and pools appear in metrics, logs and commands, hence plain characters. */
export function nameField(doc: string) {
  return text(
    doc,
    "a name of letters, digits, dot, dash or underscore",
    /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
  );
}

const weightedPoolSchema = strictMap({
  pool: nameField("Name of a pool."),
  weight: integer("Share of the traffic, relative to the others of the list.", {
    min: 0,
    max: 10_000,
  }).prefault(1),
});

/** One entry of `routes`. */
export const routeSchema = strictMap({
  match: strictMap({
    host: scalar(
      "Host without a port, in any case; a leading *. stands for one or more labels.",
      parseHostPattern,
      { type: "string" },
    ).optional(),
    path: scalar("The exact path.", parsePath, { type: "string" }).optional(),
    pathPrefix: scalar(
      "Path matched by whole segments: /v1 matches /v1 and /v1/x, not /v10.",
      parsePathPrefix,
      {
        type: "string",
      },
    ).optional(),
    method: text("The exact method.", "a method in capitals, such as GET", /^[A-Z][A-Z-]{0,31}$/).optional(),
    headers: z
      .record(z.string(), text("The exact value.", "the exact value of the field", /^[^\r\n\0]{0,4096}$/), {
        error: "a map from field names to values",
      })
      .superRefine((headers, context) => {
        for (const name of Object.keys(headers)) {
          if (TOKEN.test(name)) continue;
          context.addIssue({
            code: "custom",
            path: [name],
            message: "the name of a header field",
            params: { key: true },
          });
        }
      })
      .prefault({})
      .describe("Fields that must be there with exactly these values; names in any case."),
  })
    .refine((match) => match.path === undefined || match.pathPrefix === undefined, {
      path: ["pathPrefix"],
      error: "either path or pathPrefix",
      when: isAnyMap,
    })
    .prefault({})
    .describe("All that is given must match; nothing given matches every request."),
  pool: nameField("The pool; or use pools.").optional(),
  pools: list(weightedPoolSchema)
    .min(1, { error: "at least one pool" })
    .refine((pools) => pools.length === 0 || pools.some(({ weight }) => weight > 0), {
      error: "at least one weight above 0",
    })
    .optional()
    .describe("Several pools that share the traffic by weight."),
  timeouts: strictMap({
    requestTotal: duration("In place of the pool's requestTotal.").optional(),
    server: duration("In place of the pool's server timeout.").optional(),
  })
    .prefault({})
    .describe("What differs from the pool's timeouts."),
  retries: routeRetriesSchema,
  priority: prioritySchema.optional().describe("In place of the listener's."),
});

function parseHostPattern(input: unknown): Parsed<string> {
  const expected = "a host without a port, such as api.local or *.example.com";
  if (typeof input !== "string") return refuse(expected);
  const host = input.toLowerCase();
  const bracketed = /^\[(.*)\]$/.exec(host);
  if (bracketed !== null) return isIPv6(bracketed[1] ?? "") ? accept(host) : refuse(expected);
  if (/:\d+$/.test(host)) return refuse(`a host without a port: ${host.replace(/:\d+$/, "")}`);
  return /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/.test(host)
    ? accept(host)
    : refuse(expected);
}

function parsePath(input: unknown): Parsed<string> {
  return typeof input === "string" && /^\/[^?#\s\0]{0,4095}$/.test(input)
    ? accept(input)
    : refuse("a path that begins with / and has no ? or #");
}

/** A trailing slash says nothing more than the segment before it. */
function parsePathPrefix(input: unknown): Parsed<string> {
  const parsed = parsePath(input);
  return parsed.ok && parsed.value.length > 1 ? accept(parsed.value.replace(/\/$/, "")) : parsed;
}
