import type { Timer } from "../platform/clock.js";
import type { Log, LogThreshold } from "../platform/log.js";
import type { SlowMethod, UnaryMethod } from "./calls.js";
import { LOG_LEVEL, nameOf, PROXY_STATE } from "./enums.js";
import { LONGEST_DEADLINE_MS, positiveDuration, requester } from "./fields.js";
import type {
  CheckConfigRequest,
  CheckConfigResponse,
  ConfigProblem as ConfigProblemMessage,
  DrainProxyRequest,
  DrainProxyResponse,
  GetInfoRequest,
  GetInfoResponse,
  Listener,
  ReloadConfigRequest,
  ReloadConfigResponse,
  SetLogLevelRequest,
  SetLogLevelResponse,
} from "./generated/pilotfish/admin/v1/admin.js";
import type { AdminPorts, ConfigProblem, ListenerInfo } from "./ports.js";
import { invalid } from "./refusal.js";
import { type Timestamps, wallTimestamp } from "./timestamps.js";

/** The methods about the process itself. */
export interface ProcessMethods {
  readonly getInfo: UnaryMethod<GetInfoRequest, GetInfoResponse>;
  readonly setLogLevel: UnaryMethod<SetLogLevelRequest, SetLogLevelResponse>;
  readonly checkConfig: UnaryMethod<CheckConfigRequest, CheckConfigResponse>;
  readonly reloadConfig: SlowMethod<ReloadConfigRequest, ReloadConfigResponse>;
  readonly drainProxy: UnaryMethod<DrainProxyRequest, DrainProxyResponse>;
}

/** Builds the methods about the process. */
export function processMethods(ports: AdminPorts, time: Timestamps, log: Log): ProcessMethods {
  const levels = new LogLevels(ports);
  return {
    getInfo: () => infoMessage(ports, time),

    setLogLevel: (request) => {
      const level = nameOf(LOG_LEVEL, request.level);
      if (level === undefined) throw invalid("level", "must be LOG_LEVEL_TRACE to LOG_LEVEL_SILENT");
      const ttlMs = positiveDuration("ttl", request.ttl, LONGEST_DEADLINE_MS);
      const asked = requester(request);
      const previous = ports.logLevel();
      levels.set(level, ttlMs);
      log.info({ ...asked, level, previous, ttlMs }, "operator set the log level");
      return {
        level: LOG_LEVEL[level],
        previous: LOG_LEVEL[previous],
        expires: ttlMs === undefined ? undefined : time.at(time.nowMs() + ttlMs),
      };
    },

    checkConfig: (request) => {
      if (request.text === "") throw invalid("text", "must hold the configuration itself");
      const { problems } = ports.checkConfig(request.text);
      return {
        valid: problems.length === 0,
        problems: problems.map(problemMessage),
      };
    },

    reloadConfig: async (request) => {
      const asked = requester(request);
      log.info({ ...asked, dryRun: request.dryRun }, "operator reloads the configuration");
      const { problems, changes, isApplied } = await ports.reloadConfig(request.dryRun);
      return {
        problems: problems.map(problemMessage),
        applied: isApplied,
        changes: changes.map(({ path, from, to }) => ({ path, from, to })),
      };
    },

    drainProxy: (request) => {
      const deadlineMs = positiveDuration("deadline", request.deadline, LONGEST_DEADLINE_MS);
      const asked = requester(request);
      log.info({ ...asked, deadlineMs }, "operator drains the proxy");
      ports.drainProxy(deadlineMs);
      const info = ports.info();
      return {
        state: PROXY_STATE[info.state],
        inFlight: inFlightOf(ports),
        openConnections: info.listeners.reduce((sum, listener) => sum + listener.openConnections, 0),
      };
    },
  };
}

/** The level for good and the one for a while. */
class LogLevels {
  readonly #ports: AdminPorts;
  /** What returns when the time is over. */
  #lasting: LogThreshold;
  #timer: Timer | undefined;

  constructor(ports: AdminPorts) {
    this.#ports = ports;
    this.#lasting = ports.logLevel();
  }

  set(level: LogThreshold, ttlMs: number | undefined): void {
    // Somebody else may have set it in the meantime; while our own timer runs, what we see is ours.
    if (this.#timer === undefined) this.#lasting = this.#ports.logLevel();
    this.#timer?.cancel();
    this.#timer = undefined;
    if (ttlMs === undefined) {
      this.#lasting = level;
    } else {
      this.#timer = this.#ports.clock.after(ttlMs, () => {
        this.#timer = undefined;
        this.#ports.setLogLevel(this.#lasting);
      });
    }
    this.#ports.setLogLevel(level);
  }
}

function infoMessage(ports: AdminPorts, time: Timestamps): GetInfoResponse {
  const info = ports.info();
  let backends = 0;
  for (const pool of ports.pools.values()) backends += pool.size;
  return {
    version: info.version,
    nodeVersion: info.nodeVersion,
    pid: info.pid,
    started: wallTimestamp(info.startedWallMs),
    uptime: time.sinceWall(info.startedWallMs),
    configFile: info.configFile ?? "",
    state: PROXY_STATE[info.state],
    reason: info.reason,
    listeners: info.listeners.map(listenerMessage),
    pools: ports.pools.size,
    backends,
    inFlight: inFlightOf(ports),
    invariantsBroken: ports.invariantsBroken(),
    logLevel: LOG_LEVEL[ports.logLevel()],
    nextEventSequence: BigInt(ports.journal.nextSequence),
  };
}

function listenerMessage(listener: ListenerInfo): Listener {
  return {
    name: listener.name,
    protocol: listener.protocol,
    addresses: [...listener.addresses],
    openConnections: listener.openConnections,
    maxConnections: listener.maxConnections,
    connectionsTotal: listener.connectionsTotal,
    requestsTotal: listener.requestsTotal,
    bytesIn: BigInt(Math.round(listener.bytesIn)),
    bytesOut: BigInt(Math.round(listener.bytesOut)),
    waiting: listener.waiting,
    maxWaiting: listener.maxWaiting,
    refusedFull: listener.refusedFull,
    refusedPerAddress: listener.refusedPerAddress,
  };
}

function inFlightOf(ports: AdminPorts): number {
  let sum = 0;
  for (const pool of ports.pools.values()) sum += pool.inFlight;
  return sum;
}

function problemMessage({ line, column, path, message }: ConfigProblem): ConfigProblemMessage {
  return { line: line ?? 0, column: column ?? 0, path, message };
}
