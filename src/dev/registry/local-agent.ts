import type { CatalogStore, NodeFields } from "./catalog-store.js";
import type { CheckDefinition } from "./check-definition.js";
import { type CheckRunner, ProbeRunner, TtlRunner } from "./check-runner.js";
import { HttpProblem } from "./http-problem.js";
import type { ServiceDefinition } from "./service-definition.js";
import type { CheckFields, ServiceFields } from "./shapes.js";

/** Consul's `check_update_interval`: how long an output alone may stay behind in the catalog. */
const outputDelayMs = 5 * 60_000;
/** How often services that were critical for too long are looked for. */
const reapEveryMs = 30_000;

const serviceMaintenancePrefix = "_service_maintenance:";
const nodeMaintenanceId = "_node_maintenance";

interface LocalCheck {
  fields: CheckFields;
  readonly runner: CheckRunner | undefined;
  readonly deregisterAfterMs: number;
  criticalSinceMs: number | undefined;
  outputTimer: NodeJS.Timeout | undefined;
}

/** Worst status over some checks, maintenance above all. */
export function aggregateStatus(checks: readonly CheckFields[]): string {
  const isMaintenance = (id: string) => id === nodeMaintenanceId || id.startsWith(serviceMaintenancePrefix);
  if (checks.some((check) => isMaintenance(check.CheckID))) return "maintenance";
  for (const status of ["critical", "warning"]) {
    if (checks.some((check) => check.Status === status)) return status;
  }
  return "passing";
}

/**
 * The services and checks registered with this agent. It runs the checks and pushes every change into the
 * catalog at once, except a change of output alone, which follows minutes later and wakes nobody before.
 */
export class LocalAgent {
  readonly #catalog: CatalogStore;
  readonly #node: NodeFields;
  readonly #random: () => number;
  readonly #changed: () => void;
  readonly #services = new Map<string, ServiceFields>();
  readonly #checks = new Map<string, LocalCheck>();
  readonly #reaper: NodeJS.Timeout;

  /** @param changed called when a local service changed. */
  constructor(catalog: CatalogStore, node: NodeFields, random: () => number, changed: () => void) {
    this.#catalog = catalog;
    this.#node = node;
    this.#random = random;
    this.#changed = changed;
    this.#reaper = setInterval(() => this.#reap(), reapEveryMs).unref();
  }

  /** Local services by id. */
  get services(): ReadonlyMap<string, ServiceFields> {
    return this.#services;
  }

  /** Local checks by id, in order. */
  checks(): CheckFields[] {
    return [...this.#checks.values()].map((check) => check.fields).sort(byCheckId);
  }

  /** Checks that speak for a service: its own and the node's. */
  checksOf(serviceId: string): CheckFields[] {
    return this.checks().filter((check) => check.ServiceID === "" || check.ServiceID === serviceId);
  }

  /** Registers or changes a service. A check that exists keeps its status; its time to live starts anew. */
  registerService({ service, checks }: ServiceDefinition, replacesChecks: boolean): void {
    this.#services.set(service.ID, service);
    const added = checks.map((check) => this.#placeCheck(check, service));
    this.#catalog.register({ node: this.#node, keepNode: true, service, checks: added });
    if (replacesChecks) {
      const kept = new Set(checks.map((check) => check.id));
      for (const { ServiceID, CheckID } of this.checks()) {
        if (ServiceID === service.ID && !kept.has(CheckID)) this.deregisterCheck(CheckID);
      }
    }
    this.#changed();
  }

  /** Removes a service with its checks. Unknown ids are no error. */
  deregisterService(id: string): void {
    if (id === "") throw new HttpProblem(500, "ServiceID missing");
    for (const { ServiceID, CheckID } of this.checks()) if (ServiceID === id) this.#dropCheck(CheckID);
    if (this.#services.delete(id)) this.#catalog.deregisterService(this.#node.Node, id);
    this.#changed();
  }

  /** Registers or changes a check of the node or of one service. */
  registerCheck(definition: CheckDefinition): void {
    const service = this.#services.get(definition.serviceId);
    if (definition.serviceId !== "" && service === undefined) {
      throw new HttpProblem(500, `ServiceID "${definition.serviceId}" does not exist`);
    }
    this.#sync(this.#placeCheck(definition, service));
  }

  /** Removes a check. Unknown ids are no error. */
  deregisterCheck(id: string): void {
    if (id === "") throw new HttpProblem(500, "CheckID missing");
    if (this.#dropCheck(id)) this.#catalog.deregisterCheck(this.#node.Node, id);
  }

  /** Passes on a sign of life. @throws HttpProblem unless the check has a time to live. */
  reportTtl(id: string, status: string, output: string): void {
    const runner = this.#checks.get(id)?.runner;
    if (!(runner instanceof TtlRunner)) {
      throw new HttpProblem(500, `CheckID ${JSON.stringify(id)} does not have associated TTL`);
    }
    runner.report(status, output);
  }

  /** Puts a service into or out of maintenance. @throws HttpProblem when it is unknown. */
  setServiceMaintenance(id: string, isEnabled: boolean, reason: string): void {
    const service = this.#services.get(id);
    if (service === undefined)
      throw new HttpProblem(404, `No service registered with ID ${JSON.stringify(id)}`);
    const checkId = serviceMaintenancePrefix + id;
    if (!isEnabled) this.deregisterCheck(checkId);
    else this.#addMaintenance(checkId, "service", reason, service);
  }

  /** Puts the node, and so every service on it, into or out of maintenance. */
  setNodeMaintenance(isEnabled: boolean, reason: string): void {
    if (!isEnabled) this.deregisterCheck(nodeMaintenanceId);
    else this.#addMaintenance(nodeMaintenanceId, "node", reason, undefined);
  }

  /** Stops every check. */
  close(): void {
    clearInterval(this.#reaper);
    for (const id of [...this.#checks.keys()]) this.#dropCheck(id);
  }

  #addMaintenance(id: string, what: "service" | "node", reason: string, service?: ServiceFields): void {
    if (this.#checks.has(id)) return;
    const fallback = `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`;
    const fields: CheckFields = {
      Node: this.#node.Node,
      CheckID: id,
      Name: `${what === "service" ? "Service" : "Node"} Maintenance Mode`,
      Status: "critical",
      Notes: reason || fallback,
      Output: "",
      ServiceID: service?.ID ?? "",
      ServiceName: service?.Service ?? "",
      ServiceTags: service?.Tags ?? [],
      Type: "maintenance",
      Definition: {},
    };
    this.#checks.set(id, {
      fields,
      runner: undefined,
      deregisterAfterMs: 0,
      criticalSinceMs: undefined,
      outputTimer: undefined,
    });
    this.#sync(fields);
  }

  #placeCheck(definition: CheckDefinition, service: ServiceFields | undefined): CheckFields {
    const before = this.#checks.get(definition.id)?.fields;
    this.#dropCheck(definition.id);
    const fields: CheckFields = {
      Node: this.#node.Node,
      CheckID: definition.id,
      Name: definition.name,
      Status: before?.Status ?? (definition.status || "critical"),
      Notes: definition.notes,
      Output: before?.Output ?? "",
      ServiceID: service?.ID ?? "",
      ServiceName: service?.Service ?? "",
      ServiceTags: service?.Tags ?? [],
      Type: definition.method.type,
      Definition: {},
    };
    this.#checks.set(definition.id, {
      fields,
      runner: this.#startRunner(definition),
      deregisterAfterMs: definition.deregisterAfterMs,
      criticalSinceMs: fields.Status === "critical" ? performance.now() : undefined,
      outputTimer: undefined,
    });
    return fields;
  }

  #startRunner(definition: CheckDefinition): CheckRunner {
    const sink = (status: string, output: string) => this.#update(definition.id, status, output);
    const { method } = definition;
    return method.type === "ttl"
      ? new TtlRunner(method.ttlMs, definition.maxOutputBytes, sink)
      : new ProbeRunner(definition, method, this.#random, sink);
  }

  #dropCheck(id: string): boolean {
    const check = this.#checks.get(id);
    if (check === undefined) return false;
    check.runner?.stop();
    clearTimeout(check.outputTimer);
    return this.#checks.delete(id);
  }

  #update(id: string, status: string, output: string): void {
    const check = this.#checks.get(id);
    if (check === undefined) return;
    const { Status, Output } = check.fields;
    if (Status === status && Output === output) return;
    check.fields = { ...check.fields, Status: status, Output: output };
    if (status !== "critical") check.criticalSinceMs = undefined;
    else check.criticalSinceMs ??= performance.now();
    if (Status !== status) {
      clearTimeout(check.outputTimer);
      check.outputTimer = undefined;
      this.#sync(check.fields);
      return;
    }
    check.outputTimer ??= setTimeout(
      () => {
        check.outputTimer = undefined;
        this.#sync(check.fields);
      },
      outputDelayMs / 2 + this.#random() * outputDelayMs,
    ).unref();
  }

  #sync(check: CheckFields): void {
    this.#catalog.register({ node: this.#node, keepNode: true, checks: [check] });
  }

  #reap(): void {
    const nowMs = performance.now();
    for (const { fields, deregisterAfterMs, criticalSinceMs } of [...this.#checks.values()]) {
      const isOverdue = criticalSinceMs !== undefined && nowMs - criticalSinceMs > deregisterAfterMs;
      if (deregisterAfterMs > 0 && isOverdue && fields.ServiceID !== "")
        this.deregisterService(fields.ServiceID);
    }
  }
}

function byCheckId(a: CheckFields, b: CheckFields): number {
  return a.CheckID < b.CheckID ? -1 : a.CheckID > b.CheckID ? 1 : 0;
}
