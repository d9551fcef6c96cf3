import { WallTime } from "../platform/wall-time.js";
import { shorten } from "./access-log-text.js";
import type { AccessRecord } from "./access-record.js";

const time = WallTime.iso();

/** Printable ASCII without `"` and `\`: what JSON takes as it is. */
const UNSAFE = /[^ !#-[\]-~]/;

/**
 * Request path. One JSON object on one line of ASCII, newline included. Fields, in this order; those that do
 * not apply are left out:
 *
 * - `time` RFC 3339 in UTC, of the accept or the request's first byte; `protocol` `http` or `tcp`; `listener`
 * - `client` IP address and `clientPort`; left out on a unix socket
 * - `pool`; `backend` the service id of the last backend tried; `address` its `host:port`
 * - `method`, `target`, `version`, `host`, `status` (http; without a request line that was understood only
 *   `status`; 0 when no response began)
 * - `end` the two letters of HAProxy's termination state; `cookie` its other two, with affinity by cookie; `error`
 *   the failure's code
 * - `retries` tries after the first; `redispatched` true when one went to another backend; `hedge` `won` or
 *   `lost` where a second try was sent beside the first; `reused` true when the upstream connection had served before
 * - `bytesIn` from the client, `bytesOut` to the client
 * - `TR` (http), `Tw`, `Tc`, `Tr` (http), `Ta` (http) or `Tt` (tcp): HAProxy's timers in milliseconds with up
 *   to one decimal, -1 for what was not reached
 * - `queuePosition` how many were ahead in the queue, and `backendQueuePosition` in the one at its own backend if any were; `processConnections`, `listenerConnections`,
 *   `poolConnections`, `backendConnections` open at the end, this one included
 */
export function formatJson(record: AccessRecord): string {
  const isHttp = record.protocol === "http";
  let line = `{"time":"${time.format(record.startedWallMs)}","protocol":"${record.protocol}"`;
  line += `,"listener":"${escapeJson(record.listener)}"`;
  if (record.clientAddress !== "") {
    line += `,"client":"${escapeJson(record.clientAddress)}","clientPort":${record.clientPort}`;
  }
  if (record.pool !== undefined) line += `,"pool":"${escapeJson(record.pool)}"`;
  if (record.backend !== undefined) {
    line += `,"backend":"${escapeJson(record.backend)}","address":"${record.backendAddress}"`;
  }
  if (isHttp) line += requestFields(record);
  line += `,"end":"${record.endState}"`;
  if (record.cookieState !== "--") line += `,"cookie":"${record.cookieState}"`;
  if (record.errorCode !== undefined) line += `,"error":"${record.errorCode}"`;
  line += `,"retries":${record.retries}`;
  if (record.isRedispatched) line += `,"redispatched":true`;
  if (record.hedge !== undefined) line += `,"hedge":"${record.hedge}"`;
  if (record.isReused) line += `,"reused":true`;
  if (record.backendQueuePosition > 0) line += `,"backendQueuePosition":${record.backendQueuePosition}`;
  line += `,"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut}${timers(record, isHttp)}`;
  return (
    `${line},"queuePosition":${record.queuePosition},"processConnections":${record.processConnections}` +
    `,"listenerConnections":${record.listenerConnections},"poolConnections":${record.poolConnections}` +
    `,"backendConnections":${record.backendConnections}}\n`
  );
}

/** The inside of a JSON string, in ASCII (RFC 8259 section 7). */
export function escapeJson(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(/[^ !#-[\]-~]/g, (char) => {
    if (char === '"' || char === "\\") return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

function requestFields(record: AccessRecord): string {
  if (record.method === "") return `,"status":${record.status}`;
  const host = record.host === "" ? "" : `,"host":"${escapeJson(record.host)}"`;
  return (
    `,"method":"${escapeJson(record.method)}","target":"${escapeJson(shorten(record.target))}"` +
    `,"version":"${escapeJson(record.version)}"${host},"status":${record.status}`
  );
}

function timers(record: AccessRecord, isHttp: boolean): string {
  const waits = `"Tw":${ms(record.queueMs)},"Tc":${ms(record.connectMs)}`;
  if (!isHttp) return `,${waits},"Tt":${ms(record.totalMs)}`;
  return `,"TR":${ms(record.requestMs)},${waits},"Tr":${ms(record.responseMs)},"Ta":${ms(record.totalMs)}`;
}

function ms(value: number): number {
  return value < 0 ? -1 : Math.round(value * 10) / 10;
}
