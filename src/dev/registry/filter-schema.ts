/** What a filter may select: the shape of the values it runs over. */
export type FilterSchema =
  | { readonly kind: "string" | "int" | "bool" | "strings" | "stringMap" }
  | { readonly kind: "struct"; readonly fields: Readonly<Record<string, FilterSchema>> }
  | { readonly kind: "list" | "map"; readonly item: FilterSchema };

const string: FilterSchema = { kind: "string" };
const int: FilterSchema = { kind: "int" };
const bool: FilterSchema = { kind: "bool" };
const strings: FilterSchema = { kind: "strings" };
const stringMap: FilterSchema = { kind: "stringMap" };
const struct = (fields: Readonly<Record<string, FilterSchema>>): FilterSchema => ({ kind: "struct", fields });

const addresses: FilterSchema = { kind: "map", item: struct({ Address: string, Port: int }) };
const weights = struct({ Passing: int, Warning: int });

/** A node, as in `/v1/catalog/nodes`. */
export const nodeSchema = struct({
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  TaggedAddresses: stringMap,
  Meta: stringMap,
});

/** A check, as in `/v1/health/checks` and `/v1/agent/checks`. */
export const checkSchema = struct({
  Node: string,
  CheckID: string,
  Name: string,
  Status: string,
  Notes: string,
  Output: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: strings,
  Type: string,
});

/** A service, as in `/v1/agent/services`. */
export const serviceSchema = struct({
  Kind: string,
  ID: string,
  Service: string,
  Tags: strings,
  Address: string,
  TaggedAddresses: addresses,
  Meta: stringMap,
  Port: int,
  Weights: weights,
  EnableTagOverride: bool,
});

/** An element of `/v1/health/service`. */
export const instanceSchema = struct({
  Node: nodeSchema,
  Service: serviceSchema,
  Checks: { kind: "list", item: checkSchema },
});

/** An element of `/v1/catalog/service`. */
export const catalogServiceSchema = struct({
  ID: string,
  Node: string,
  Address: string,
  Datacenter: string,
  TaggedAddresses: stringMap,
  NodeMeta: stringMap,
  ServiceKind: string,
  ServiceID: string,
  ServiceName: string,
  ServiceTags: strings,
  ServiceAddress: string,
  ServiceTaggedAddresses: addresses,
  ServiceWeights: weights,
  ServiceMeta: stringMap,
  ServicePort: int,
  ServiceEnableTagOverride: bool,
});
