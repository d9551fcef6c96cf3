import type {
  AgentCheckConfig,
  CheckTargetConfig,
  CheckTlsConfig,
  HealthCheckConfig,
  HealthCheckRhythm,
} from "./health-model.js";
import type { ParsedConfig } from "./schema/config.js";

type ParsedPool = ParsedConfig["pools"][number];
type ParsedCheck = Exclude<NonNullable<ParsedPool["healthCheck"]>, false>;
type ParsedAgent =
  | Exclude<NonNullable<ParsedPool["agentCheck"]>, false>
  | Extract<ParsedCheck, { type: "agent" }>;

/** The health check of a pool; undefined where there is none, or an agent check alone. */
export function compileHealthCheck(check: ParsedPool["healthCheck"]): HealthCheckConfig | undefined {
  if (check === undefined || check === false || check.type === "agent") return undefined;
  const rhythm = compileRhythm(check);
  switch (check.type) {
    case "tcp":
      return { type: "tcp", ...rhythm };
    case "tls":
      return { type: "tls", tls: compileTls(check), ...rhythm };
    case "grpc":
      return {
        type: "grpc",
        service: check.service ?? "",
        tls: check.tls === undefined ? undefined : compileTls(check.tls),
        ...rhythm,
      };
    case "http": {
      const { method, path, host, headers, body, expectStatus, expectBody } = check;
      const tls = check.tls === undefined ? undefined : compileTls(check.tls);
      return { type: "http", method, path, host, headers, body, expectStatus, expectBody, tls, ...rhythm };
    }
  }
}

/** The agent check of a pool: its own, or a health check of type agent, which is nothing else. */
export function compileAgentCheck({ agentCheck, healthCheck }: ParsedPool): AgentCheckConfig | undefined {
  if (agentCheck !== undefined && agentCheck !== false) return compileAgent(agentCheck);
  if (healthCheck === undefined || healthCheck === false || healthCheck.type !== "agent") return undefined;
  return compileAgent(healthCheck);
}

function compileAgent(check: ParsedAgent): AgentCheckConfig {
  return { intervalMs: check.interval, target: compileTarget(check), send: check.send ?? "" };
}

function compileRhythm(check: Exclude<ParsedCheck, { type: "agent" }>): HealthCheckRhythm {
  const { interval, observe, errorLimit, onError } = check;
  return {
    intervalMs: interval,
    fastIntervalMs: check.fastInterval ?? interval,
    downIntervalMs: check.downInterval ?? interval,
    provenIntervalMs: check.provenInterval ?? interval,
    demandPercent: check.demandPercent,
    timeoutMs: check.timeout,
    fall: check.fall,
    rise: check.rise,
    initialState: check.initialState,
    target: compileTarget(check),
    disableOn404: check.type === "http" && check.disableOn404,
    observe: observe === "off" ? undefined : { layer: observe, errorLimit, onError },
    isCutWhenDown: check.onMarkedDown === "shutdown-sessions",
    areBackupsCutWhenUp: check.onMarkedUp === "shutdown-backup-sessions",
    verdict: check.verdict,
  };
}

function compileTarget(check: {
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly timeout: number;
  readonly jitter: number;
}): CheckTargetConfig {
  return { address: check.address, port: check.port, timeoutMs: check.timeout, jitterPercent: check.jitter };
}

function compileTls(tls: {
  readonly serverName?: string | undefined;
  readonly verify: boolean;
  readonly ca?: string | undefined;
}): CheckTlsConfig {
  return { serverName: tls.serverName, verify: tls.verify, caFile: tls.ca };
}
