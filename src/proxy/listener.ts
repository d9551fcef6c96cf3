import type { Server, Socket } from "node:net";
import type { ListenerConfig, SocketAddressConfig } from "../config/model.js";
import type { Log } from "../platform/log.js";
import { bindAddress, boundAddress, formatSocketAddress } from "./bind.js";
import type { Connection } from "./connection.js";
import { AddressLimit, type ConnectionBudget, type RoomWaiter } from "./connection-limits.js";
import { acceptConnection, type ReadMode } from "./socket-connection.js";

/** What a protocol does with one client connection. */
export interface ProtocolSession {
  /** Finish what is under way, take no more, then close. Idle sessions close soon. */
  drain(): void;
  /** End at once. */
  destroy(): void;
}

/** What a session is given besides its connection. */
export interface SessionContext {
  /** Client connections open on the listener, this one included. */
  readonly listenerConnections: number;
  /** Client connections open in the process, this one included. */
  readonly processConnections: number;
  /**
   * To be called once, when the connection's `onClose` was made. Until then it counts as open.
   */
  closed(): void;
}

/** Begins a session on a connection that is paused and has no handler yet. */
export type Protocol = (connection: Connection, context: SessionContext) => ProtocolSession;

/** What a listener works with. */
export interface ListenerOptions {
  readonly config: ListenerConfig;
  readonly protocol: Protocol;
  /** Shared by all listeners of the process. */
  readonly budget: ConnectionBudget;
  readonly log: Log;
  /** How accepted sockets are read. Default `shared-buffer`. */
  readonly readMode?: ReadMode;
}

/** What a listener has counted since it was made. */
export interface ListenerCounts {
  accepted: number;
  /** Turned away at once: the client's address has its share. */
  refusedPerAddress: number;
  /** Turned away at once: no room, and no room to wait. */
  refusedFull: number;
}

/**
 * Accepted connections that may wait for room. Node cannot leave a connection in the kernel's backlog, as
 * HAProxy does at `maxconn`; one that is accepted and not read looks the same to its client.
 */
const WAITING_MAX = 512;

/**
 * Binds the addresses of one listener, keeps its limits and its own count of connections (Node's is void once a
 * handle was taken over, and so are `server.close` and `maxConnections`), and hands each connection to the
 * protocol. When descriptors run out, Node accepts and closes at once until there are some again (tried: no
 * error, no spin), so nothing is to be done about it here.
 */
export class Listener implements RoomWaiter {
  readonly config: ListenerConfig;
  readonly counts: ListenerCounts = { accepted: 0, refusedPerAddress: 0, refusedFull: 0 };
  readonly #protocol: Protocol;
  readonly #budget: ConnectionBudget;
  readonly #log: Log;
  readonly #readMode: ReadMode;
  readonly #addresses: AddressLimit;
  readonly #servers: Server[] = [];
  readonly #bound: SocketAddressConfig[] = [];
  readonly #slots = new Set<Slot>();
  /** In order of arrival. */
  readonly #waiting = new Set<Socket>();
  #isStopped = false;

  constructor(options: ListenerOptions) {
    this.config = options.config;
    this.#protocol = options.protocol;
    this.#budget = options.budget;
    this.#log = options.log;
    this.#readMode = options.readMode ?? "shared-buffer";
    this.#addresses = new AddressLimit(options.config.limits.maxConnectionsPerAddress);
  }

  get name(): string {
    return this.config.name;
  }

  /** Client connections being served. */
  get open(): number {
    return this.#slots.size;
  }

  /** Accepted connections that wait for room. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether it takes connections. */
  get isListening(): boolean {
    return this.#servers.length > 0 && !this.#isStopped;
  }

  /** Where it listens in fact: ports the system chose are filled in. */
  get addresses(): readonly SocketAddressConfig[] {
    return this.#bound;
  }

  /** Listens on all addresses, or on none and fails with a `BindError`. */
  async bind(): Promise<void> {
    try {
      for (const address of this.config.bind) {
        const server = await bindAddress(this.name, address, (socket) => this.#accepted(socket));
        server.on("error", (error) => this.#log.warn({ listener: this.name, error }, "accept failed"));
        this.#servers.push(server);
        this.#bound.push(boundAddress(server) ?? address);
      }
    } catch (error) {
      this.stopAccepting();
      throw error;
    }
    this.#log.info({ listener: this.name, addresses: this.#bound.map(formatSocketAddress) }, "listening");
  }

  /** Closes the listening sockets. Who waits for room is turned away; what is open stays. */
  stopAccepting(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    // Not waited for: the callback comes when Node's own count is 0, which it never is. The socket is closed at once.
    for (const server of this.#servers) server.close();
    for (const socket of this.#waiting) turnAway(socket);
    this.#waiting.clear();
    this.#budget.forget(this);
  }

  /** Lets every session finish what it is at and close. */
  drain(): void {
    for (const { session } of [...this.#slots]) session?.drain();
  }

  /** Ends every session at once. */
  destroyAll(): void {
    for (const { session } of [...this.#slots]) session?.destroy();
  }

  admitWaiting(): void {
    for (const socket of this.#waiting) {
      if (this.#isFull()) return;
      if (this.#budget.isFull) {
        this.#budget.awaitRoom(this);
        return;
      }
      this.#waiting.delete(socket);
      this.#admit(socket);
    }
  }

  /** For a slot: its connection is gone. */
  release(slot: Slot): void {
    if (!this.#slots.delete(slot)) return;
    this.#addresses.giveBack(slot.address);
    this.#budget.giveBack();
    if (this.#waiting.size > 0) this.admitWaiting();
  }

  get budget(): ConnectionBudget {
    return this.#budget;
  }

  #isFull(): boolean {
    const { maxConnections } = this.config.limits;
    return maxConnections > 0 && this.#slots.size >= maxConnections;
  }

  #accepted(socket: Socket): void {
    this.counts.accepted++;
    if (this.#waiting.size === 0 && !this.#isFull() && !this.#budget.isFull) {
      this.#admit(socket);
    } else if (this.#waiting.size >= WAITING_MAX) {
      this.counts.refusedFull++;
      turnAway(socket);
    } else {
      // An accepted socket that breaks while it waits must not end the process.
      socket.on("error", ignore);
      this.#waiting.add(socket);
      this.admitWaiting();
    }
  }

  #admit(socket: Socket): void {
    socket.on("error", ignore);
    const connection = acceptConnection(socket, this.#readMode);
    if (!this.#addresses.take(connection.remoteAddress)) {
      this.counts.refusedPerAddress++;
      connection.reset();
      return;
    }
    this.#budget.take();
    const slot = new Slot(this, connection.remoteAddress);
    this.#slots.add(slot);
    slot.session = this.#protocol(connection, slot);
  }
}

/** One served connection. */
class Slot implements SessionContext {
  readonly address: string;
  session: ProtocolSession | undefined;
  readonly #listener: Listener;

  constructor(listener: Listener, address: string) {
    this.#listener = listener;
    this.address = address;
  }

  get listenerConnections(): number {
    return this.#listener.open;
  }

  get processConnections(): number {
    return this.#listener.budget.open;
  }

  closed(): void {
    this.#listener.release(this);
  }
}

function turnAway(socket: Socket): void {
  socket.on("error", ignore);
  // A unix socket cannot be reset.
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}

function ignore(): void {}
