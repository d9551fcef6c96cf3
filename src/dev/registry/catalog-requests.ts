import type { Registration } from "./catalog-store.js";
import { isObject, readBool, readFields, readString, readStringMap } from "./go-struct.js";
import { HttpProblem } from "./http-problem.js";
import { readServiceFields } from "./service-definition.js";
import type { CheckFields, ServiceFields } from "./shapes.js";

/**
 * Reads the body of `/v1/catalog/register`.
 * @throws HttpProblem, JsonProblem with Consul's texts
 */
export function readRegistration(body: unknown, datacenter: string): Registration {
  const fields = readFields(
    body,
    [
      "Datacenter",
      "ID",
      "Node",
      "Address",
      "TaggedAddresses",
      "NodeMeta",
      "Service",
      "Check",
      "Checks",
      "SkipNodeUpdate",
      "WriteRequest",
    ] as const,
    "value",
  );
  const name = readString(fields.Node, "RegisterRequest.Node");
  const address = readString(fields.Address, "RegisterRequest.Address");
  const keepNode = readBool(fields.SkipNodeUpdate, "RegisterRequest.SkipNodeUpdate");
  const id = readString(fields.ID, "RegisterRequest.ID");
  const service = readService(fields.Service);
  const listed = Array.isArray(fields.Checks) ? fields.Checks : [];
  const all = fields.Check === undefined || fields.Check === null ? listed : [fields.Check, ...listed];
  const checks = all.map((check) => readCheck(check, name));
  requireDatacenter(readString(fields.Datacenter, "RegisterRequest.Datacenter"), datacenter);
  if (name === "") throw new HttpProblem(500, "Must provide node");
  if (address === "" && !keepNode) {
    throw new HttpProblem(500, "Must provide address if SkipNodeUpdate is not set");
  }
  if (id !== "" && id.length !== 36) throw new HttpProblem(500, "Bad node ID: uuid string is wrong length");
  if (service?.Service === "") throw new HttpProblem(500, "Must provide service name with ID");
  return {
    node: {
      ID: id,
      Node: name,
      Address: address,
      Datacenter: datacenter,
      TaggedAddresses: readStringMap(fields.TaggedAddresses, "RegisterRequest.TaggedAddresses") ?? null,
      Meta: readStringMap(fields.NodeMeta, "RegisterRequest.NodeMeta") ?? null,
    },
    keepNode,
    ...(service !== undefined && { service }),
    checks,
  };
}

/** Reads the body of `/v1/catalog/deregister`. @throws HttpProblem, JsonProblem */
export function readDeregistration(body: unknown): {
  readonly node: string;
  readonly serviceId: string;
  readonly checkId: string;
} {
  const names = ["Datacenter", "Node", "Address", "ServiceID", "CheckID", "WriteRequest"] as const;
  const fields = readFields(body, names, "value");
  const node = readString(fields.Node, "DeregisterRequest.Node");
  if (node === "") throw new HttpProblem(500, "Must provide node");
  return {
    node,
    serviceId: readString(fields.ServiceID, "DeregisterRequest.ServiceID"),
    checkId: readString(fields.CheckID, "DeregisterRequest.CheckID"),
  };
}

function requireDatacenter(wanted: string, own: string): void {
  if (wanted !== "" && wanted !== own) throw new HttpProblem(500, "No path to datacenter");
}

function readService(value: unknown): ServiceFields | undefined {
  if (value === undefined || value === null) return undefined;
  const fields = readFields(
    value,
    [
      "ID",
      "Service",
      "Tags",
      "Address",
      "TaggedAddresses",
      "Meta",
      "Port",
      "Weights",
      "EnableTagOverride",
    ] as const,
    "value",
    { enable_tag_override: "EnableTagOverride", tagged_addresses: "TaggedAddresses" },
  );
  const name = readString(fields.Service, "NodeService.Service");
  return { ...readServiceFields(fields), ID: readString(fields.ID, "NodeService.ID") || name, Service: name };
}

function readCheck(value: unknown, node: string): CheckFields {
  const fields = readFields(
    value,
    [
      "Node",
      "CheckID",
      "Name",
      "Status",
      "Notes",
      "Output",
      "ServiceID",
      "ServiceName",
      "ServiceTags",
      "Type",
      "Definition",
    ] as const,
    "value",
  );
  const name = readString(fields.Name, "HealthCheck.Name");
  const id = readString(fields.CheckID, "HealthCheck.CheckID") || name;
  if (id === "") {
    const text = "failed inserting check: failed inserting check: object missing primary index";
    throw new HttpProblem(500, `${text} on node "${node}"`);
  }
  const Definition = isObject(fields.Definition) ? fields.Definition : {};
  return {
    Node: node,
    CheckID: id,
    Name: name,
    Status: readString(fields.Status, "HealthCheck.Status") || "critical",
    Notes: readString(fields.Notes, "HealthCheck.Notes"),
    Output: readString(fields.Output, "HealthCheck.Output"),
    ServiceID: readString(fields.ServiceID, "HealthCheck.ServiceID"),
    ServiceName: "",
    ServiceTags: [],
    Type: readString(fields.Type, "HealthCheck.Type") || typeOf(Definition),
    Definition,
  };
}

function typeOf(definition: Readonly<Record<string, unknown>>): string {
  if (typeof definition.HTTP === "string" && definition.HTTP !== "") return "http";
  return typeof definition.TCP === "string" && definition.TCP !== "" ? "tcp" : "";
}
