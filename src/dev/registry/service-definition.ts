import { isIP } from "node:net";
import { type CheckDefinition, isCheckStatus, listChecks } from "./check-definition.js";
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

/** A service registration, read and checked. */
export interface ServiceDefinition {
  readonly service: ServiceFields;
  readonly checks: readonly CheckDefinition[];
}

const maxWeight = 65_535;
const maxMetaPairs = 64;

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
  if (name === "") throw new HttpProblem(400, "Missing service name");
  if (["0.0.0.0", "::", "[::]"].includes(service.Address)) {
    throw new HttpProblem(400, "Invalid service address");
  }
  refuseMesh(fields);
  const checks = listChecks(fields.Check, fields.Checks).map((check, position, all) =>
    nameCheck(check, service, position, all.length),
  );
  if (checks.some((check) => check.status !== "" && !isCheckStatus(check.status))) {
    throw new HttpProblem(400, "Status for checks must 'passing', 'warning', 'critical'");
  }
  validateWeights(service.Weights);
  validateMeta(service.Meta ?? {});
  return { service: { ...service, TaggedAddresses: withDefaultAddresses(service) }, checks };
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
