import { z } from "zod";
import { parseHostPort, parseNameServer } from "../address.js";
import { consulDiscoverySchema, resolve, tag } from "./consul-discovery.js";
import {
  choice,
  duration,
  durationOrForever,
  filePath,
  flag,
  integer,
  isAbove,
  isAnyMap,
  list,
  scalar,
  strictMap,
  text,
} from "./field.js";

const endpointText = scalar("host:port of an instance.", parseHostPort, { type: "string" });

const endpointSchema = z.union([
  endpointText.transform(({ host, port }) => ({
    host,
    port,
    id: undefined,
    weight: 1,
    priority: 0,
    backup: false,
    tags: [],
    meta: {},
  })),
  strictMap({
    address: endpointText,
    id: text(
      "Identity that survives a change of address; host:port without it.",
      "an id",
      /^[^\s\0]{1,255}$/,
    ).optional(),
    weight: integer("Share of the traffic; 0 takes no new work.", { min: 0, max: 256 }).prefault(1),
    priority: integer("Lower numbers take the work; the next ones while they have nobody usable.", {
      min: 0,
      max: 65_535,
    }).optional(),
    backup: flag("Takes work only while nothing else is usable; several one after the other.").optional(),
    tags: list(tag).prefault([]).describe("Tags."),
    meta: z
      .record(z.string(), text("A value.", "text", /^[^\0]{0,1024}$/), { error: "a map from names to text" })
      .prefault({})
      .describe("Free names and values."),
  })
    .refine(({ priority, backup }) => priority === undefined || backup !== true, {
      path: ["backup"],
      error: "either priority or backup",
      when: isAnyMap,
    })
    .transform(({ address, priority = 0, backup = false, ...rest }) => ({
      ...address,
      priority,
      backup,
      ...rest,
    })),
]);

/** Labels of 1 to 63 characters, 253 in all, a dot at the end or none. */
const dnsName =
  /^(?=.{1,254}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$/;

const dnsHoldSchema = strictMap({
  nx: durationOrForever("The name or its records do not exist.").prefault("30s"),
  timeout: durationOrForever("No name server answers.").prefault("forever"),
  refused: durationOrForever("The name servers refuse to answer.").prefault("forever"),
  other: durationOrForever("SERVFAIL and every other failure.").prefault("forever"),
  obsolete: duration("An endpoint is missing in a good answer: it stays for this long.").prefault("0s"),
})
  .prefault({})
  .describe("How long after the last good answer its endpoints take work, by what comes instead (HAProxy).");

const dnsSchema = strictMap({
  type: z.literal("dns").describe("Ask name servers for SRV or address records."),
  name: text("Full name to ask for.", "a DNS name, such as web.service.consul", dnsName),
  record: choice("SRV records, or A and AAAA records and the port given here.", ["srv", "a"]).prefault("srv"),
  port: integer("Port of every address; for record a alone.", { min: 1, max: 65_535 }).optional(),
  resolvers: list(
    scalar("IP address of a name server, with its port where that is not 53.", parseNameServer, {
      type: "string",
    }),
  )
    .min(1, "at least one name server")
    .max(8, "at most 8 name servers")
    .optional()
    .describe("Name servers, asked in turn; those of the system when left out."),
  minTtl: duration("An answer is believed for at least this long.", { min: "100ms" }).prefault("1s"),
  maxTtl: duration("An answer is believed for at most this long.", { min: "100ms" }).prefault("5m"),
  hold: dnsHoldSchema,
  timeout: duration("For one attempt with one name server.", { min: "10ms" }).prefault("1s"),
  retries: integer("Attempts after the first, each with the next name server.", { min: 0, max: 20 }).prefault(
    3,
  ),
  resolve,
})
  .refine((dns) => dns.record !== "a" || dns.port !== undefined, {
    path: ["port"],
    error: "the port, which address records do not tell",
    when: isAnyMap,
  })
  .refine((dns) => dns.record !== "srv" || dns.port === undefined, {
    path: ["port"],
    error: "no port: SRV records tell it",
    when: isAnyMap,
  })
  .refine((dns) => !isAbove(dns.minTtl, dns.maxTtl), {
    path: ["maxTtl"],
    error: "at least minTtl",
    when: isAnyMap,
  });

/** A service name of at most 15 letters, digits and dashes (RFC 6335), and its protocol. */
const serviceType = /^_[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?\._(?:tcp|udp)\.local$/;

const dnsSdSchema = strictMap({
  type: z.literal("dns-sd").describe("Instances that announce themselves on the local network."),
  service: text("Service type.", "a service type, such as _http._tcp.local", serviceType),
  interfaces: list(text("An interface.", "the name or an IPv4 address of an interface", /^[^\s\0/]{1,64}$/))
    .min(1, "at least one interface")
    .max(64, "at most 64 interfaces")
    .optional()
    .describe("Where to listen, by name or address; every interface but loopback when left out."),
  resolve: choice("Whether every address of an instance is a backend, or one of them.", [
    "all",
    "one",
  ]).prefault("one"),
});

const staticSchema = strictMap({
  type: z.literal("static").describe("The endpoints stand here."),
  endpoints: list(endpointSchema).describe(
    "host:port, or { address, id, weight, priority, backup, tags, meta }.",
  ),
  resolve,
});

const fileSchema = strictMap({
  type: z.literal("file").describe("The endpoints stand in a file that is watched."),
  path: filePath("YAML or JSON: a list of endpoints, or a map with `endpoints`."),
  resolve,
});

const sourceSchema = z.discriminatedUnion(
  "type",
  [consulDiscoverySchema, dnsSchema, dnsSdSchema, staticSchema, fileSchema],
  { error: "a map with type" },
);

/** `discovery`: where the endpoints of a pool come from; one source, or several in their order. */
export const discoverySchema = z
  .union([
    sourceSchema,
    list(sourceSchema).min(1, { error: "at least one source" }).max(8, { error: "at most 8 sources" }),
  ])
  .describe(
    "Where the endpoints come from; of a list, the source named first has its way where two list one instance.",
  );
