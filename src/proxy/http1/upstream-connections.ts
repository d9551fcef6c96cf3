import type { Backend } from "../../core/backend.js";
import type { PoolEvent } from "../../core/events.js";
import type { Pool } from "../../core/pool.js";
import type { Clock } from "../../platform/clock.js";
import type { Connection } from "../connection.js";
import { RestTime } from "./rest-time.js";
import { Http1Upstream, type UpstreamKeeper } from "./upstream.js";

/** How long and how many connections are kept. */
export interface UpstreamConnectionsOptions {
  readonly idleMs: number;
  /** Most connections to one backend, idle ones included; 0 for no limit. */
  readonly maxPerBackend: number;
  /** Whether connections are used again at all. */
  readonly isReusing: boolean;
  /** Whether clients are bound to backends, and so come to one that takes no other work. */
  readonly isBinding: boolean;
}

/** How long a close and a request may be on their way towards each other: so many dials, and at least so many ms. */
const CROSSING_CONNECTS = 2;
const CROSSING_MS = 2;

/** The connections to one backend. */
class BackendConnections {
  /** Last used at the end. */
  readonly idle: Http1Upstream[] = [];
  open = 0;
  /** The shortest that a dial took: a round trip, and what the two ends made of it. */
  connectMs = Number.POSITIVE_INFINITY;
}

/**
 * Request path. The keep-alive connections of one pool: per backend, the last used first, so that few stay warm
 * and the rest time out. A backend that takes no more work loses its idle connections at once.
 */
export class UpstreamConnections implements UpstreamKeeper {
  #options: UpstreamConnectionsOptions;
  readonly #clock: Clock;
  readonly #byBackend = new Map<Backend, BackendConnections>();
  /** Of backends that closed a connection at rest; held weakly, since connections may outlive their backend's place in the pool. */
  readonly #restTimes = new WeakMap<Backend, RestTime>();
  readonly #unsubscribe: () => void;
  #isStopped = false;

  constructor(pool: Pool, options: UpstreamConnectionsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
    this.#unsubscribe = pool.subscribe((event) => this.#onEvent(event));
  }

  /** For what happens from now on; a lower limit closes nothing that is open. */
  reconfigure(options: UpstreamConnectionsOptions): void {
    this.#options = options;
  }

  /**
   * An idle connection, or undefined. With `idleForLessMs` only one that was used so recently that the backend
   * will hardly be closing it at this moment, by what is configured and by what the backend was seen to do.
   */
  take(backend: Backend, idleForLessMs: number, nowMs: number): Http1Upstream | undefined {
    const idle = this.#byBackend.get(backend)?.idle;
    const last = idle?.at(-1);
    if (last === undefined) return undefined;
    const restedMs = nowMs - last.idleSinceMs;
    if (restedMs >= idleForLessMs || !this.#isTrusted(backend, restedMs, idleForLessMs, nowMs))
      return undefined;
    return idle?.pop();
  }

  #isTrusted(backend: Backend, restedMs: number, idleForLessMs: number, nowMs: number): boolean {
    if (idleForLessMs === Number.POSITIVE_INFINITY) return true;
    const restTime = this.#restTimes.get(backend);
    return restTime === undefined || restedMs < restTime.trustedMs(nowMs);
  }

  /** Makes room for one more connection: at the limit the one idle for longest goes. */
  makeRoom(backend: Backend): void {
    const { maxPerBackend } = this.#options;
    const connections = this.#byBackend.get(backend);
    if (connections === undefined || maxPerBackend === 0) return;
    while (connections.open >= maxPerBackend && connections.idle.length > 0) connections.idle[0]?.close();
  }

  /** A new connection, which took `connectMs` to open and is about to serve. */
  adopt(connection: Connection, backend: Backend, connectMs: number): Http1Upstream {
    let connections = this.#byBackend.get(backend);
    if (connections === undefined) {
      connections = new BackendConnections();
      this.#byBackend.set(backend, connections);
    }
    connections.open++;
    connections.connectMs = Math.min(connections.connectMs, connectMs);
    return new Http1Upstream(connection, backend, this, this.#clock);
  }

  keep(connection: Http1Upstream): void {
    const connections = this.#byBackend.get(connection.backend);
    if (connections === undefined || !this.#mayServe(connection.backend) || this.#isStopped) {
      connection.close();
      return;
    }
    connections.idle.push(connection);
    connection.idle(this.#options.idleMs, this.#clock.nowMs());
  }

  crossingMs({ backend }: Http1Upstream): number {
    const connectMs = this.#byBackend.get(backend)?.connectMs ?? 0;
    return Math.max(CROSSING_CONNECTS * connectMs, CROSSING_MS);
  }

  closedAtRest({ backend, idleSinceMs }: Http1Upstream): void {
    const nowMs = this.#clock.nowMs();
    let restTime = this.#restTimes.get(backend);
    if (restTime === undefined) {
      restTime = new RestTime(nowMs);
      this.#restTimes.set(backend, restTime);
    }
    restTime.closed(nowMs - idleSinceMs, nowMs);
  }

  forget(connection: Http1Upstream): void {
    const connections = this.#byBackend.get(connection.backend);
    if (connections === undefined) return;
    connections.open--;
    const at = connections.idle.indexOf(connection);
    if (at >= 0) connections.idle.splice(at, 1);
    if (connections.open === 0) this.#byBackend.delete(connection.backend);
  }

  /** Connections to a backend, idle ones included, and how many of them are idle. */
  count(backend: Backend): { readonly open: number; readonly idle: number } {
    const connections = this.#byBackend.get(backend);
    return { open: connections?.open ?? 0, idle: connections?.idle.length ?? 0 };
  }

  closeIdle(backend: Backend): void {
    for (const connection of [...(this.#byBackend.get(backend)?.idle ?? [])]) connection.close();
  }

  /** For the end: closes what is idle and keeps nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#unsubscribe();
    for (const backend of [...this.#byBackend.keys()]) this.closeIdle(backend);
  }

  /** Whether a connection to it may be of use to another request. */
  #mayServe({ facts, row }: Backend): boolean {
    const { isReusing, isBinding } = this.#options;
    if (!isReusing || facts.discovery.state === "gone" || facts.admin.state === "maint") return false;
    return isBinding || (facts.admin.state === "ready" && row.weight16 > 0);
  }

  #onEvent(event: PoolEvent): void {
    switch (event.type) {
      case "backend-leaving":
      case "backend-removed":
        this.closeIdle(event.backend);
        return;
      case "state-changed":
        if (event.to === "down" || event.to === "ejected" || event.to === "maint" || event.to === "drain") {
          this.closeIdle(event.backend);
        }
        return;
      case "weight-changed":
        if (!this.#mayServe(event.backend)) this.closeIdle(event.backend);
        return;
      default:
        return;
    }
  }
}
