import { createHash } from "node:crypto";
import type { DiscoveryStatus, Endpoint } from "../../../core/endpoint.js";
import type { HealthCheck, HealthEntry } from "./health-entry.js";

/** What the pool asks of its instances. */
export interface MappingRules {
  /** All of them must be present; an instance without one is not part of the pool. */
  readonly tags: readonly string[];
  /** Worst status that still takes new work. Maintenance never does. */
  readonly minStatus: "passing" | "warning" | "any";
  /** Name of the tagged address to connect to; undefined for the plain one. */
  readonly taggedAddress: string | undefined;
  /** Key of the node's meta, or else the service's, that says the zone. */
  readonly zoneKey: string;
  /** What every instance is given. */
  readonly priority: number;
  /** Whether the order of the answer means something. */
  readonly isOrdered: boolean;
}

/** A Consul answer in the words of the core. */
export interface MappedList {
  /** In the order of their keys, or of the answer where that means something. Those that are not admitted stay in, so that they drain and keep their state. */
  readonly endpoints: readonly Endpoint[];
  /** Instances left out, by reason. */
  readonly skipped: { readonly noPort: number; readonly noAddress: number; readonly tags: number };
  /** Instances that are part of the pool, by status: none at all is another thing than none that is well. */
  readonly statuses: Readonly<Record<DiscoveryStatus, number>>;
  /** Equal for two answers that mean the same: all fields used, without the output of checks. */
  readonly digest: string;
}

/** Consul's own range; the pool scales what exceeds HAProxy's 256. */
const weightMax = 65_535;
const outputLengthMax = 160;

/**
 * Maps the answer of `/v1/health/service/:name`. Pure.
 *
 * @param entries as read by `readHealthEntries`, in any order.
 */
export function mapHealthEntries(entries: readonly HealthEntry[], rules: MappingRules): MappedList {
  const skipped = { noPort: 0, noAddress: 0, tags: 0 };
  const statuses = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
  const rows: Row[] = [];
  for (const entry of entries) {
    const { host, port } = placeOf(entry, rules.taggedAddress);
    if (!rules.tags.every((tag) => entry.tags.includes(tag))) {
      skipped.tags += 1;
    } else if (port < 1 || port > 65_535) {
      skipped.noPort += 1;
    } else if (host === "") {
      skipped.noAddress += 1;
    } else {
      const endpoint = mapEntry(entry, host, port, rules);
      statuses[endpoint.status] += 1;
      rows.push({ endpoint, checks: checkStates(entry.checks) });
    }
  }
  const sorted = [...rows].sort((a, b) => (a.endpoint.key < b.endpoint.key ? -1 : 1));
  const listed = rules.isOrdered ? rows : sorted;
  return { endpoints: listed.map((row) => row.endpoint), skipped, statuses, digest: digestOf(sorted) };
}

interface Row {
  readonly endpoint: Endpoint;
  readonly checks: string;
}

/**
 * Consul's own rule (`translate_wan_addrs`): the service's address of that name; else the node's, where the service has
 * no address of its own; else the plain one.
 */
function placeOf(
  entry: HealthEntry,
  tagged: string | undefined,
): { readonly host: string; readonly port: number } {
  const plain = {
    host: entry.serviceAddress === "" ? entry.nodeAddress : entry.serviceAddress,
    port: entry.port,
  };
  if (tagged === undefined) return plain;
  const ofService = Object.hasOwn(entry.taggedAddresses, tagged) ? entry.taggedAddresses[tagged] : undefined;
  if (ofService !== undefined) return { host: ofService.address, port: ofService.port || entry.port };
  if (entry.serviceAddress !== "" || !Object.hasOwn(entry.nodeTaggedAddresses, tagged)) return plain;
  return { host: entry.nodeTaggedAddresses[tagged] ?? plain.host, port: entry.port };
}

function mapEntry(entry: HealthEntry, host: string, port: number, rules: MappingRules): Endpoint {
  const verdict = judge(entry.checks, entry.serviceId);
  const admitted = isAdmitted(verdict.status, rules.minStatus);
  const isWeakened = verdict.status === "warning" || verdict.status === "critical";
  return {
    key: keyOf(entry),
    id: entry.serviceId,
    host,
    port,
    weight: clampWeight(isWeakened ? entry.weights.warning : entry.weights.passing),
    status: verdict.status,
    admitted,
    reason: isWeakened && !admitted ? `${verdict.reason} (needs ${rules.minStatus})` : verdict.reason,
    tags: entry.tags,
    meta: entry.meta,
    node: entry.node,
    datacenter: entry.datacenter,
    zone: entry.nodeMeta[rules.zoneKey] ?? entry.meta[rules.zoneKey],
    // A backup comes behind the actives of its own datacenter and before those of the next.
    priority: 2 * rules.priority + (entry.meta.backup === "true" ? 1 : 0),
  };
}

/** Service ids are unique per agent only, nodes per partition and datacenter. */
function keyOf(entry: HealthEntry): string {
  const parts = [
    entry.datacenter ?? "",
    entry.partition === "" ? "default" : entry.partition,
    entry.namespace === "" ? "default" : entry.namespace,
    entry.node,
    entry.serviceId,
  ];
  return `consul/${parts.map(escapePart).join("/")}`;
}

/** `@` parts the key from the address in a row's name. */
function escapePart(part: string): string {
  return part.replace(/[%/@]/g, (found) => encodeURIComponent(found));
}

function isAdmitted(status: DiscoveryStatus, minStatus: MappingRules["minStatus"]): boolean {
  switch (status) {
    case "passing":
      return true;
    case "warning":
      return minStatus !== "passing";
    case "critical":
      return minStatus === "any";
    case "maintenance":
      return false;
  }
}

const severity: Readonly<Record<DiscoveryStatus, number>> = {
  passing: 0,
  warning: 1,
  critical: 2,
  maintenance: 3,
};

function judge(
  checks: readonly HealthCheck[],
  serviceId: string,
): { readonly status: DiscoveryStatus; readonly reason: string } {
  let worst: HealthCheck | undefined;
  let status: DiscoveryStatus = "passing";
  let bad = 0;
  for (const check of checks) {
    const found = statusOf(check, serviceId);
    if (found === "passing") continue;
    bad += 1;
    if (severity[found] > severity[status]) {
      status = found;
      worst = check;
    }
  }
  if (worst === undefined) return { status, reason: "" };
  return { status, reason: status === "maintenance" ? maintenanceText(worst) : checkText(worst, bad - 1) };
}

/** Consul turns maintenance into a critical check with a reserved id. */
function statusOf(check: HealthCheck, serviceId: string): DiscoveryStatus {
  if (check.status === "passing" || check.status === "warning") return check.status;
  const isMaintenance = check.id === "_node_maintenance" || check.id === `_service_maintenance:${serviceId}`;
  // A word Consul does not use today is no promise that the instance works.
  return isMaintenance ? "maintenance" : "critical";
}

function maintenanceText(check: HealthCheck): string {
  const what = check.id === "_node_maintenance" ? "node maintenance" : "service maintenance";
  const notes = firstLine(check.notes);
  return notes === "" ? what : `${what}: ${notes}`;
}

function checkText(check: HealthCheck, others: number): string {
  const name = check.name === "" ? check.id : check.name;
  const output = firstLine(check.output);
  const more = others === 0 ? "" : ` (and ${others} more)`;
  return `check '${name}' is ${check.status}${output === "" ? "" : `: ${output}`}${more}`;
}

function firstLine(text: string): string {
  const line = text.trim().split(/[\r\n]/, 1)[0] ?? "";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: check output is foreign text and ends on terminals.
  const printable = line.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").trim();
  return printable.length > outputLengthMax ? `${printable.slice(0, outputLengthMax)}...` : printable;
}

function clampWeight(weight: number): number {
  return Math.min(weightMax, Math.max(0, Math.trunc(weight)));
}

function checkStates(checks: readonly HealthCheck[]): string {
  return checks
    .map((check) => `${check.id}=${check.status}`)
    .sort()
    .join(",");
}

/** Output changes with every run of a check and means nothing here, so `reason` counts only in maintenance. */
function digestOf(rows: readonly Row[]): string {
  const hash = createHash("sha256");
  for (const { endpoint, checks } of rows) {
    const { reason, meta, tags, ...rest } = endpoint;
    const note = endpoint.status === "maintenance" ? reason : "";
    const sortedMeta = Object.entries(meta).sort(([a], [b]) => (a < b ? -1 : 1));
    hash.update(JSON.stringify([rest, note, [...tags].sort(), sortedMeta, checks]));
  }
  return hash.digest("base64");
}
