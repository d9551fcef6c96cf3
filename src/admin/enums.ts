import type { AdminFact, CheckFact, DetectionFact, DiscoveryFact, FactName } from "../core/backend.js";
import type { DiscoveryStatus as CoreStatus } from "../core/endpoint.js";
import type { OverrideOrigin as CoreOrigin } from "../core/override.js";
import type { Refusal as CoreRefusal } from "../core/slots.js";
import type { LogThreshold } from "../platform/log.js";
import {
  AdminState,
  CheckState,
  DetectionState,
  DiscoveryState,
  DiscoveryStatus,
  Fact,
  LogLevel,
  OverrideOrigin,
  ProxyState,
  Refusal,
  SourceState,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { ProxyState as PortState, DiscoveryStatus as PortStatus } from "./ports.js";

/** Discovery's verdict on a backend, as the API says it. */
export const DISCOVERY_STATE: Readonly<Record<DiscoveryFact, DiscoveryState>> = {
  admitted: DiscoveryState.DISCOVERY_STATE_ADMITTED,
  refused: DiscoveryState.DISCOVERY_STATE_REFUSED,
  suppressed: DiscoveryState.DISCOVERY_STATE_SUPPRESSED,
  gone: DiscoveryState.DISCOVERY_STATE_GONE,
};

/** The catalog's status. */
export const DISCOVERY_STATUS: Readonly<Record<CoreStatus, DiscoveryStatus>> = {
  passing: DiscoveryStatus.DISCOVERY_STATUS_PASSING,
  warning: DiscoveryStatus.DISCOVERY_STATUS_WARNING,
  critical: DiscoveryStatus.DISCOVERY_STATUS_CRITICAL,
  maintenance: DiscoveryStatus.DISCOVERY_STATUS_MAINTENANCE,
};

/** The active check's verdict. */
export const CHECK_STATE: Readonly<Record<CheckFact, CheckState>> = {
  unchecked: CheckState.CHECK_STATE_UNCHECKED,
  up: CheckState.CHECK_STATE_UP,
  nolb: CheckState.CHECK_STATE_NOLB,
  down: CheckState.CHECK_STATE_DOWN,
};

/** The operator's state. */
export const ADMIN_STATE: Readonly<Record<AdminFact, AdminState>> = {
  ready: AdminState.ADMIN_STATE_READY,
  drain: AdminState.ADMIN_STATE_DRAIN,
  maint: AdminState.ADMIN_STATE_MAINT,
};

/** Outlier detection's verdict. */
export const DETECTION_STATE: Readonly<Record<DetectionFact, DetectionState>> = {
  active: DetectionState.DETECTION_STATE_ACTIVE,
  ejected: DetectionState.DETECTION_STATE_EJECTED,
};

/** Who said an override. */
export const OVERRIDE_ORIGIN: Readonly<Record<CoreOrigin, OverrideOrigin>> = {
  operator: OverrideOrigin.OVERRIDE_ORIGIN_OPERATOR,
  fleet: OverrideOrigin.OVERRIDE_ORIGIN_FLEET,
  agent: OverrideOrigin.OVERRIDE_ORIGIN_AGENT,
  consul: OverrideOrigin.OVERRIDE_ORIGIN_CONSUL,
  config: OverrideOrigin.OVERRIDE_ORIGIN_CONFIG,
};

/** How a source stands. */
export const SOURCE_STATE: Readonly<Record<PortStatus["state"], SourceState>> = {
  starting: SourceState.SOURCE_STATE_STARTING,
  live: SourceState.SOURCE_STATE_LIVE,
  stale: SourceState.SOURCE_STATE_STALE,
  suspect: SourceState.SOURCE_STATE_SUSPECT,
};

/** The process. */
export const PROXY_STATE: Readonly<Record<PortState, ProxyState>> = {
  starting: ProxyState.PROXY_STATE_STARTING,
  ready: ProxyState.PROXY_STATE_READY,
  draining: ProxyState.PROXY_STATE_DRAINING,
};

/** Which of the four facts. */
export const FACT: Readonly<Record<FactName, Fact>> = {
  discovery: Fact.FACT_DISCOVERY,
  check: Fact.FACT_CHECK,
  admin: Fact.FACT_ADMIN,
  detection: Fact.FACT_DETECTION,
};

/** Why nothing is picked. */
export const REFUSAL: Readonly<Record<CoreRefusal, Refusal>> = {
  "no-usable-backend": Refusal.REFUSAL_NO_USABLE_BACKEND,
  "all-full": Refusal.REFUSAL_ALL_FULL,
};

/** Levels of the log. */
export const LOG_LEVEL: Readonly<Record<LogThreshold, LogLevel>> = {
  trace: LogLevel.LOG_LEVEL_TRACE,
  debug: LogLevel.LOG_LEVEL_DEBUG,
  info: LogLevel.LOG_LEVEL_INFO,
  warn: LogLevel.LOG_LEVEL_WARN,
  error: LogLevel.LOG_LEVEL_ERROR,
  silent: LogLevel.LOG_LEVEL_SILENT,
};

/** The name behind a number of the API; undefined for `_UNSPECIFIED` and numbers nobody gave out. */
export function nameOf<Name extends string>(
  table: Readonly<Record<Name, number>>,
  value: number,
): Name | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}
