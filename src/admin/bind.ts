import { chmod, lstat, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import type { SocketAddressConfig } from "../config/model.js";
import { formatAddress } from "../core/endpoint.js";

/** Admin sockets belong to their owner unless the configuration says otherwise. */
const UNIX_MODE = 0o600;

/**
 * Binds a server; answers the address as bound: `host:port`, `unix:/path` or `fd:N`. A unix socket that a
 * process left behind is replaced, one that answers is not.
 */
export async function listenOn(server: Server, address: SocketAddressConfig): Promise<string> {
  switch (address.kind) {
    case "tcp":
      await listen(server, () => server.listen({ host: address.host, port: address.port }));
      return boundAddress(server);
    case "unix":
      await clearStaleSocket(address.path);
      // The mode has to hold from the first moment: between bind and chmod anyone might connect.
      await listen(server, () => {
        const previous = process.umask(0o777 & ~UNIX_MODE);
        try {
          server.listen({ path: address.path });
        } finally {
          process.umask(previous);
        }
      });
      if (address.mode !== undefined) await chmod(address.path, address.mode);
      return `unix:${address.path}`;
    case "fd":
      await listen(server, () => server.listen({ fd: address.fd }));
      return `fd:${address.fd}`;
  }
}

function boundAddress(server: Server): string {
  const bound = server.address();
  return bound !== null && typeof bound === "object"
    ? formatAddress(bound.address, bound.port)
    : String(bound);
}

function listen(server: Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    begin();
  });
}

async function clearStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  if (!(await isAnswered(path))) await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
