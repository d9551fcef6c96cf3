import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";

/**
 * A port of 127.0.0.1 where nobody listens, as long as this process lives. It is the near end of an open connection: a port
 * that was merely free a moment ago may be given to another test's backend, which then gets connections not meant for it.
 */
export async function refusedPort(): Promise<number> {
  const server = createServer((socket) => socket.unref());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const holder = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await Promise.all([accepted, once(holder, "connect")]);
  holder.unref();
  server.close();
  return (holder.address() as AddressInfo).port;
}
