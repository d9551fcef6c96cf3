import { parseGoDuration } from "./go-duration.js";
import { JsonProblem } from "./go-json.js";
import { isObject, readBool, readFields, readInt, readString, readStrings } from "./go-struct.js";
import { HttpProblem } from "./http-problem.js";

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

const minIntervalMs = 1000;
const minDeregisterAfterMs = 60_000;
const defaultTimeoutMs = 10_000;
const defaultMaxOutputBytes = 4096;

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
 * Reads the `Check` and `Checks` of a service registration, in that order. An empty one is none.
 * @throws HttpProblem, JsonProblem
 */
export function listChecks(single: unknown, several: unknown): CheckDefinition[] {
  if (several !== undefined && several !== null && !Array.isArray(several)) {
    throw new JsonProblem(
      "json: cannot unmarshal object into Go struct field .Checks of type structs.CheckTypes",
    );
  }
  const read = (value: unknown) =>
    readFields(value, [...checkFields, "CheckID"], "struct field .Check", checkAliases);
  const first = read(single);
  const rest = Array.isArray(several) ? several.map(read) : [];
  const given = Object.keys(first).length > 0 ? [first, ...rest] : rest;
  return given.map(readCheck);
}
