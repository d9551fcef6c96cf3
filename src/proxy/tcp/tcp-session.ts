import type { Lease } from "../../core/lease.js";
import type { Priority } from "../../core/line.js";
import type { Outcome } from "../../core/outcome.js";
import { COUNTER } from "../../core/scoreboard.js";
import type { Clock } from "../../platform/clock.js";
import { AccessRecord, type AccessSink } from "../access-record.js";
import type { TableStick } from "../affinity.js";
import { BackendSearch, type SearchOwner } from "../backend-search.js";
import type { Connection, ConnectionHandler } from "../connection.js";
import { type Dial, type DialFailure, type DialHandler, dialConnection } from "../dial.js";
import { connectError, isCut, outcomeOf, ProxyError } from "../errors.js";
import { firstHealthy, firstServing } from "../fallback.js";
import type { Protocol, ProtocolSession, SessionContext } from "../listener.js";
import type { CutCause, Cuttable } from "../open-work.js";
import { Tunnel, type TunnelOwner } from "../tunnel.js";
import type { UpstreamService } from "../upstream-service.js";

/** What a session needs of its pool. */
export type TcpUpstream = Pick<
  UpstreamService,
  "pool" | "timeouts" | "retries" | "retryAfterMs" | "work" | "affinity" | "abortOnClose"
>;

/** A pool, and what is used in its place while it has nothing healthy. */
export interface TcpDestination {
  readonly service: TcpUpstream;
  readonly fallback: TcpDestination | undefined;
}

/** Beyond this a client that waits is read no more; one read may exceed it, and the queue's limit bounds how many there are. */
const SAID_BYTES_MAX = 16 * 1024;

/** What all sessions of a listener share. */
export interface TcpOptions {
  /** Name of the listener, for the access line. */
  readonly listener: string;
  /** The pool of new sessions. */
  readonly destination: TcpDestination;
  /** Where its sessions stand among those who wait; undefined for where they came. */
  readonly priority?: Priority | undefined;
  readonly clock: Clock;
  readonly accessLog: AccessSink;
}

/** What a TCP listener does with its connections: a tunnel to a backend of the pool for each. */
export function tcpProtocol(options: TcpOptions): Protocol {
  return (connection, context) => new TcpSession(options, connection, context);
}

/**
 * Request path. One client connection on its way to a backend and, once there, its tunnel.
 *
 * Nothing is sent on before a backend's connection stands, so a retry loses nothing. A client that waits in the queue is
 * read, up to a limit, so that its leaving is noticed; one that leaves while a backend is dialed is noticed after that,
 * which the connect timeout bounds.
 */
class TcpSession
  implements ProtocolSession, ConnectionHandler, SearchOwner, DialHandler, TunnelOwner, Cuttable
{
  readonly kind = "tunnel";
  readonly #options: TcpOptions;
  #destination: TcpDestination;
  readonly #client: Connection;
  readonly #context: SessionContext;
  readonly #record: AccessRecord;
  readonly #search: BackendSearch;
  readonly #startedMs: number;
  #lease: Lease | undefined;
  #dial: Dial | undefined;
  #tunnel: Tunnel | undefined;
  #stick: TableStick | undefined;
  /** What a client said while it waited, for the tunnel. */
  readonly #said: Buffer[] = [];
  #saidBytes = 0;
  #connectingSinceMs: number | undefined;
  #connectedMs = 0;
  #isOver = false;

  constructor(options: TcpOptions, client: Connection, context: SessionContext) {
    const { clock } = options;
    const destination = firstServing(options.destination, undefined, client);
    const { service } = destination;
    this.#options = options;
    this.#destination = destination;
    this.#client = client;
    this.#context = context;
    this.#startedMs = clock.nowMs();
    this.#record = new AccessRecord("tcp", options.listener);
    this.#record.clientAddress = client.remoteAddress;
    this.#record.clientPort = client.remotePort;
    this.#record.startedWallMs = clock.wallMs();
    client.handler = this;
    this.#search = new BackendSearch(service, service.retries.max, this.#record, this, clock);
    this.#search.priority = options.priority;
    this.#begin(this.#startedMs);
  }

  get #upstream(): TcpUpstream {
    return this.#destination.service;
  }

  // ---------------------------------------------------------------- from outside

  /** A tunnel's end is its peers' business; it is left alone until `destroy`. */
  drain(): void {}

  destroy(): void {
    this.cut();
  }

  cut(cause: CutCause = "cut"): void {
    const error = new ProxyError(cause, this.#phase());
    if (this.#tunnel === undefined) this.#fail(error);
    else this.#tunnel.break(error);
  }

  // ---------------------------------------------------------------- the way to a backend

  onLease(lease: Lease): void {
    const { clock } = this.#options;
    const upstream = this.#upstream;
    this.#lease = lease;
    this.#client.pause();
    this.#connectingSinceMs ??= clock.nowMs();
    upstream.work.add(lease.backend, this);
    const { host, port } = lease.backend.endpoint;
    this.#dial = dialConnection({ host, port }, upstream.timeouts.connectMs, clock, this);
  }

  #begin(nowMs: number): void {
    this.#record.pool = this.#upstream.pool.name;
    this.#stick = this.#upstream.affinity?.beginTunnel(this.#search, this.#client.remoteAddress);
    this.#search.begin(nowMs);
    if (this.#search.isQueued && this.#upstream.abortOnClose) this.#listen();
  }

  /** Reads on while it waits, as long as there is room. */
  #listen(): void {
    if (this.#saidBytes < SAID_BYTES_MAX) this.#client.resume();
  }

  /** On with the pool that stands behind this one, if that has any; the limit of tries stays the first one's. */
  onNoBackend(): boolean {
    const next = firstHealthy(this.#destination);
    if (next === this.#destination) return false;
    this.#destination = next;
    this.#search.moveTo(next.service);
    this.#begin(this.#options.clock.nowMs());
    return true;
  }

  onSearchFailed(error: ProxyError): void {
    this.#fail(error);
  }

  onConnected(connection: Connection): void {
    const { clock } = this.#options;
    const upstream = this.#upstream;
    const lease = this.#lease;
    this.#dial = undefined;
    if (lease === undefined || this.#isOver) {
      connection.reset();
      return;
    }
    const nowMs = clock.nowMs();
    this.#connectedMs = nowMs;
    this.#record.connectMs = nowMs - (this.#connectingSinceMs ?? nowMs);
    lease.backend.row.add(COUNTER.connectionsOpened, lease.writer, 1);
    this.#stick?.servedBy(lease.backend);
    this.#tunnel = new Tunnel({
      client: this.#client,
      upstream: connection,
      lease,
      clock,
      idleMs: upstream.timeouts.tunnelMs,
      owner: this,
    });
    this.#tunnel.start(this.#said.length === 0 ? undefined : Buffer.concat(this.#said));
  }

  onConnectFailed(failure: DialFailure, cause: Error): void {
    this.#dial = undefined;
    const lease = this.#lease;
    if (lease === undefined) return;
    const error = connectError(failure, cause);
    if (error.code === "connect-exhausted" || !this.#triesAgain(lease, outcomeOf(error))) this.#fail(error);
  }

  /**
   * A backend that stops resets what its kernel accepted and it never took. Nothing was sent, so nothing is lost by
   * another try. One that resets later than a connection may take to come about has its reasons.
   */
  onLostUntouched(): boolean {
    const lease = this.#lease;
    const sinceMs = this.#options.clock.nowMs() - this.#connectedMs;
    if (lease === undefined || sinceMs > this.#upstream.timeouts.connectMs) return false;
    if (!this.#search.hasTriesLeft) return false;
    this.#client.pause();
    this.#client.handler = this;
    this.#tunnel = undefined;
    return this.#triesAgain(lease, "reset");
  }

  /** False when no try is left: the lease stays. */
  #triesAgain(lease: Lease, outcome: Outcome): boolean {
    if (!this.#search.hasTriesLeft) return false;
    this.#upstream.work.remove(lease.backend, this);
    this.#lease = undefined;
    return this.#search.tryAgain(lease, { outcome, status: 0 });
  }

  // ---------------------------------------------------------------- the client before the tunnel

  onData(chunk: Buffer): void {
    this.#said.push(Buffer.from(chunk));
    this.#saidBytes += chunk.length;
    if (this.#saidBytes >= SAID_BYTES_MAX) this.#client.pause();
  }

  onEnd(): void {
    this.#fail(new ProxyError("client-left", this.#phase()));
  }

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
    const { clock, accessLog } = this.#options;
    const upstream = this.#upstream;
    const nowMs = clock.nowMs();
    const record = this.#record;
    this.#dial?.cancel();
    this.#dial = undefined;
    this.#search.cancel(nowMs);
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
    this.#upstream.work.remove(lease.backend, this);
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
    if (isCut(error)) return "ignored";
    return error?.code === "upstream-reset" && this.#tunnel.bytesOut === 0 ? "reset" : "success";
  }

  #phase(): "queue" | "connect" | "data" {
    if (this.#tunnel !== undefined) return "data";
    return this.#search.isQueued ? "queue" : "connect";
  }
}
