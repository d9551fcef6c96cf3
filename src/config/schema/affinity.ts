import { z } from "zod";
import { choice, decimal, duration, flag, integer, isAnyMap, list, strictMap, text } from "./field.js";
import { isKeyNamed, keyFields, keyRule } from "./key.js";

const loadFactor = decimal("Most load of a backend relative to its share; 0 for no bound.", {
  min: 0,
  max: 100,
}).prefault(1.25);

const loadFactorRule = { path: ["loadFactor"], error: "0, or more than 1", when: isAnyMap };

function isBound({ loadFactor: factor }: { readonly loadFactor?: unknown }): boolean {
  return typeof factor !== "number" || factor === 0 || factor > 1;
}

const COOKIE_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;

/** `affinity`: what keeps a client at its backend. */
export const affinitySchema = z.discriminatedUnion(
  "type",
  [
    strictMap({
      type: z.literal("cookie").describe("By a cookie that names the backend, as HAProxy's."),
      name: text("Of the cookie.", "the name of a cookie", COOKIE_NAME),
      mode: choice(
        "Whether the cookie is added to answers, put in the place of the application's, or before its value.",
        ["insert", "rewrite", "prefix"],
      ).prefault("insert"),
      indirect: flag("The application does not see the cookie (insert).").prefault(true),
      nocache: flag("A cacheable answer with the cookie gets Cache-Control: private (insert).").prefault(
        true,
      ),
      preserve: flag("A cookie of that name set by the application stays as it is (insert).").prefault(false),
      httpOnly: flag("Scripts cannot read the cookie.").prefault(true),
      secure: flag("Clients send the cookie over TLS only.").prefault(false),
      domain: text("Of the cookie.", "a domain", /^\.?[A-Za-z0-9.-]{1,253}$/).optional(),
      attr: list(
        text("One attribute, such as SameSite=Lax.", "an attribute without ; and ,", /^[!-+\--:<-~]{1,128}$/),
      )
        .prefault([])
        .describe("Further attributes."),
      maxIdle: duration("A cookie unused for longer is ignored; 0 for no limit.").prefault("0s"),
      maxLife: duration("A cookie given longer ago is ignored; 0 for no limit.").prefault("0s"),
      value: choice(
        "What names a backend: a digest of address and secret, its id, or an entry of its metadata.",
        ["dynamic", "id", "meta"],
      ).prefault("dynamic"),
      secret: text(
        "Of the digest, the same in all proxies.",
        "up to 1024 characters",
        /^.{1,1024}$/,
      ).prefault("pilotfish"),
      meta: text(
        "Name of the entry of the metadata; a backend without it has no cookie.",
        "a name of letters, digits and -_.",
        /^[A-Za-z0-9_.-]{1,128}$/,
      ).prefault("cookie"),
    }),
    strictMap({
      type: z.literal("source").describe("By the client's address, hashed."),
      loadFactor,
    }).refine(isBound, loadFactorRule),
    strictMap({
      type: z.literal("path").describe("By the path, hashed."),
      loadFactor,
    }).refine(isBound, loadFactorRule),
    strictMap({
      type: z.literal("header").describe("By a field, hashed."),
      name: text("Of the field.", "a name of letters, digits and -_.", /^[A-Za-z0-9_.-]{1,128}$/),
      loadFactor,
    }).refine(isBound, loadFactorRule),
    strictMap({
      type: z.literal("table").describe("By a table of who was served by whom (a stick table)."),
      ...keyFields,
      size: integer("Most entries; beyond it the one unused for longest goes.", {
        min: 1,
        max: 10_000_000,
      }).prefault(100_000),
      expire: duration("An entry unused for longer is forgotten.", { min: "1ms" }).prefault("30m"),
    }).refine(isKeyNamed, { ...keyRule, when: isAnyMap }),
  ],
  { error: "a map with type" },
);
