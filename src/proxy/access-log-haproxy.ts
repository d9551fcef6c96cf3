import { WallTime } from "../platform/wall-time.js";
import { shorten } from "./access-log-text.js";
import type { AccessRecord } from "./access-record.js";

const time = WallTime.haproxy();

/** The characters HAProxy logs as they are: 32 to 126 without `"` and its own escape character `#`. */
const UNSAFE = /[^ !$-~]/;

/**
 * Request path. One line as HAProxy's `option httplog` or `option tcplog` writes it (configuration manual,
 * sections 8.2.2 and 8.2.3), newline included, without the syslog prefix:
 *
 *     %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B - - %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq "%r"
 *     %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq
 *
 * The server is named by its service id. There is one queue per pool, so `%sq` is 0; cookies are not captured.
 */
export function formatHaproxy(record: AccessRecord): string {
  const isHttp = record.protocol === "http";
  const client = record.clientAddress === "" ? "unix:1" : `${record.clientAddress}:${record.clientPort}`;
  const server = record.backend === undefined ? "<NOSRV>" : escapeHaproxy(record.backend);
  const head = `${client} [${time.format(record.startedWallMs)}] ${record.listener} ${record.pool ?? record.listener}/${server} `;
  const middle = isHttp ? httpMiddle(record) : tcpMiddle(record);
  const counts =
    `${record.processConnections}/${record.listenerConnections}/${record.poolConnections}/` +
    `${record.backendConnections}/${record.isRedispatched ? "+" : ""}${record.retries} ${record.backendQueuePosition}/${record.queuePosition}`;
  return isHttp ? `${head}${middle}${counts} "${requestLine(record)}"\n` : `${head}${middle}${counts}\n`;
}

/** Everything but printable ASCII, `"` and `#` as `#` and two hexadecimal digits (section 8.6). */
export function escapeHaproxy(text: string): string {
  if (!UNSAFE.test(text)) return text;
  return text.replace(/[^ !$-~]/g, (char) => {
    const code = char.charCodeAt(0) & 0xff;
    return `#${code < 16 ? "0" : ""}${code.toString(16).toUpperCase()}`;
  });
}

function httpMiddle(record: AccessRecord): string {
  const timers = `${ms(record.requestMs)}/${ms(record.queueMs)}/${ms(record.connectMs)}/${ms(record.responseMs)}/${ms(record.totalMs)}`;
  return `${timers} ${record.status === 0 ? -1 : record.status} ${record.bytesOut} - - ${record.endState}${record.cookieState} `;
}

function tcpMiddle(record: AccessRecord): string {
  return `${ms(record.queueMs)}/${ms(record.connectMs)}/${ms(record.totalMs)} ${record.bytesOut} ${record.endState} `;
}

function ms(value: number): number {
  return value < 0 ? -1 : Math.round(value);
}

function requestLine(record: AccessRecord): string {
  if (record.method === "") return "<BADREQ>";
  return escapeHaproxy(`${record.method} ${shorten(record.target)} ${record.version}`);
}
