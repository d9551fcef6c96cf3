/** One instance in the answer of `/v1/health/service/:name`, with what is used of it and nothing optional. */
export interface HealthEntry {
  readonly node: string;
  readonly nodeAddress: string;
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly datacenter: string | undefined;
  /** Empty outside Consul Enterprise. */
  readonly partition: string;
  /** Empty outside Consul Enterprise. */
  readonly namespace: string;
  readonly serviceId: string;
  /** Empty where the node's address is meant. */
  readonly serviceAddress: string;
  /** 0 where the service has none. */
  readonly port: number;
  /** Further addresses of the service by name; port 0 where the plain one is meant. */
  readonly taggedAddresses: Readonly<Record<string, TaggedAddress>>;
  /** Further addresses of the node by name. */
  readonly nodeTaggedAddresses: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly meta: Readonly<Record<string, string>>;
  readonly weights: { readonly passing: number; readonly warning: number };
  readonly checks: readonly HealthCheck[];
}

/** An address of a service for those who come another way. */
export interface TaggedAddress {
  readonly address: string;
  readonly port: number;
}

/** A check of the instance or of its node. */
export interface HealthCheck {
  readonly id: string;
  readonly name: string;
  /** Consul's word, lower case. */
  readonly status: string;
  readonly notes: string;
  readonly output: string;
}

/** Entries of a body, or what is wrong with its shape. */
export type ReadEntries =
  | { readonly ok: true; readonly entries: readonly HealthEntry[] }
  | { readonly ok: false; readonly problem: string };

/**
 * Reads what should be the answer of `/v1/health/service/:name`. One entry of unknown shape spoils the whole
 * answer: a list that is only partly understood must not shrink a pool.
 */
export function readHealthEntries(body: unknown): ReadEntries {
  if (!Array.isArray(body)) {
    return { ok: false, problem: `answer is ${describe(body)}, expected a list of instances` };
  }
  const entries: HealthEntry[] = [];
  for (const [at, value] of body.entries()) {
    const entry = readEntry(value);
    if (typeof entry === "string") return { ok: false, problem: `instance ${at} of the answer: ${entry}` };
    entries.push(entry);
  }
  return { ok: true, entries };
}

/** Reads what should be the answer of `/v1/query/:name/execute`, as `readHealthEntries` does. */
export function readQueryEntries(body: unknown): ReadEntries {
  if (!isObject(body))
    return { ok: false, problem: `answer is ${describe(body)}, expected a query's result` };
  // Go writes an empty list as null.
  return readHealthEntries(body.Nodes ?? []);
}

function readEntry(value: unknown): HealthEntry | string {
  if (!isObject(value)) return `is ${describe(value)}, expected an object`;
  const { Node: node, Service: service, Checks: checks } = value;
  if (!isObject(node) || typeof node.Node !== "string" || node.Node === "") return "has no Node.Node";
  if (!isObject(service) || typeof service.ID !== "string" || service.ID === "") return "has no Service.ID";
  const port = readPort(service);
  if (port === undefined) return "has a Service.Port that is no number";
  const readChecks = checks === null || checks === undefined ? [] : checks;
  if (!Array.isArray(readChecks) || !readChecks.every(isObject))
    return "has Checks that are no list of objects";
  const weights = isObject(service.Weights) ? service.Weights : {};
  return {
    node: node.Node,
    nodeAddress: text(node.Address),
    nodeMeta: stringRecord(node.Meta),
    datacenter: text(node.Datacenter) === "" ? undefined : text(node.Datacenter),
    partition: text(service.Partition) || text(node.Partition),
    namespace: text(service.Namespace),
    serviceId: service.ID,
    serviceAddress: text(service.Address),
    port,
    taggedAddresses: readTagged(service.TaggedAddresses),
    nodeTaggedAddresses: stringRecord(node.TaggedAddresses),
    tags: strings(service.Tags),
    meta: stringRecord(service.Meta),
    weights: { passing: weight(weights.Passing), warning: weight(weights.Warning) },
    checks: readChecks.map(readCheck),
  };
}

/** Consul 1.22 and later may leave `Port` at 0 and list named ports, one of them the default. */
function readPort(service: Readonly<Record<string, unknown>>): number | undefined {
  const { Port: port, Ports: ports } = service;
  if (port !== undefined && port !== null && !isWhole(port)) return undefined;
  if (isWhole(port) && port !== 0) return port;
  if (!Array.isArray(ports)) return 0;
  const named = ports.filter(isObject);
  const chosen =
    named.find((candidate) => candidate.Default === true) ?? (named.length === 1 ? named[0] : undefined);
  return isWhole(chosen?.Port) ? chosen.Port : 0;
}

function readTagged(value: unknown): Readonly<Record<string, TaggedAddress>> {
  if (!isObject(value)) return {};
  const pairs = Object.entries(value).flatMap(([name, tagged]) =>
    isObject(tagged) && text(tagged.Address) !== ""
      ? [[name, { address: text(tagged.Address), port: isWhole(tagged.Port) ? tagged.Port : 0 }] as const]
      : [],
  );
  return Object.fromEntries(pairs);
}

function readCheck(check: Readonly<Record<string, unknown>>): HealthCheck {
  return {
    id: text(check.CheckID),
    name: text(check.Name),
    status: text(check.Status).toLowerCase(),
    notes: text(check.Notes),
    output: text(check.Output),
  };
}

function weight(value: unknown): number {
  return isWhole(value) ? value : 1;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}

function stringRecord(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  const pairs = Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string");
  return Object.fromEntries(pairs);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "an object" : `a ${typeof value}`;
}
