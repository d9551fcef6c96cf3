/**
 * The values of Consul's HTTP API as they travel, under Consul's own field names. The catalog keeps them in
 * this form, so that what is answered is what is kept.
 */

/** Field values by name, for tags-with-values such as `Meta`. */
export type StringMap = Readonly<Record<string, string>>;

/** Status of one check. A catalog registration may hold any text, as in Consul. */
export type CheckStatus = string;

/** A machine of the catalog. Nodes registered without tagged addresses or meta carry null, as Consul does. */
export interface NodeShape {
  readonly ID: string;
  readonly Node: string;
  readonly Address: string;
  readonly Datacenter: string;
  readonly TaggedAddresses: StringMap | null;
  readonly Meta: StringMap | null;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** An address under which an instance is reached from somewhere else. */
export interface ServiceAddressShape {
  readonly Address: string;
  readonly Port: number;
}

/** DNS SRV weights while all checks pass, and while the worst is a warning. */
export interface WeightsShape {
  readonly Passing: number;
  readonly Warning: number;
}

/** What is told about an instance, without the catalog's indexes. */
export interface ServiceFields {
  readonly ID: string;
  readonly Service: string;
  readonly Tags: readonly string[];
  readonly Address: string;
  readonly TaggedAddresses: Readonly<Record<string, ServiceAddressShape>>;
  readonly Meta: StringMap | null;
  readonly Port: number;
  readonly Weights: WeightsShape;
  readonly EnableTagOverride: boolean;
}

/** An instance in the catalog. */
export interface ServiceShape extends ServiceFields {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** What is told about a check, without the catalog's indexes. */
export interface CheckFields {
  readonly Node: string;
  readonly CheckID: string;
  readonly Name: string;
  readonly Status: CheckStatus;
  readonly Notes: string;
  readonly Output: string;
  readonly ServiceID: string;
  readonly ServiceName: string;
  readonly ServiceTags: readonly string[];
  readonly Type: string;
  readonly Definition: Readonly<Record<string, unknown>>;
}

/** A check in the catalog. */
export interface CheckShape extends CheckFields {
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** One instance with everything known of it: an element of a health answer. */
export interface InstanceShape {
  readonly Node: NodeShape;
  readonly Service: ServiceShape;
  readonly Checks: readonly CheckShape[];
}

/** A service in the form of `/v1/health`: tagged addresses only where there are any. */
export function healthService(service: ServiceShape): object {
  const { ID, Service, Tags, Address, TaggedAddresses, ...rest } = service;
  const { CreateIndex, ModifyIndex, ...middle } = rest;
  return {
    ID,
    Service,
    Tags,
    Address,
    ...(Object.keys(TaggedAddresses).length > 0 && { TaggedAddresses }),
    ...middle,
    Proxy: { MeshGateway: {}, Expose: {} },
    Connect: {},
    CreateIndex,
    ModifyIndex,
  };
}

/** A service in the form of `/v1/catalog/service`, where node and service share one flat object. */
export function catalogService(node: NodeShape, service: ServiceShape): Readonly<Record<string, unknown>> {
  return {
    ID: node.ID,
    Node: node.Node,
    Address: node.Address,
    Datacenter: node.Datacenter,
    TaggedAddresses: node.TaggedAddresses,
    NodeMeta: node.Meta,
    ServiceKind: "",
    ServiceID: service.ID,
    ServiceName: service.Service,
    ServiceTags: service.Tags,
    ServiceAddress: service.Address,
    ...(Object.keys(service.TaggedAddresses).length > 0 && {
      ServiceTaggedAddresses: service.TaggedAddresses,
    }),
    ServiceWeights: service.Weights,
    ServiceMeta: service.Meta ?? {},
    ServicePort: service.Port,
    ServiceEnableTagOverride: service.EnableTagOverride,
    ServiceProxy: { MeshGateway: {}, Expose: {} },
    ServiceConnect: {},
    CreateIndex: service.CreateIndex,
    ModifyIndex: service.ModifyIndex,
  };
}

/** A service in the form of `/v1/agent/services`. */
export function agentService(service: ServiceFields): object {
  return {
    ID: service.ID,
    Service: service.Service,
    Tags: service.Tags,
    Meta: service.Meta ?? {},
    Port: service.Port,
    Address: service.Address,
    ...(Object.keys(service.TaggedAddresses).length > 0 && { TaggedAddresses: service.TaggedAddresses }),
    Weights: service.Weights,
    EnableTagOverride: service.EnableTagOverride,
  };
}

/** A check in the form of `/v1/agent/health`, which spells out an empty definition and hides the type. */
export function agentHealthCheck(check: CheckFields): object {
  return {
    ...check,
    ServiceTags: check.ServiceTags.length === 0 ? null : check.ServiceTags,
    Type: "",
    Definition: {
      Interval: "0s",
      Timeout: "0s",
      DeregisterCriticalServiceAfter: "0s",
      HTTP: "",
      Header: null,
      Method: "",
      Body: "",
      TLSSkipVerify: false,
      TCP: "",
    },
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}
