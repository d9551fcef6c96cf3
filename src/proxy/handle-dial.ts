import type { Clock } from "../platform/clock.js";
import type { Dial, DialHandler, DialTarget } from "./dial.js";
import { DialWait, failureOf } from "./dial-wait.js";
import { dialedConnection, KEEP_ALIVE_S } from "./handle-connection.js";
import { type ConnectOwner, closeHandle, connectHandle, type DialingHandle } from "./stream-handle.js";
import { systemError } from "./system-error.js";

/**
 * Request path. A dial straight on a handle of the runtime, to an IP address: no `net.Socket` is made and thrown away,
 * and a refusal is heard in the next turn.
 */
export class HandleDial implements Dial, ConnectOwner {
  readonly #handle: DialingHandle;
  readonly #target: DialTarget;
  readonly #wait: DialWait;

  constructor(
    handle: DialingHandle,
    target: DialTarget,
    timeoutMs: number,
    clock: Clock,
    handler: DialHandler,
  ) {
    this.#handle = handle;
    this.#target = target;
    this.#wait = new DialWait(timeoutMs, clock, handler, () => closeHandle(handle));
    handle.setNoDelay(true);
    const status = connectHandle(handle, this, target.host, target.port);
    // No address to connect from, no descriptor left, and the like.
    if (status !== 0) process.nextTick(() => this.connectDone(status));
  }

  cancel(): void {
    if (this.#wait.end() !== undefined) closeHandle(this.#handle);
  }

  /** For the runtime, which tells it of a handle that was closed, too. */
  connectDone(status: number): void {
    const handler = this.#wait.end();
    if (handler === undefined) return;
    if (status !== 0) {
      closeHandle(this.#handle);
      const error = systemError(status, "connect");
      handler.onConnectFailed(failureOf(error), error);
      return;
    }
    // Before it is connected the runtime would take a minute of its own for the time.
    this.#handle.setKeepAlive(true, KEEP_ALIVE_S);
    const connection = dialedConnection(this.#handle, this.#target.host, this.#target.port);
    connection.resume();
    handler.onConnected(connection);
  }
}
