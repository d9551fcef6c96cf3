import type { ListenerTimeouts } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import { Deadline } from "../deadline.js";

/** After the last response: how long a client that has taken it may still send before it is cut. */
const LINGER_MS = 2_000;

/** Whose times count; another configuration replaces `timeouts`. */
export interface ClientTimes {
  readonly timeouts: ListenerTimeouts;
  readonly clock: Clock;
}

/**
 * Request path. How long one client connection may wait for its client, by HAProxy's names and meaning: at any
 * moment one of `client`, `http-request` and `http-keep-alive` runs, or none while it is the backend's turn.
 */
export class ClientDeadline {
  readonly #times: ClientTimes;
  readonly #deadline: Deadline;

  constructor(times: ClientTimes, passed: () => void) {
    this.#times = times;
    this.#deadline = new Deadline(times.clock, passed);
  }

  /** The connection is new: its first head has its time at once. */
  awaitFirst(nowMs: number): void {
    this.#deadline.set(this.#times.timeouts.httpRequestMs, nowMs);
  }

  /** No byte of a next request is there. */
  awaitNext(): void {
    this.#deadline.set(this.#times.timeouts.httpKeepAliveMs, this.#times.clock.nowMs());
  }

  /** A head was begun. Counted from its first byte: further bytes do not buy more time. */
  awaitHead(startedMs: number): void {
    const { clock, timeouts } = this.#times;
    const nowMs = clock.nowMs();
    if (timeouts.httpRequestMs === 0) this.#deadline.clear();
    else this.#deadline.set(Math.max(startedMs + timeouts.httpRequestMs - nowMs, 1), nowMs);
  }

  /** It is the client's turn to send or to take: it must show a sign of life now and then. */
  awaitClient(): void {
    this.#deadline.set(this.#times.timeouts.clientMs, this.#times.clock.nowMs());
  }

  /** It is the backend's turn. */
  awaitBackend(): void {
    this.#deadline.clear();
  }

  /** Everything was taken; only the client's end is missing. */
  awaitEnd(): void {
    this.#deadline.set(LINGER_MS, this.#times.clock.nowMs());
  }

  /** A connection that is to close stays `delayMs` longer. */
  awaitLate(delayMs: number, nowMs: number): void {
    this.#deadline.set(delayMs, nowMs);
  }

  /** For the end: no timer is left behind. */
  cancel(): void {
    this.#deadline.cancel();
  }
}
