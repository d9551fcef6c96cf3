import { z } from "zod";
import { isExposed, parseSingleBind } from "../address.js";
import type { SocketAddressConfig } from "../model.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { filePath, flag, isAnyMap, isOff, scalar, strictMap } from "./field.js";

/** Where the admin addresses are when the file says nothing. */
export const ADMIN_DEFAULTS = { grpc: "127.0.0.1:7070", http: "127.0.0.1:7080" } as const;

const GRPC_EXPOSED =
  "a loopback address or a unix socket; elsewhere the API needs { address, tls, tokenFile }, or insecure: true";
const HTTP_EXPOSED =
  "a loopback address or a unix socket; to open it to the network write { address, insecure: true }, or use admin.probe";

/** The address alone, or `off`. Undefined when switched off. */
function addressOrOff(doc: string, exposed: string) {
  const parse = (input: unknown): Parsed<SocketAddressConfig | undefined> => {
    if (isOff(input)) return accept(undefined);
    const parsed = parseSingleBind(input);
    return parsed.ok && isExposed(parsed.value) ? refuse(exposed) : parsed;
  };
  return scalar(doc, parse, { type: ["string", "boolean"] });
}

const address = scalar("Where it listens.", parseSingleBind, { type: "string" });

const tlsSchema = strictMap({
  cert: filePath("Server certificate, PEM."),
  key: filePath("Its key, PEM."),
  clientCa: filePath("When set, clients must present a certificate signed by it.").optional(),
});

const grpcObjectSchema = strictMap({
  address,
  tls: tlsSchema.optional().describe("Serve over TLS."),
  tokenFile: filePath("File with the bearer token every call must carry in `authorization`.").optional(),
  insecure: flag("Allow an address outside loopback without TLS and token.").prefault(false),
}).refine((grpc) => grpc.insecure === true || !isExposedValue(grpc.address) || isGuarded(grpc), {
  path: ["address"],
  error: GRPC_EXPOSED,
  when: isAnyMap,
});

const httpObjectSchema = strictMap({
  address,
  insecure: flag("Allow an address outside loopback: anyone who reaches it sees the whole state.").prefault(
    false,
  ),
}).refine((http) => http.insecure === true || !isExposedValue(http.address), {
  path: ["address"],
  error: HTTP_EXPOSED,
  when: isAnyMap,
});

/** `admin`: the gRPC API, the HTTP side for metrics and health, and the probe address. */
export const adminSchema = strictMap({
  grpc: z
    .union([addressOrOff("An address, or off.", GRPC_EXPOSED), grpcObjectSchema])
    .prefault(ADMIN_DEFAULTS.grpc)
    .describe("The gRPC admin API: host:port, unix:/path, { address, tls, tokenFile, insecure } or off."),
  http: z
    .union([addressOrOff("An address, or off.", HTTP_EXPOSED), httpObjectSchema])
    .prefault(ADMIN_DEFAULTS.http)
    .describe(
      "/metrics, /healthz and /readyz for this host: host:port, unix:/path, { address, insecure } or off.",
    ),
  probe: scalar(
    "/metrics, /healthz and /readyz alone; may be reached from outside without a token.",
    parseProbe,
    {
      type: ["string", "boolean"],
    },
  ).optional(),
})
  .prefault({})
  .describe("Where the process is watched and steered.");

function parseProbe(input: unknown): Parsed<SocketAddressConfig | undefined> {
  return isOff(input) ? accept(undefined) : parseSingleBind(input);
}

/** The check also runs over a map with faults, so the value may be anything. */
function isExposedValue(value: SocketAddressConfig | undefined): boolean {
  return typeof value?.kind === "string" && isExposed(value);
}

function isGuarded(grpc: { readonly tls?: unknown; readonly tokenFile?: unknown }): boolean {
  return grpc.tls !== undefined && grpc.tokenFile !== undefined;
}
