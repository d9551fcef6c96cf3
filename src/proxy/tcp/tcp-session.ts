import type { PoolTimeouts, RetryConfig } from "../../config/model.js";
import type { Backend } from "../../core/backend.js";
import type { Lease } from "../../core/lease.js";
import type { Outcome } from "../../core/outcome.js";
import type { Pool } from "../../core/pool.js";
import type { Ticket, Waiter } from "../../core/queue.js";
import { COUNTER } from "../../core/scoreboard.js";
import type { Clock, Timer } from "../../platform/clock.js";
import { AccessRecord, type AccessSink } from "../access-record.js";
import type { Connection, ConnectionHandler } from "../connection.js";
import { connectError, outcomeOf, ProxyError } from "../errors.js";
import type { Protocol, ProtocolSession, SessionContext } from "../listener.js";
import type { Cuttable, OpenWork } from "../open-work.js";
import { type Dial, type DialFailure, type DialHandler, dialConnection } from "../socket-connection.js";
import { Tunnel, type TunnelOwner } from "../tunnel.js";

/** A pool as the data plane uses it. */
export interface TcpUpstream {
  readonly pool: Pool;
  readonly timeouts: PoolTimeouts;
  readonly retries: RetryConfig;
  readonly work: OpenWork;
}

export interface TcpOptions {
  /** Name of the listener, for the access line. */
  readonly listener: string;
  readonly upstream: TcpUpstream;
  readonly clock: Clock;
  readonly accessLog: AccessSink;
}

/** HAProxy's pause before the same server is tried again, if the connect timeout is not shorter. */
const SAME_BACKEND_PAUSE_MS = 1_000;

/** What a TCP listener does with its connections: a tunnel to a backend of the pool for each. */
export function tcpProtocol(options: TcpOptions): Protocol {
  return (connection, context) => new TcpSession(options, connection, context);
}

/**
 * Request path. One client connection on its way to a backend and, once there, its tunnel.
 *
 * Nothing is read from the client before a backend's connection stands, so a retry loses nothing. The price is
 * that a client that leaves earlier is noticed only then, which the queue's and the connect timeout bound.
 */
class TcpSession implements ProtocolSession, ConnectionHandler, Waiter, DialHandler, TunnelOwner, Cuttable {
  readonly kind = "tunnel";
  /** Backends whose connection failed, the last one at the end. */
  readonly avoid: Backend[] = [];
  readonly #options: TcpOptions;
  readonly #client: Connection;
  readonly #context: SessionContext;
  readonly #record: AccessRecord;
  readonly #startedMs: number;
  #lease: Lease | undefined;
  #ticket: Ticket | undefined;
  #dial: Dial | undefined;
  #timer: Timer | undefined;
  #tunnel: Tunnel | undefined;
  #waitingSinceMs = 0;
  #connectingSinceMs: number | undefined;
  #isOver = false;

  constructor(options: TcpOptions, client: Connection, context: SessionContext) {
    const { clock, upstream } = options;
    this.#options = options;
    this.#client = client;
    this.#context = context;
    this.#startedMs = clock.nowMs();
    this.#record = new AccessRecord("tcp", options.listener);
    this.#record.clientAddress = client.remoteAddress;
    this.#record.clientPort = client.remotePort;
    this.#record.startedWallMs = clock.wallMs();
    this.#record.pool = upstream.pool.name;
    client.handler = this;
    this.#acquire(this.#startedMs);
  }

  // ---------------------------------------------------------------- from outside

  /** A tunnel's end is its peers' business; it is left alone until `destroy`. */
  drain(): void {}

  destroy(): void {
    this.cut();
  }

  cut(): void {
    const error = new ProxyError("cut", this.#phase());
    if (this.#tunnel === undefined) this.#fail(error);
    else this.#tunnel.break(error);
  }

  // ---------------------------------------------------------------- finding a backend

  #acquire(nowMs: number): void {
    const { pool } = this.#options.upstream;
    const lease = pool.acquire(this.avoid, nowMs);
    if (lease !== undefined) {
      this.#record.queueMs = Math.max(this.#record.queueMs, 0);
      this.#connect(lease, nowMs);
    } else if (pool.refusal() === "no-usable-backend") {
      pool.count("refusedNoBackend");
      this.#fail(new ProxyError("no-usable-backend", "connect"));
    } else {
      this.#queue(nowMs);
    }
  }

  #queue(nowMs: number): void {
    const { pool, timeouts } = this.#options.upstream;
    this.#record.queuePosition += pool.queue.length;
    this.#ticket = pool.enqueue(this);
    if (this.#ticket === undefined) {
      this.#fail(new ProxyError("queue-full", "queue"));
      return;
    }
    this.#waitingSinceMs = nowMs;
    this.#timer = this.#options.clock.after(timeouts.queueMs, () => this.#queueTimedOut());
  }

  granted(lease: Lease): void {
    const nowMs = this.#options.clock.nowMs();
    this.#timer?.cancel();
    this.#ticket = undefined;
    this.#countWait(nowMs);
    this.#connect(lease, nowMs);
  }

  #queueTimedOut(): void {
    this.#options.upstream.pool.count("queueTimeouts");
    this.#fail(new ProxyError("queue-timeout", "queue"));
  }

  #countWait(nowMs: number): void {
    this.#record.queueMs = Math.max(this.#record.queueMs, 0) + nowMs - this.#waitingSinceMs;
  }

  // ---------------------------------------------------------------- connecting

  #connect(lease: Lease, nowMs: number): void {
    const { upstream } = this.#options;
    this.#lease = lease;
    const { avoid } = this;
    if (avoid.length > 0 && avoid.at(-1) !== lease.backend) this.#record.isRedispatched = true;
    this.#record.try(lease.backend);
    this.#connectingSinceMs ??= nowMs;
    upstream.work.add(lease.backend, this);
    this.#open(lease);
  }

  #open(lease: Lease): void {
    const { clock, upstream } = this.#options;
    const { host, port } = lease.backend.endpoint;
    this.#dial = dialConnection({ host, port }, upstream.timeouts.connectMs, clock, this);
  }

  onConnected(connection: Connection): void {
    const { clock, upstream } = this.#options;
    const lease = this.#lease;
    this.#dial = undefined;
    if (lease === undefined || this.#isOver) {
      connection.reset();
      return;
    }
    const nowMs = clock.nowMs();
    this.#record.connectMs = nowMs - (this.#connectingSinceMs ?? nowMs);
    lease.backend.row.add(COUNTER.connectionsOpened, lease.writer, 1);
    const idleMs = upstream.timeouts.tunnelMs;
    this.#tunnel = new Tunnel({
      client: this.#client,
      upstream: connection,
      lease,
      clock,
      idleMs,
      owner: this,
    });
    this.#tunnel.start();
  }

  onConnectFailed(failure: DialFailure, cause: Error): void {
    this.#dial = undefined;
    const error =
      failure === "connect-failed" ? connectError(cause) : new ProxyError(failure, "connect", { cause });
    const lease = this.#lease;
    const { retries } = this.#options.upstream;
    const isLast = error.code === "connect-exhausted" || this.#record.retries >= retries.max;
    if (lease === undefined || isLast) this.#fail(error);
    else if (retries.redispatch) this.#tryElsewhere(lease, error);
    else this.#tryAgain(lease);
  }

  /** At once when there is another backend, else after a pause (HAProxy's `redispatch`). */
  #tryElsewhere(lease: Lease, error: ProxyError): void {
    const { clock, upstream } = this.#options;
    const known = this.avoid.indexOf(lease.backend);
    if (known >= 0) this.avoid.splice(known, 1);
    this.avoid.push(lease.backend);
    const next = upstream.pool.peek(this.avoid);
    const isOtherLeft = next === undefined || !this.avoid.includes(next);
    // Charged to the backend that failed, as HAProxy does, and before the release, which may remove its row.
    lease.backend.row.add(isOtherLeft ? COUNTER.redispatches : COUNTER.retries, lease.writer, 1);
    this.#record.retries++;
    this.#release(outcomeOf(error), clock.nowMs());
    if (isOtherLeft) this.#acquire(clock.nowMs());
    else this.#timer = clock.after(this.#pauseMs(), () => this.#acquire(clock.nowMs()));
  }

  /** The same backend again, whose slot is kept meanwhile. */
  #tryAgain(lease: Lease): void {
    this.#record.retries++;
    lease.backend.row.add(COUNTER.retries, lease.writer, 1);
    this.#timer = this.#options.clock.after(this.#pauseMs(), () => this.#open(lease));
  }

  #pauseMs(): number {
    return Math.min(SAME_BACKEND_PAUSE_MS, this.#options.upstream.timeouts.connectMs);
  }

  // ---------------------------------------------------------------- the client before the tunnel

  onData(): void {}

  onEnd(): void {}

  onDrain(): void {}

  onClose(cause: Error | undefined): void {
    if (!this.#isOver) {
      this.#finish(new ProxyError("client-left", this.#phase(), { cause }));
    }
    this.#context.closed();
  }

  // ---------------------------------------------------------------- the end

  onTunnelClosed(tunnel: Tunnel): void {
    this.#record.bytesIn = tunnel.bytesIn;
    this.#record.bytesOut = tunnel.bytesOut;
    this.#finish(tunnel.error);
    this.#context.closed();
  }

  /** It came to nothing: the client is told by a reset. */
  #fail(error: ProxyError): void {
    if (this.#isOver) return;
    this.#finish(error);
    this.#client.reset();
  }

  /** The one settle point. */
  #finish(error: ProxyError | undefined): void {
    this.#isOver = true;
    const { clock, upstream, accessLog } = this.#options;
    const nowMs = clock.nowMs();
    const record = this.#record;
    this.#timer?.cancel();
    this.#dial?.cancel();
    this.#dial = undefined;
    if (this.#ticket !== undefined) {
      this.#ticket.cancel();
      this.#countWait(nowMs);
    }
    if (error !== undefined) record.fail(error);
    record.totalMs = nowMs - this.#startedMs;
    record.processConnections = this.#context.processConnections;
    record.listenerConnections = this.#context.listenerConnections;
    record.poolConnections = upstream.work.size + upstream.pool.queue.length;
    record.backendConnections = this.#lease?.backend.inFlight ?? 0;
    this.#release(this.#outcome(error), nowMs);
    accessLog.write(record);
  }

  #release(outcome: Outcome, nowMs: number): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    this.#lease = undefined;
    const { upstream } = this.#options;
    upstream.work.remove(lease.backend, this);
    if (this.#tunnel !== undefined) this.#time(lease, nowMs);
    lease.release(outcome, 0, nowMs);
  }

  #time(lease: Lease, nowMs: number): void {
    const { row } = lease.backend;
    row.add(COUNTER.timed, lease.writer, 1);
    row.add(COUNTER.queueMs, lease.writer, this.#record.queueMs);
    row.add(COUNTER.connectMs, lease.writer, this.#record.connectMs);
    row.add(COUNTER.totalMs, lease.writer, nowMs - this.#startedMs);
  }

  /**
   * What became of a stream nobody understands says little about the backend: only one that broke before a
   * single byte came from it counts against it.
   */
  #outcome(error: ProxyError | undefined): Outcome {
    if (this.#tunnel === undefined) return error === undefined ? "ignored" : outcomeOf(error);
    if (error?.code === "cut") return "ignored";
    return error?.code === "upstream-reset" && this.#tunnel.bytesOut === 0 ? "reset" : "success";
  }

  #phase(): "queue" | "connect" | "data" {
    if (this.#tunnel !== undefined) return "data";
    return this.#ticket === undefined ? "connect" : "queue";
  }
}
