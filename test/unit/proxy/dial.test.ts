import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../../../src/platform/clock.js";
import type { Connection } from "../../../src/proxy/connection.js";
import type { ConnectionMode } from "../../../src/proxy/connection-mode.js";
import { type Dial, dialConnection } from "../../../src/proxy/dial.js";
import { ManualClock } from "../../support/manual-clock.js";
import { turn } from "../../support/raw-client.js";

const MODES: readonly ConnectionMode[] = ["handle", "socket"];
const TIMEOUT_MS = 5_000;

const servers: Server[] = [];
const open: (Socket | Connection)[] = [];

afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
  for (const server of servers.splice(0)) server.close();
});

async function listen(host: string): Promise<{ port: number; accepted: Socket[] }> {
  const accepted: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    open.push(socket);
    socket.resume();
    socket.on("error", () => {});
  });
  servers.push(server);
  server.listen({ host, port: 0 });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, accepted };
}

describe.each(MODES)("a dial over a %s", (mode) => {
  /** What the handler is told, in order. */
  function dial(host: string, port: number, clock: Clock = systemClock) {
    const told: string[] = [];
    const connections: Connection[] = [];
    const handler = {
      onConnected: (connection: Connection) => {
        told.push("connected");
        connections.push(connection);
        open.push(connection);
      },
      onConnectFailed: (failure: string) => told.push(failure),
    };
    const pending: Dial = dialConnection({ host, port }, TIMEOUT_MS, clock, handler, mode);
    const ended = async (): Promise<void> => {
      while (told.length === 0) await turn();
    };
    return { pending, told, connections, ended };
  }

  /** Whatever was dialed before is closed on the other side too: servers accept in order. */
  async function closedBefore(port: number, accepted: readonly Socket[]): Promise<void> {
    const { ended, connections } = dial("127.0.0.1", port);
    await ended();
    const isLast = ({ remotePort }: Socket) => remotePort === connections[0]?.localPort;
    while (!accepted.some(isLast)) await turn();
    while (accepted.some((socket) => !isLast(socket) && !socket.destroyed)) await turn();
  }

  it.each(["127.0.0.1", "::1", "localhost"])("connects to %s", async (host) => {
    const { port } = await listen(host);
    const { told, connections, ended } = dial(host, port);
    await ended();
    expect(told).toEqual(["connected"]);
    const [connection] = connections;
    const address = host === "localhost" ? connection?.remoteAddress : host;
    expect(connection).toMatchObject({ remoteAddress: address, remotePort: port, localAddress: address });
  });

  it("names a refusal", async () => {
    const { port } = await listen("127.0.0.1");
    const server = servers.pop();
    server?.close();
    if (server !== undefined) await once(server, "close");
    const { told, ended } = dial("127.0.0.1", port);
    await ended();
    expect(told).toEqual(["connect-refused"]);
  });

  // The kernel says so within the call; the caller must have its dial before it hears of it.
  it("tells of an address that cannot be reached once the dial was given back", async () => {
    const { told, ended } = dial("255.255.255.255", 9);
    expect(told).toEqual([]);
    await ended();
    expect(told).toEqual(["connect-failed"]);
  });

  it("gives up at its timeout, and is then told of nothing else", async () => {
    const clock = new ManualClock();
    const { port, accepted } = await listen("127.0.0.1");
    const { told } = dial("127.0.0.1", port, clock);
    clock.advanceSync(TIMEOUT_MS - 1);
    expect(told).toEqual([]);
    clock.advanceSync(1);
    expect(told).toEqual(["connect-timeout"]);
    await closedBefore(port, accepted);
    expect(told).toEqual(["connect-timeout"]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it("that is cancelled closes what comes of it, and tells nobody", async () => {
    const clock = new ManualClock();
    const { port, accepted } = await listen("127.0.0.1");
    const { told, pending } = dial("127.0.0.1", port, clock);
    pending.cancel();
    pending.cancel();
    await closedBefore(port, accepted);
    expect(told).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it("leaves a connection alone that is cancelled too late", async () => {
    const { port } = await listen("127.0.0.1");
    const { connections, pending, ended } = dial("127.0.0.1", port);
    await ended();
    pending.cancel();
    await turn();
    expect(connections[0]?.closed).toBe(false);
  });
});
