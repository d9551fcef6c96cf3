import type { Endpoint } from "../core/endpoint.js";
import type { PoolEvent } from "../core/events.js";
import { DISCOVERY_STATUS, FACT } from "./enums.js";
import type { JournalEntry } from "./event-journal.js";
import type { Event } from "./generated/pilotfish/admin/v1/admin.js";
import type { Timestamps } from "./timestamps.js";

/** An event as the API tells it. */
export function eventMessage(entry: JournalEntry, time: Timestamps): Event {
  const { event, endpoint } = entry;
  const backend = "backend" in event ? event.backend : undefined;
  return {
    time: time.at(entry.atMs),
    pool: entry.pool,
    backend: backend?.id ?? "",
    key: endpoint?.key ?? "",
    id: endpoint?.id ?? "",
    address: backend?.address ?? "",
    text: wordsOf(event, endpoint),
    kind: kindOf(event, endpoint, time),
  };
}

function kindOf(event: PoolEvent, endpoint: Endpoint | undefined, time: Timestamps): Event["kind"] {
  switch (event.type) {
    case "backend-added":
      return { $case: "backendAdded", value: {} };
    case "backend-leaving":
      return { $case: "backendLeaving", value: { until: time.at(event.untilMs) } };
    case "backend-returned":
      return { $case: "backendReturned", value: {} };
    case "backend-removed":
      return { $case: "backendRemoved", value: {} };
    case "endpoint-changed": {
      const now = endpoint ?? event.backend.endpoint;
      return {
        $case: "endpointChanged",
        value: {
          fromStatus: DISCOVERY_STATUS[event.previous.status],
          toStatus: DISCOVERY_STATUS[now.status],
          fromWeight: event.previous.weight,
          toWeight: now.weight,
          fields: changedFields(event.previous, now),
        },
      };
    }
    case "state-changed":
      return {
        $case: "stateChanged",
        value: {
          fact: FACT[event.fact],
          from: event.from,
          to: event.to,
          why: event.why,
          until: time.at(event.untilMs),
        },
      };
    case "weight-changed":
      return {
        $case: "weightChanged",
        value: { from: event.from, to: event.to, why: event.why, until: time.at(event.untilMs) },
      };
    case "ejection-overflowed":
      return { $case: "ejectionOverflowed", value: { cause: event.cause } };
    case "drain-deadline":
      return { $case: "drainDeadline", value: {} };
    case "tier-changed":
      return { $case: "tierChanged", value: { from: event.from, to: event.to } };
    case "panic-changed":
      return {
        $case: "panicChanged",
        value: { panicking: event.isPanicking, healthy: event.healthy, usable: event.usable },
      };
    case "usable-changed":
      return { $case: "usableChanged", value: { usable: event.isUsable } };
  }
}

function wordsOf(event: PoolEvent, endpoint: Endpoint | undefined): string {
  switch (event.type) {
    case "backend-added":
      return "backend added";
    case "backend-leaving":
      return "backend left discovery and finishes its open work";
    case "backend-returned":
      return "backend came back";
    case "backend-removed":
      return "backend removed";
    case "endpoint-changed":
      return `discovery changed ${changedFields(event.previous, endpoint ?? event.backend.endpoint).join(", ")}`;
    case "state-changed":
      return `${event.fact} ${event.from} to ${event.to}${because(event.why)}`;
    case "weight-changed":
      return `weight ${event.from} to ${event.to}${because(event.why)}`;
    case "ejection-overflowed":
      return `not ejected for ${event.cause}: the cap leaves no room`;
    case "drain-deadline":
      return "drain deadline: what was still open is cut";
    case "tier-changed":
      return `${tierWords(event.to)} take the work, ${tierWords(event.from)} do not`;
    case "panic-changed":
      return event.isPanicking
        ? `panic: only ${event.healthy} healthy, so health is ignored and ${event.usable} take the work`
        : `no panic any more: the ${event.usable} that take the work are healthy`;
    case "usable-changed":
      return event.isUsable ? "the pool has a usable backend" : "the pool has no usable backend left";
  }
}

function tierWords(tier: number): string {
  return tier === 0 ? "actives" : `backups of tier ${tier}`;
}

function because(why: string): string {
  return why === "" ? "" : `: ${why}`;
}

const COMPARED = [
  "id",
  "weight",
  "status",
  "admitted",
  "reason",
  "node",
  "datacenter",
  "zone",
  "priority",
] as const;

function changedFields(before: Endpoint, after: Endpoint): string[] {
  const changed: string[] = COMPARED.filter((field) => before[field] !== after[field]);
  if (before.tags.join("\n") !== after.tags.join("\n")) changed.push("tags");
  if (JSON.stringify(before.meta) !== JSON.stringify(after.meta)) changed.push("meta");
  return changed;
}
