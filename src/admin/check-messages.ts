import type { Backend as CoreBackend } from "../core/backend.js";
import type { CheckReport as CoreReport } from "../core/check-verdict.js";
import type { Pool as CorePool } from "../core/pool.js";
import { ADMIN_STATE, CHECK_STATE } from "./enums.js";
import {
  AdminState,
  type AgentOverrides,
  type CheckFact,
  type CheckReport,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { Messages } from "./messages.js";
import { type Timestamps, toFineDuration } from "./timestamps.js";

/** What a backend's active checks say, as the API tells it. */
export function checkFact(
  pool: CorePool,
  backend: CoreBackend,
  messages: Pick<Messages, "weightOverride">,
  time: Timestamps,
): CheckFact {
  const { check } = backend.facts;
  return {
    state: CHECK_STATE[check.state],
    since: time.at(check.sinceMs),
    why: check.why,
    health: reportMessage(backend.reports.health, time),
    agent: reportMessage(backend.reports.agent, time),
    verdictRule: backend.verdictRule,
    against: !backend.speaks("check"),
    agentOverrides: agentOverrides(pool, backend, messages),
  };
}

function reportMessage(report: CoreReport | undefined, time: Timestamps): CheckReport | undefined {
  if (report === undefined) return undefined;
  const { text, code, detail, durationMs, atMs } = report;
  return { text, code, detail, duration: toFineDuration(durationMs), time: time.at(atMs) };
}

function agentOverrides(
  pool: CorePool,
  backend: CoreBackend,
  messages: Pick<Messages, "weightOverride">,
): AgentOverrides | undefined {
  const layers = pool.overrides.layers(backend.endpoint.key);
  const held = layers.find(([origin]) => origin === "agent")?.[1];
  if (held === undefined) return undefined;
  return {
    weight: held.weight === undefined ? undefined : messages.weightOverride(held.weight),
    admin: held.admin === undefined ? AdminState.ADMIN_STATE_UNSPECIFIED : ADMIN_STATE[held.admin.value],
    limit: held.limit?.value,
  };
}
