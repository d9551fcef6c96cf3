import type { Server } from "node:net";
import type { ListenerConfig, SocketAddressConfig } from "../config/model.js";
import type { Log } from "../platform/log.js";
import { SocketFile } from "../platform/unix-socket.js";
import { bindAddress, boundAddress, formatSocketAddress } from "./bind.js";
import type { Connection } from "./connection.js";
import { AddressLimit, type ConnectionBudget, type RoomWaiter } from "./connection-limits.js";
import { type ConnectionMode, chooseConnectionMode } from "./connection-mode.js";

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
  /** What accepted connections are made of. Default: what this runtime allows. */
  readonly connectionMode?: ConnectionMode;
  /** Listening sockets that this process was given; those that fit are used instead of new ones. */
  readonly inherited?: InheritedSockets;
}

/** Listening sockets that another process opened: systemd, or the one whose place this one takes. */
export interface InheritedSockets {
  /** The socket for an address of a listener, which is the caller's from now on; undefined where none fits. */
  take(listener: string, address: SocketAddressConfig): InheritedSocket | undefined;
}

/** One of them. */
export interface InheritedSocket {
  readonly fd: number;
  /** Whether its path in the file system, if it has one, belongs to the service manager. */
  readonly isManaged: boolean;
}

/** An open listening socket. */
export interface ListeningSocket {
  /** Who serves what it accepts. */
  owner: Listener;
  /** As configured. */
  readonly address: SocketAddressConfig;
  /** As bound: ports the system chose are filled in. */
  readonly bound: SocketAddressConfig;
  readonly server: Server;
  /** The path of a unix socket, where it is ours to remove. */
  file: SocketFile | undefined;
  /** Whether the service manager opened it. */
  readonly isManaged: boolean;
}

/** Listening sockets that were opened ahead of a change, which may still be called off. */
export interface PreparedChange {
  /** Puts the change in force: new sockets stay, those no longer wanted are closed. */
  commit(): void;
  cancel(): void;
}

/** A change of a listener. Of all that change together, each claims before any commits. */
export interface ListenerChange extends PreparedChange {
  /** Takes over the sockets that were found at other listeners. */
  claim(): void;
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
 * Binds the addresses of one listener, keeps its limits and its own count of connections (Node's is void once a
 * handle was taken over, and so are `server.close` and `maxConnections`), and hands each connection to the
 * protocol. When descriptors run out, Node accepts and closes at once until there are some again (tried: no
 * error, no spin), so nothing is to be done about it here.
 *
 * At a limit HAProxy stops accepting and lets the rest wait in the kernel's backlog. Node accepts as long as it
 * listens: its handle cannot be paused, and closing it would lose the backlog. So what comes is accepted and not read,
 * which looks the same to its client, up to `maxWaiting`.
 */
export class Listener implements RoomWaiter {
  readonly counts: ListenerCounts = { accepted: 0, refusedPerAddress: 0, refusedFull: 0 };
  readonly #protocol: Protocol;
  readonly #budget: ConnectionBudget;
  readonly #log: Log;
  readonly #connectionMode: ConnectionMode | undefined;
  readonly #inherited: InheritedSockets | undefined;
  readonly #addresses: AddressLimit;
  #config: ListenerConfig;
  #sockets: readonly ListeningSocket[] = [];
  readonly #slots = new Set<Slot>();
  /** In order of arrival. */
  readonly #waiting = new Set<Connection>();
  #isStopped = false;
  #isDraining = false;

  constructor(options: ListenerOptions) {
    this.#config = options.config;
    this.#protocol = options.protocol;
    this.#budget = options.budget;
    this.#log = options.log;
    this.#connectionMode = options.connectionMode;
    this.#inherited = options.inherited;
    this.#addresses = new AddressLimit(options.config.limits.maxConnectionsPerAddress);
  }

  get config(): ListenerConfig {
    return this.#config;
  }

  get name(): string {
    return this.#config.name;
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
    return this.#sockets.length > 0 && !this.#isStopped;
  }

  /** Where it listens in fact: ports the system chose are filled in. */
  get addresses(): readonly SocketAddressConfig[] {
    return this.#sockets.map(({ bound }) => bound);
  }

  /** Its listening sockets, for a process that takes this one's place: address as configured, and descriptor. */
  descriptors(): readonly ({ readonly address: SocketAddressConfig } & InheritedSocket)[] {
    return this.#sockets.map(({ address, server, isManaged }) => ({
      address,
      fd: descriptorOf(server),
      isManaged,
    }));
  }

  /** Another process listens on the same sockets: their paths stay when this one closes them. */
  leavePaths(): void {
    for (const socket of this.#sockets) socket.file = undefined;
  }

  /** Listens on all addresses, or on none and fails with a `BindError`. */
  async bind(): Promise<void> {
    const { commit } = await this.prepare(this.#config, () => undefined);
    commit();
  }

  /** The open socket of an address; ports that the system chooses are nobody's to ask for. */
  socketOf(address: SocketAddressConfig): ListeningSocket | undefined {
    if (address.kind === "tcp" && address.port === 0) return undefined;
    const wanted = formatSocketAddress(address);
    return this.#sockets.find((socket) => formatSocketAddress(socket.address) === wanted);
  }

  /**
   * Opens the sockets that another configuration of this listener asks for besides those it has. Nothing else changes
   * before `commit`. Rejects with a `BindError` when one cannot be opened; none stays open then.
   *
   * @param elsewhere finds the socket at another listener that gives the address up in the same change
   */
  async prepare(
    config: ListenerConfig,
    elsewhere: (address: SocketAddressConfig) => ListeningSocket | undefined,
  ): Promise<ListenerChange> {
    const kept: ListeningSocket[] = [];
    const moved: ListeningSocket[] = [];
    const added: ListeningSocket[] = [];
    const cancel = () => {
      for (const socket of added) closeSocket(socket);
    };
    try {
      for (const address of config.bind) {
        const wanted = formatSocketAddress(address);
        const present = this.#sockets.find(
          (socket) => !kept.includes(socket) && formatSocketAddress(socket.address) === wanted,
        );
        const other = present === undefined ? elsewhere(address) : undefined;
        if (present !== undefined) kept.push(present);
        else if (other !== undefined) moved.push(other);
        else added.push(await this.#open(address, config.limits.backlog));
      }
    } catch (error) {
      cancel();
      throw error;
    }
    const claim = () => {
      for (const socket of moved) socket.owner = this;
    };
    const commit = () => {
      for (const socket of this.#sockets) if (!kept.includes(socket)) this.#close(socket);
      this.#sockets = [...kept, ...moved, ...added];
      this.#config = config;
      this.#addresses.limitTo(config.limits.maxConnectionsPerAddress);
      if (this.#waiting.size > 0) this.admitWaiting();
      if (added.length + moved.length === 0) return;
      this.#log.info(
        { listener: this.name, addresses: this.addresses.map(formatSocketAddress) },
        "listening",
      );
    };
    return { claim, commit, cancel };
  }

  async #open(address: SocketAddressConfig, backlog: number): Promise<ListeningSocket> {
    const given = this.#inherited?.take(this.name, address);
    const where = given === undefined ? address : ({ kind: "fd", fd: given.fd } as const);
    const chosen = await chooseConnectionMode();
    const mode = this.#connectionMode ?? chosen;
    let socket: ListeningSocket | undefined;
    const ownerOf = () => socket?.owner ?? this;
    const made = await bindAddress(this.name, where, mode, backlog, (connection) =>
      ownerOf().#accepted(connection),
    );
    const { server } = made;
    server.on("error", (error) => this.#log.warn({ listener: ownerOf().name, error }, "accept failed"));
    const isManaged = given?.isManaged ?? false;
    const isHanded = given !== undefined && !isManaged && address.kind === "unix";
    const file = isHanded ? SocketFile.at(address.path) : made.file;
    socket = { owner: this, address, bound: boundAddress(server) ?? address, server, file, isManaged };
    return socket;
  }

  /** Unless another listener has taken it over. */
  #close(socket: ListeningSocket): void {
    if (socket.owner === this) closeSocket(socket);
  }

  /** Closes the listening sockets. What is open stays, and who waits is still served as room comes. */
  stopAccepting(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    // Not waited for: the callback comes when Node's own count is 0, which it never is. The socket is closed at once.
    for (const socket of this.#sockets) this.#close(socket);
  }

  /** Lets every session finish what it is at and close; so will those that wait for room, once they have it. */
  drain(): void {
    this.#isDraining = true;
    for (const { session } of [...this.#slots]) session?.drain();
  }

  /** Ends every session at once, and turns away who waits. */
  destroyAll(): void {
    this.#budget.forget(this);
    for (const connection of this.#waiting) connection.reset();
    this.#waiting.clear();
    for (const { session } of [...this.#slots]) session?.destroy();
  }

  admitWaiting(): void {
    for (const connection of this.#waiting) {
      if (this.#isFull()) return;
      if (this.#budget.isFull) {
        this.#budget.awaitRoom(this);
        return;
      }
      this.#waiting.delete(connection);
      this.#admit(connection);
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
    const { maxConnections } = this.#config.limits;
    return maxConnections > 0 && this.#slots.size >= maxConnections;
  }

  #accepted(connection: Connection): void {
    this.counts.accepted++;
    if (this.#waiting.size === 0 && !this.#isFull() && !this.#budget.isFull) {
      this.#admit(connection);
    } else if (this.#waiting.size >= this.#config.limits.maxWaiting) {
      this.counts.refusedFull++;
      connection.reset();
    } else {
      this.#waiting.add(connection);
      this.admitWaiting();
    }
  }

  #admit(connection: Connection): void {
    if (!this.#addresses.take(connection.remoteAddress)) {
      this.counts.refusedPerAddress++;
      connection.reset();
      return;
    }
    this.#budget.take();
    // One that is not counted must not be given back when a limit was set meanwhile.
    const slot = new Slot(this, this.#addresses.isCounting ? connection.remoteAddress : "");
    this.#slots.add(slot);
    slot.session = this.#protocol(connection, slot);
    if (this.#isDraining) slot.session.drain();
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

function closeSocket({ server, file }: ListeningSocket): void {
  server.close();
  file?.remove();
}

/** -1 where Node has no descriptor for it (Windows). */
function descriptorOf(server: Server): number {
  // Undocumented but for `server.listen({ fd })`, its other half; a process that hands over nothing only restarts.
  const { _handle: handle } = server as unknown as { _handle?: { fd?: number } };
  return handle?.fd ?? -1;
}
