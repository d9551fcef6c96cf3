import { createServer, type ListenOptions, type Server } from "node:net";
import type { SocketAddressConfig } from "../config/model.js";
import { formatAddress } from "../core/endpoint.js";
import { SocketFile } from "../platform/unix-socket.js";
import type { Connection } from "./connection.js";
import type { ConnectionMode } from "./connection-mode.js";
import { errnoOf } from "./errors.js";
import { takeAccepted } from "./handle-connection.js";
import { acceptSockets } from "./socket-connection.js";

/** A listener could not be opened. The message names listener, address, and what is wrong, in words. */
export class BindError extends Error {
  readonly listener: string;
  readonly address: string;
  /** The system's name of the fault, such as `EADDRINUSE`. */
  readonly code: string;

  constructor(listener: string, address: string, cause: unknown) {
    const code = errnoOf(cause);
    super(`listener ${listener} cannot listen on ${address}: ${REASONS[code] ?? messageOf(cause)} (${code})`);
    this.name = "BindError";
    this.listener = listener;
    this.address = address;
    this.code = code;
    this.cause = cause;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "somebody else listens there already",
  EACCES:
    "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE, a unix socket a folder one may write to",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "the name has no address",
  ENOENT: "its folder does not exist",
  ENOTSOCK: "there is a file of another kind under that path",
  EINVAL: "it is not an open listening socket",
  ERR_INVALID_FD_TYPE: "it is not an open listening socket",
};

/** Told of each accepted connection, which is paused and whose halves close apart. */
type Accepted = (connection: Connection) => void;

/** A listening socket, and its path where it is one of the file system. */
export interface BoundSocket {
  readonly server: Server;
  readonly file: SocketFile | undefined;
}

/**
 * Listens on one address and calls `accepted` with connections of the given kind.
 *
 * @param backlog connections the kernel keeps until they are accepted; it cuts this to its own limit
 */
export async function bindAddress(
  listener: string,
  address: SocketAddressConfig,
  mode: ConnectionMode,
  backlog: number,
  accepted: Accepted,
): Promise<BoundSocket> {
  const bound = await listenOn(listener, address, backlog);
  const { server } = bound;
  if (mode === "socket" || !takeAccepted(server, accepted)) acceptSockets(server, accepted);
  return bound;
}

async function listenOn(
  listener: string,
  address: SocketAddressConfig,
  backlog: number,
): Promise<BoundSocket> {
  try {
    switch (address.kind) {
      case "tcp":
        return { server: await bindTcp(address.host, address.port, backlog), file: undefined };
      case "unix":
        return await bindUnix(address.path, address.mode, backlog);
      case "fd":
        return { server: await listen({ fd: address.fd, backlog }), file: undefined };
    }
  } catch (error) {
    throw new BindError(listener, formatSocketAddress(address), error);
  }
}

/** As it is written in the configuration. */
export function formatSocketAddress(address: SocketAddressConfig): string {
  switch (address.kind) {
    case "tcp":
      return formatAddress(address.host, address.port);
    case "unix":
      return `unix:${address.path}`;
    case "fd":
      return `fd:${address.fd}`;
  }
}

/** Where a server listens in fact, with the port the system chose for port 0; undefined for what has no port. */
export function boundAddress(server: Server): SocketAddressConfig | undefined {
  const bound = server.address();
  return bound === null || typeof bound === "string"
    ? undefined
    : { kind: "tcp", host: bound.address, port: bound.port };
}

async function bindTcp(host: string, port: number, backlog: number): Promise<Server> {
  try {
    return await listen({ host, port, ipv6Only: false, backlog });
  } catch (error) {
    const code = errnoOf(error);
    // All addresses of both families, on a machine where IPv6 is switched off.
    const hasNoIpv6 = host === "::" && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL");
    if (!hasNoIpv6) throw error;
    return listen({ host: "0.0.0.0", port, backlog });
  }
}

async function bindUnix(path: string, mode: number | undefined, backlog: number): Promise<BoundSocket> {
  const server = newServer();
  const file = await SocketFile.listen(path, mode, (where) => listenWith(server, { path: where, backlog }));
  return { server, file };
}

/** `fd` is documented, but missing from the types. */
type Where = ListenOptions & { readonly fd?: number };

function newServer(): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true, keepAlive: true });
}

function listen(where: Where): Promise<Server> {
  return listenWith(newServer(), where);
}

function listenWith(server: Server, where: Where): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ ...where, exclusive: true }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
