import { isIP } from "node:net";
import type { Clock } from "../platform/clock.js";
import type { Connection } from "./connection.js";
import { type ConnectionMode, connectionMode } from "./connection-mode.js";
import { HandleDial } from "./handle-dial.js";
import { SocketDial } from "./socket-dial.js";
import { newDialingHandle } from "./stream-handle.js";

/** Where to connect to. */
export interface DialTarget {
  /** An IP address; a name is looked up at each dial. */
  readonly host: string;
  readonly port: number;
}

/** Why no connection came about. */
export type DialFailure = "connect-refused" | "connect-timeout" | "connect-failed";

/** Told once how a dial ended, unless it was cancelled; never before the dial was given back. */
export interface DialHandler {
  /** The connection is open and reading; its handler must be set before this returns. */
  onConnected(connection: Connection): void;
  onConnectFailed(failure: DialFailure, error: Error): void;
}

/** A dial under way. */
export interface Dial {
  /** Gives up; the handler is not told. */
  cancel(): void;
}

/** Request path. Opens a connection, within `timeoutMs`. */
export function dialConnection(
  target: DialTarget,
  timeoutMs: number,
  clock: Clock,
  handler: DialHandler,
  mode: ConnectionMode = connectionMode(),
): Dial {
  const handle = mode === "handle" && isIP(target.host) !== 0 ? newDialingHandle() : undefined;
  if (handle === undefined) return new SocketDial(target, timeoutMs, clock, handler);
  return new HandleDial(handle, target, timeoutMs, clock, handler);
}
