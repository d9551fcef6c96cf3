import { isDeepStrictEqual } from "node:util";
import type { RaftIndex } from "./raft-index.js";
import type {
  CheckFields,
  CheckShape,
  InstanceShape,
  NodeShape,
  ServiceFields,
  ServiceShape,
} from "./shapes.js";

/** What a registration says of a node. */
export type NodeFields = Omit<NodeShape, "CreateIndex" | "ModifyIndex">;

/** One write: a node with, optionally, one service and some checks. */
export interface Registration {
  readonly node: NodeFields;
  /** Leaves a node that exists as it is; a missing one is made. */
  readonly keepNode?: boolean;
  readonly service?: ServiceFields;
  readonly checks: readonly CheckFields[];
}

interface NodeEntry {
  node: NodeShape;
  readonly services: Map<string, ServiceShape>;
  readonly checks: Map<string, CheckShape>;
}

/** Names are compared without case, as Consul's tables are keyed. */
const keyOf = (name: string): string => name.toLowerCase();

function inKeyOrder<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map.entries()].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, value]) => value);
}

/**
 * Nodes, services and checks with the indexes that blocking queries compare. Pure: it neither waits nor
 * knows the time. The index rules are those measured on Consul 1.8.7: every service has its own index, a
 * missing one falls back to the last time any service vanished, and only before the first such time to the
 * tables.
 */
export class CatalogStore {
  readonly #raft: RaftIndex;
  readonly #changed: () => void;
  readonly #nodes = new Map<string, NodeEntry>();
  /** Newest write per service that has instances. */
  readonly #serviceIndexes = new Map<string, number>();
  #nodesIndex = 0;
  #servicesIndex = 0;
  #checksIndex = 0;
  #extinctionIndex: number | undefined;

  /** @param changed called after every write. */
  constructor(raft: RaftIndex, changed: () => void) {
    this.#raft = raft;
    this.#changed = changed;
  }

  /** Index of the node list. */
  get nodesIndex(): number {
    return this.#nodesIndex;
  }

  /** Index of the list of service names. */
  get servicesIndex(): number {
    return this.#servicesIndex;
  }

  /** Index of all lists of checks. */
  get checksIndex(): number {
    return this.#checksIndex;
  }

  /** Index of one service's instances. `withChecks` matters only while no service ever vanished. */
  serviceIndex(name: string, withChecks: boolean): number {
    const own = this.#serviceIndexes.get(keyOf(name));
    if (own !== undefined) return own;
    if (this.#extinctionIndex !== undefined) return this.#extinctionIndex;
    const tables = Math.max(this.#nodesIndex, this.#servicesIndex);
    return withChecks ? Math.max(tables, this.#checksIndex) : tables;
  }

  /** Adds or changes. @throws Error with Consul's text when a check names a service that is not there. */
  register(registration: Registration): void {
    const index = this.#raft.next();
    try {
      const entry = this.#ensureNode(registration, index);
      if (registration.service !== undefined) this.#ensureService(entry, registration.service, index);
      for (const check of registration.checks) this.#ensureCheck(entry, check, index);
    } finally {
      this.#changed();
    }
  }

  /** Removes a node with all it has. Unknown nodes are no error. */
  deregisterNode(name: string): void {
    const index = this.#raft.next();
    const entry = this.#nodes.get(keyOf(name));
    if (entry !== undefined) {
      for (const id of [...entry.services.keys()]) this.#deleteService(entry, id, index);
      for (const id of [...entry.checks.keys()]) this.#deleteCheck(entry, id, index);
      this.#nodes.delete(keyOf(name));
      this.#nodesIndex = index;
    }
    this.#changed();
  }

  /** Removes one instance with its checks. */
  deregisterService(nodeName: string, id: string): void {
    const index = this.#raft.next();
    const entry = this.#nodes.get(keyOf(nodeName));
    if (entry !== undefined) this.#deleteService(entry, id, index);
    this.#changed();
  }

  /** Removes one check. */
  deregisterCheck(nodeName: string, id: string): void {
    const index = this.#raft.next();
    const entry = this.#nodes.get(keyOf(nodeName));
    if (entry !== undefined) this.#deleteCheck(entry, id, index);
    this.#changed();
  }

  /** Every node in the order of their names. */
  nodes(): NodeShape[] {
    return inKeyOrder(this.#nodes).map((entry) => entry.node);
  }

  /** A node with its services, or undefined. */
  node(name: string): { readonly node: NodeShape; readonly services: readonly ServiceShape[] } | undefined {
    const entry = this.#nodes.get(keyOf(name));
    return entry && { node: entry.node, services: inKeyOrder(entry.services) };
  }

  /** Instances of one service, ordered by node and id, with node checks before their own. */
  instances(name: string): InstanceShape[] {
    const wanted = keyOf(name);
    return inKeyOrder(this.#nodes).flatMap((entry) =>
      inKeyOrder(entry.services)
        .filter((service) => keyOf(service.Service) === wanted)
        .map((service) => ({ Node: entry.node, Service: service, Checks: checksFor(entry, service.ID) })),
    );
  }

  /** Every instance with its node, in order. */
  allInstances(): { readonly node: NodeShape; readonly service: ServiceShape }[] {
    return inKeyOrder(this.#nodes).flatMap((entry) =>
      inKeyOrder(entry.services).map((service) => ({ node: entry.node, service })),
    );
  }

  /** Every check with its node, in order. */
  allChecks(): { readonly node: NodeShape; readonly check: CheckShape }[] {
    return inKeyOrder(this.#nodes).flatMap((entry) =>
      inKeyOrder(entry.checks).map((check) => ({ node: entry.node, check })),
    );
  }

  #ensureNode(registration: Registration, index: number): NodeEntry {
    const key = keyOf(registration.node.Node);
    const existing = this.#nodes.get(key);
    if (existing === undefined) {
      const node = { ...registration.node, CreateIndex: index, ModifyIndex: index };
      const entry = { node, services: new Map(), checks: new Map() };
      this.#nodes.set(key, entry);
      this.#nodesIndex = index;
      return entry;
    }
    const { CreateIndex, ModifyIndex, ...before } = existing.node;
    if (registration.keepNode !== true && !isDeepStrictEqual(before, registration.node)) {
      existing.node = { ...registration.node, CreateIndex, ModifyIndex: index };
      this.#nodesIndex = index;
      this.#touchServicesOf(existing, index);
    }
    return existing;
  }

  #ensureService(entry: NodeEntry, fields: ServiceFields, index: number): void {
    const existing = entry.services.get(fields.ID);
    if (existing !== undefined) {
      const { CreateIndex: _created, ModifyIndex: _modified, ...before } = existing;
      if (isDeepStrictEqual(before, fields)) return;
    }
    entry.services.set(fields.ID, {
      ...fields,
      CreateIndex: existing?.CreateIndex ?? index,
      ModifyIndex: index,
    });
    // A renamed instance may have been the last of its old name; Consul does not count that as vanishing.
    if (existing !== undefined && !this.#hasInstances(existing.Service)) {
      this.#serviceIndexes.delete(keyOf(existing.Service));
    }
    this.#serviceIndexes.set(keyOf(fields.Service), index);
    this.#servicesIndex = index;
  }

  #ensureCheck(entry: NodeEntry, fields: CheckFields, index: number): void {
    const service = fields.ServiceID === "" ? undefined : entry.services.get(fields.ServiceID);
    if (fields.ServiceID !== "" && service === undefined) {
      throw new Error(`failed inserting check: Missing service registration on node "${entry.node.Node}"`);
    }
    const check = {
      ...fields,
      ServiceName: service?.Service ?? "",
      ServiceTags: service?.Tags ?? [],
    };
    // Consul writes an unchanged check too: only the table's index moves, no service's.
    this.#checksIndex = index;
    const existing = entry.checks.get(fields.CheckID);
    if (existing !== undefined) {
      const { CreateIndex: _created, ModifyIndex: _modified, ...before } = existing;
      if (isDeepStrictEqual(before, check)) return;
    }
    entry.checks.set(fields.CheckID, {
      ...check,
      CreateIndex: existing?.CreateIndex ?? index,
      ModifyIndex: index,
    });
    if (service === undefined) this.#touchServicesOf(entry, index);
    else this.#serviceIndexes.set(keyOf(service.Service), index);
  }

  #deleteService(entry: NodeEntry, id: string, index: number): void {
    const service = entry.services.get(id);
    if (service === undefined) return;
    for (const check of [...entry.checks.values()]) {
      if (check.ServiceID === id) this.#deleteCheck(entry, check.CheckID, index);
    }
    entry.services.delete(id);
    this.#servicesIndex = index;
    this.#checksIndex = index;
    if (this.#hasInstances(service.Service)) {
      this.#serviceIndexes.set(keyOf(service.Service), index);
    } else {
      this.#serviceIndexes.delete(keyOf(service.Service));
      this.#extinctionIndex = index;
    }
  }

  #deleteCheck(entry: NodeEntry, id: string, index: number): void {
    const check = entry.checks.get(id);
    if (check === undefined) return;
    entry.checks.delete(id);
    this.#checksIndex = index;
    if (check.ServiceID === "") {
      this.#touchServicesOf(entry, index);
      this.#servicesIndex = index;
      return;
    }
    const service = entry.services.get(check.ServiceID);
    if (service !== undefined) this.#serviceIndexes.set(keyOf(service.Service), index);
  }

  #touchServicesOf(entry: NodeEntry, index: number): void {
    for (const service of entry.services.values()) this.#serviceIndexes.set(keyOf(service.Service), index);
  }

  #hasInstances(name: string): boolean {
    const wanted = keyOf(name);
    for (const entry of this.#nodes.values()) {
      for (const service of entry.services.values()) if (keyOf(service.Service) === wanted) return true;
    }
    return false;
  }
}

function checksFor(entry: NodeEntry, serviceId: string): CheckShape[] {
  const all = inKeyOrder(entry.checks);
  return [
    ...all.filter((check) => check.ServiceID === ""),
    ...all.filter((check) => check.ServiceID === serviceId),
  ];
}
