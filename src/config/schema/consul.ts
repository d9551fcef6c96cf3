import { accept, type Parsed, refuse } from "../parsed.js";
import { duration, filePath, flag, integer, isAnyMap, scalar, strictMap, text } from "./field.js";

/** Of 200 that an agent takes of one client address by default; others live there too. */
export const MAX_CONNECTIONS = 150;

const ADDRESS_EXPECTED = "http://host:port, https://host:port or unix:///path";

/** `consul`: how to reach the local agent. The environment of the Consul CLI gives what the file leaves out. */
export const consulSchema = strictMap({
  address: scalar(
    "The agent: http://host:port, https://host:port or unix:///path. CONSUL_HTTP_ADDR.",
    parseConsulAddress,
    {
      type: "string",
    },
  ).prefault("http://127.0.0.1:8500"),
  token: text(
    "ACL token. CONSUL_HTTP_TOKEN. Better from a file or the environment.",
    "an ACL token",
  ).optional(),
  tokenFile: filePath(
    "File with the ACL token, read again when it changes; wins over token. CONSUL_HTTP_TOKEN_FILE.",
  ).optional(),
  auth: text("user:password for HTTP basic authentication. CONSUL_HTTP_AUTH.", "user:password").optional(),
  datacenter: text("Datacenter to ask; the agent's own without it.", "the name of a datacenter").optional(),
  namespace: text("Namespace (Consul Enterprise). CONSUL_NAMESPACE.", "the name of a namespace").optional(),
  partition: text(
    "Admin partition (Consul Enterprise). CONSUL_PARTITION.",
    "the name of a partition",
  ).optional(),
  tls: strictMap({
    ca: filePath("Certificates that sign the agent's one, PEM. CONSUL_CACERT.").optional(),
    cert: filePath("Client certificate, PEM. CONSUL_CLIENT_CERT.").optional(),
    key: filePath("Key of the client certificate, PEM. CONSUL_CLIENT_KEY.").optional(),
    serverName: text(
      "Name the agent's certificate must bear. CONSUL_TLS_SERVER_NAME.",
      "a host name",
    ).optional(),
    verify: flag("Whether the agent's certificate is verified. CONSUL_HTTP_SSL_VERIFY.").prefault(true),
  })
    .refine((tls) => tls.cert === undefined || tls.key !== undefined, {
      path: ["key"],
      error: "the key that belongs to cert",
      when: isAnyMap,
    })
    .refine((tls) => tls.key === undefined || tls.cert !== undefined, {
      path: ["cert"],
      error: "the certificate that belongs to key",
      when: isAnyMap,
    })
    .prefault({})
    .describe("TLS towards the agent, used when the address begins with https."),
  wait: duration("Longest time a blocking query waits for a change.", { min: "1s" }).prefault("60s"),
  emptyGrace: duration("How long the first empty answer after a failure is disbelieved.").prefault("10s"),
  coalesce: duration("After a change was taken, later ones within this window are taken together.", {
    min: "50ms",
    max: "2s",
  }).prefault("50ms"),
  maxConnections: integer(
    "Most connections to the agent, one for each service and datacenter that is watched; an agent takes 200 of one client.",
    { min: 1, max: 10_000 },
  ).prefault(MAX_CONNECTIONS),
})
  .prefault({})
  .describe("How to reach Consul. What the file leaves out comes from the environment of the Consul CLI.");

/**
 * Reads an agent's address and writes it in full: scheme, host and port. Without a scheme it is http, as in
 * the Consul CLI; without a port it is the scheme's own.
 */
export function parseConsulAddress(input: unknown): Parsed<string> {
  if (typeof input !== "string" || input === "") return refuse(ADDRESS_EXPECTED);
  const unix = /^unix:(?:\/\/)?(\/[^\0]+)$/.exec(input);
  if (unix !== null) return accept(`unix://${unix[1]}`);
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(input) ? input : `http://${input}`;
  let url: URL;
  try {
    url = new URL(withScheme);
  } catch {
    return refuse(ADDRESS_EXPECTED);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return refuse(ADDRESS_EXPECTED);
  if (url.username !== "" || url.password !== "")
    return refuse(`${ADDRESS_EXPECTED}; credentials belong into auth`);
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    return refuse(`${ADDRESS_EXPECTED}, without a path`);
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return accept(`${url.protocol}//${url.hostname}:${port}`);
}
