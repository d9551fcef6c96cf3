import { isIP } from "node:net";
import { parseGoDuration } from "./go-duration.js";
import { JsonProblem } from "./go-json.js";
import {
  isObject,
  readBool,
  readFields,
  readInt,
  readString,
  readStringMap,
  readStrings,
} from "./go-struct.js";
import { HttpProblem } from "./http-problem.js";
import type { ServiceAddressShape, ServiceFields, WeightsShape } from "./shapes.js";

/** How a check finds its status out. */
export type CheckMethod =
  | { readonly type: "ttl"; readonly ttlMs: number }
  | {
      readonly type: "http";
      readonly url: string;
      readonly method: string;
      readonly header: Readonly<Record<string, readonly string[]>>;
      readonly body: string;
      readonly skipsVerify: boolean;
      readonly intervalMs: number;
      readonly timeoutMs: number;
    }
  | {
      readonly type: "tcp";
      readonly address: string;
      readonly intervalMs: number;
      readonly timeoutMs: number;
    };

/** A check as it was asked for. Empty texts mean "not given". */
export interface CheckDefinition {
  readonly id: string;
  readonly name: string;
  readonly notes: string;
  readonly status: string;
  readonly serviceId: string;
  readonly method: CheckMethod;
  /** Results of one kind in a row before the status changes; 0 and 1 change it at once. */
  readonly successesBeforePassing: number;
  readonly failuresBeforeCritical: number;
  /** After so long critical the service is removed; 0 never. At least a minute. */
  readonly deregisterAfterMs: number;
  /** Longest output kept, in bytes. */
  readonly maxOutputBytes: number;
}

/** A service registration, read and checked. */
export interface ServiceDefinition {
  readonly service: ServiceFields;
  readonly checks: readonly CheckDefinition[];
}

const minIntervalMs = 1000;
const minDeregisterAfterMs = 60_000;
const defaultTimeoutMs = 10_000;
const defaultMaxOutputBytes = 4096;
const maxWeight = 65_535;
const maxMetaPairs = 64;

const checkFields = [
  "Name",
  "Status",
  "Notes",
  "ScriptArgs",
  "Args",
  "HTTP",
  "Header",
  "Method",
  "Body",
  "TCP",
  "Interval",
  "AliasNode",
  "AliasService",
  "DockerContainerID",
  "Shell",
  "GRPC",
  "GRPCUseTLS",
  "TLSSkipVerify",
  "Timeout",
  "TTL",
  "SuccessBeforePassing",
  "FailuresBeforeCritical",
  "DeregisterCriticalServiceAfter",
  "OutputMaxSize",
] as const;

const checkAliases = {
  script_args: "ScriptArgs",
  deregister_critical_service_after: "DeregisterCriticalServiceAfter",
  docker_container_id: "DockerContainerID",
  tls_skip_verify: "TLSSkipVerify",
} as const;

type CheckFieldName = (typeof checkFields)[number] | "ID" | "CheckID" | "ServiceID" | "Token";
type CheckFieldValues = Partial<Record<CheckFieldName, unknown>>;

const invalidCheck = (text: string) => new HttpProblem(400, `Invalid check: ${text}`);

/** A duration that is neither text nor number counts as not given, as in Consul. */
function readDurationMs(value: unknown): number {
  if (typeof value === "number") return value / 1e6;
  if (typeof value !== "string" || value === "") return 0;
  const durationMs = parseGoDuration(value);
  if (durationMs === undefined) throw new JsonProblem(`time: invalid duration "${value}"`);
  return durationMs;
}

function readHeader(value: unknown): Record<string, string[]> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new JsonProblem("json: cannot unmarshal into Go struct field .Header");
  return Object.fromEntries(
    Object.entries(value).map(([name, items]) => [name, readStrings(items, ".Check")]),
  );
}

function refuseOtherKinds(fields: CheckFieldValues): void {
  if (readStrings(fields.Args ?? fields.ScriptArgs, ".Args").length > 0) {
    throw new HttpProblem(
      500,
      "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    );
  }
  for (const name of ["GRPC", "DockerContainerID", "Shell", "AliasNode", "AliasService"] as const) {
    if (readString(fields[name], `.${name}`) !== "") {
      throw invalidCheck(`${name} checks are not available in the embedded catalog`);
    }
  }
}

function readMethod(fields: CheckFieldValues): CheckMethod {
  const url = readString(fields.HTTP, ".HTTP");
  const address = readString(fields.TCP, ".TCP");
  const intervalMs = readDurationMs(fields.Interval);
  const ttlMs = readDurationMs(fields.TTL);
  if (intervalMs > 0 && ttlMs > 0) throw invalidCheck("Interval and TTL cannot both be specified");
  const isProbe = url !== "" || address !== "";
  if (isProbe && intervalMs <= 0) throw invalidCheck("Interval must be > 0 for Script, HTTP, or TCP checks");
  if (!isProbe && ttlMs <= 0) throw invalidCheck("TTL must be > 0 for TTL checks");
  if (ttlMs > 0) return { type: "ttl", ttlMs };
  const timing = {
    intervalMs: Math.max(intervalMs, minIntervalMs),
    timeoutMs: readDurationMs(fields.Timeout) || defaultTimeoutMs,
  };
  if (url === "") return { type: "tcp", address, ...timing };
  return {
    type: "http",
    url,
    method: readString(fields.Method, ".Method") || "GET",
    header: readHeader(fields.Header),
    body: readString(fields.Body, ".Body"),
    skipsVerify: readBool(fields.TLSSkipVerify, ".TLSSkipVerify"),
    ...timing,
  };
}

function readCheck(fields: CheckFieldValues): CheckDefinition {
  refuseOtherKinds(fields);
  const deregisterAfterMs = readDurationMs(fields.DeregisterCriticalServiceAfter);
  return {
    id: readString(fields.ID ?? fields.CheckID, ".ID"),
    name: readString(fields.Name, ".Name"),
    notes: readString(fields.Notes, ".Notes"),
    status: readString(fields.Status, ".Status"),
    serviceId: readString(fields.ServiceID, ".ServiceID"),
    method: readMethod(fields),
    successesBeforePassing: readInt(fields.SuccessBeforePassing, ".SuccessBeforePassing"),
    failuresBeforeCritical: readInt(fields.FailuresBeforeCritical, ".FailuresBeforeCritical"),
    deregisterAfterMs: deregisterAfterMs > 0 ? Math.max(deregisterAfterMs, minDeregisterAfterMs) : 0,
    maxOutputBytes: readInt(fields.OutputMaxSize, ".OutputMaxSize") || defaultMaxOutputBytes,
  };
}

const knownStatuses: readonly string[] = ["passing", "warning", "critical"];

/** Whether a check may be set to this status from outside. */
export function isCheckStatus(status: string): boolean {
  return knownStatuses.includes(status);
}

/**
 * Reads the body of `/v1/agent/check/register`.
 * @throws HttpProblem, JsonProblem
 */
export function readCheckDefinition(body: unknown): CheckDefinition {
  const fields = readFields(body, [...checkFields, "ID", "ServiceID", "Token"], "value", checkAliases);
  const name = readString(fields.Name, ".Name");
  if (name === "") throw new HttpProblem(400, "Missing check name");
  const status = readString(fields.Status, ".Status");
  if (status !== "" && !isCheckStatus(status)) throw new HttpProblem(400, "Bad check status");
  const check = readCheck(fields);
  return { ...check, id: check.id || name };
}

/**
 * Reads the body of `/v1/agent/service/register`. Every problem Consul 1.8.7 reports is reported in its words;
 * proxies and gateways, which the embedded catalog does not know, are refused.
 * @throws HttpProblem, JsonProblem
 */
export function readServiceDefinition(body: unknown): ServiceDefinition {
  const fields = readFields(
    body,
    [
      "Kind",
      "ID",
      "Name",
      "Tags",
      "Address",
      "TaggedAddresses",
      "Meta",
      "Port",
      "Check",
      "Checks",
      "Weights",
      "Token",
      "EnableTagOverride",
      "Proxy",
      "Connect",
    ] as const,
    "value",
    { enable_tag_override: "EnableTagOverride", tagged_addresses: "TaggedAddresses" },
  );
  const name = readString(fields.Name, ".Name");
  const service = {
    ...readServiceFields(fields),
    ID: readString(fields.ID, ".ID") || name,
    Service: name,
  };
  const given = listChecks(fields.Check, fields.Checks);
  if (name === "") throw new HttpProblem(400, "Missing service name");
  if (["0.0.0.0", "::", "[::]"].includes(service.Address)) {
    throw new HttpProblem(400, "Invalid service address");
  }
  refuseMesh(fields);
  const checks = given.map((check, position) => nameCheck(readCheck(check), service, position, given.length));
  if (checks.some((check) => check.status !== "" && !isCheckStatus(check.status))) {
    throw new HttpProblem(400, "Status for checks must 'passing', 'warning', 'critical'");
  }
  validateWeights(service.Weights);
  validateMeta(service.Meta ?? {});
  return { service: { ...service, TaggedAddresses: withDefaultAddresses(service) }, checks };
}

function listChecks(single: unknown, several: unknown): CheckFieldValues[] {
  if (several !== undefined && several !== null && !Array.isArray(several)) {
    throw new JsonProblem(
      "json: cannot unmarshal object into Go struct field .Checks of type structs.CheckTypes",
    );
  }
  const read = (value: unknown) =>
    readFields(value, [...checkFields, "CheckID"], "struct field .Check", checkAliases);
  const first = read(single);
  const rest = Array.isArray(several) ? several.map(read) : [];
  return Object.keys(first).length > 0 ? [first, ...rest] : rest;
}

function nameCheck(
  check: CheckDefinition,
  service: ServiceFields,
  position: number,
  count: number,
): CheckDefinition {
  const suffix = count > 1 ? `:${position + 1}` : "";
  return {
    ...check,
    id: check.id || `service:${service.ID}${suffix}`,
    name: check.name || `Service '${service.Service}' check`,
    serviceId: service.ID,
  };
}

type ServiceFieldName =
  | "Tags"
  | "Address"
  | "TaggedAddresses"
  | "Meta"
  | "Port"
  | "Weights"
  | "EnableTagOverride";

/** Reads what agent and catalog registrations have in common. @throws JsonProblem */
export function readServiceFields(
  fields: Partial<Record<ServiceFieldName, unknown>>,
): Omit<ServiceFields, "ID" | "Service"> {
  return {
    Tags: readStrings(fields.Tags, ".Tags"),
    Address: readString(fields.Address, ".Address"),
    TaggedAddresses: readAddresses(fields.TaggedAddresses),
    Meta: readStringMap(fields.Meta, ".Meta") ?? null,
    Port: readInt(fields.Port, ".Port"),
    Weights: readWeights(fields.Weights),
    EnableTagOverride: readBool(fields.EnableTagOverride, ".EnableTagOverride"),
  };
}

function readAddresses(value: unknown): Record<string, ServiceAddressShape> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new JsonProblem("json: cannot unmarshal into Go struct field .TaggedAddresses");
  return Object.fromEntries(
    Object.entries(value).map(([tag, item]) => {
      const fields = readFields(item, ["Address", "Port"] as const, "struct field .TaggedAddresses");
      const Port = readInt(fields.Port, "ServiceAddress.TaggedAddresses.Port");
      return [tag, { Address: readString(fields.Address, "ServiceAddress.TaggedAddresses.Address"), Port }];
    }),
  );
}

function readWeights(value: unknown): WeightsShape {
  if (value === undefined || value === null) return { Passing: 1, Warning: 1 };
  const fields = readFields(value, ["Passing", "Warning"] as const, "struct field .Weights");
  return {
    Passing: readInt(fields.Passing, "Weights.Weights.Passing"),
    Warning: readInt(fields.Warning, "Weights.Weights.Warning"),
  };
}

function refuseMesh(fields: Readonly<Record<string, unknown>>): void {
  const isSet = (value: unknown) => isObject(value) && Object.keys(value).length > 0;
  if (readString(fields.Kind, ".Kind") !== "" || isSet(fields.Proxy) || isSet(fields.Connect)) {
    throw new HttpProblem(400, "Proxies, gateways and Connect are not available in the embedded catalog");
  }
}

function validateWeights({ Passing, Warning }: WeightsShape): void {
  const refuse = (text: string) => new HttpProblem(400, `Invalid Weights: ${text}`);
  if (Passing < 1) throw refuse("Passing must be greater than 0");
  if (Warning < 0) throw refuse("Warning must be greater or equal than 0");
  if (Passing > maxWeight || Warning > maxWeight) throw refuse("DNS Weight must be between 0 and 65535");
}

function validateMeta(meta: Readonly<Record<string, string>>): void {
  const pairs = Object.entries(meta);
  const refuse = (text: string) => new HttpProblem(400, `Invalid Service Meta: ${text}`);
  if (pairs.length > maxMetaPairs) {
    throw refuse(`Node metadata cannot contain more than ${maxMetaPairs} key/value pairs`);
  }
  for (const [key, value] of pairs) {
    const refusePair = (text: string) =>
      refuse(`Couldn't load metadata pair ('${key}', '${value}'): ${text}`);
    if (key === "") throw refusePair("Key cannot be blank");
    if (!/^[a-zA-Z0-9_-]+$/.test(key)) throw refusePair("Key contains invalid characters");
    if (key.length > 128) throw refusePair("Key is too long (limit: 128 characters)");
    if (value.length > 512) throw refusePair("Value is too long (limit: 512 characters)");
  }
}

/** Consul lists an IP address again under the tags of its family. */
function withDefaultAddresses(service: ServiceFields): Record<string, ServiceAddressShape> {
  const family = isIP(service.Address);
  if (family === 0) return { ...service.TaggedAddresses };
  const own = { Address: service.Address, Port: service.Port };
  return { [`lan_ipv${family}`]: own, [`wan_ipv${family}`]: own, ...service.TaggedAddresses };
}
