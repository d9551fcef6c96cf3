import { Server } from "node:net";
import type { SocketAddressConfig } from "../config/model.js";
import { formatAddress } from "../core/endpoint.js";
import { SocketFile } from "../platform/unix-socket.js";

/** Admin sockets belong to their owner unless the configuration says otherwise. */
const UNIX_MODE = 0o600;

/** A listening socket that another process opened for this one. */
export interface GivenSocket {
  readonly fd: number;
  /** Whether its path in the file system, if it has one, belongs to the service manager. */
  readonly isManaged: boolean;
}

/** The listening socket of one admin server. */
export class AdminSocket {
  readonly address: SocketAddressConfig;
  readonly #server: Server;
  /** The path of a unix socket, where it is ours to remove. */
  #file: SocketFile | undefined;
  #isManaged = false;
  #closed: Promise<void> | undefined;

  constructor(server: Server, address: SocketAddressConfig) {
    this.#server = server;
    this.address = address;
  }

  /**
   * Listens, on a given socket where there is one; answers the address as bound: `host:port`, `unix:/path` or
   * `fd:N`. A unix socket that a process left behind is replaced, one that answers is not.
   */
  async open(given: GivenSocket | undefined): Promise<string> {
    const { address } = this;
    if (given !== undefined) {
      await this.#listen({ fd: given.fd });
      this.#isManaged = given.isManaged;
      if (address.kind === "unix" && !given.isManaged) this.#file = SocketFile.at(address.path);
    } else if (address.kind === "unix") {
      const { path, mode } = address;
      this.#file = await SocketFile.listen(path, mode ?? UNIX_MODE, (where) => this.#listen({ path: where }));
    } else if (address.kind === "fd") {
      await this.#listen({ fd: address.fd });
    } else {
      await this.#listen({ host: address.host, port: address.port });
    }
    return this.#bound();
  }

  /** As configured: `host:port`, `unix:/path` or `fd:N`. */
  get text(): string {
    const { address } = this;
    if (address.kind === "tcp") return formatAddress(address.host, address.port);
    return address.kind === "unix" ? `unix:${address.path}` : `fd:${address.fd}`;
  }

  /** For a process that takes this one's place. */
  descriptor(): GivenSocket {
    // Undocumented but for `server.listen({ fd })`, its other half.
    const { _handle: handle } = this.#server as unknown as { _handle?: { fd?: number } | null };
    return { fd: handle?.fd ?? -1, isManaged: this.#isManaged };
  }

  /** Another process listens on the same socket: its path stays when this one closes it. */
  leavePath(): void {
    this.#file = undefined;
  }

  /** Takes no more connections; resolves when those that are open have ended. */
  close(): Promise<void> {
    // As any server closes: the one of HTTP would cut connections on which a request may be under way.
    this.#closed ??= new Promise((resolve) => Server.prototype.close.call(this.#server, () => resolve()));
    this.#file?.remove();
    this.#file = undefined;
    return this.#closed;
  }

  #bound(): string {
    const bound = this.#server.address();
    return this.address.kind === "tcp" && bound !== null && typeof bound === "object"
      ? formatAddress(bound.address, bound.port)
      : this.text;
  }

  #listen(where: {
    readonly fd?: number;
    readonly path?: string;
    readonly host?: string;
    readonly port?: number;
  }): Promise<void> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => {
        server.off("error", reject);
        resolve();
      });
    });
  }
}
