import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/platform/clock.js";
import type { Connection, ConnectionHandler } from "../../../src/proxy/connection.js";
import { acceptConnection, dialConnection, type ReadMode } from "../../../src/proxy/socket-connection.js";

const MODES: readonly ReadMode[] = ["shared-buffer", "data-events"];

const servers: Server[] = [];
const sockets: (Socket | Connection)[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Serves each accepted connection with what `serve` makes of it; answers the port. */
async function listen(mode: ReadMode, serve: (connection: Connection) => ConnectionHandler): Promise<number> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const connection = acceptConnection(socket, mode);
    sockets.push(connection);
    connection.handler = serve(connection);
    connection.resume();
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function client(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  sockets.push(socket);
  await once(socket, "connect");
  return socket;
}

function echo(connection: Connection): ConnectionHandler {
  return {
    onData: (chunk) => {
      if (!connection.write(chunk)) connection.pause();
    },
    onEnd: () => connection.end(),
    onDrain: () => connection.resume(),
    onClose() {},
  };
}

/** Writes `total` bytes in portions of many sizes, as fast as they are taken, then ends. */
function flood(socket: Socket, byte: number, total: number): () => number {
  const sizes = [1_000, 65_536, 17_000, 300, 16_385, 131_072];
  let sent = 0;
  let turn = 0;
  const more = (): void => {
    while (sent < total) {
      const portion = Buffer.alloc(Math.min(sizes[turn++ % sizes.length] ?? 1, total - sent), byte);
      sent += portion.length;
      if (!socket.write(portion)) {
        socket.once("drain", more);
        return;
      }
    }
    socket.end();
  };
  more();
  return () => sent;
}

/** Reads to the end; answers how many bytes came and how many of them were another than `byte`. */
async function drink(socket: Socket, byte: number): Promise<{ bytes: number; strange: number }> {
  let bytes = 0;
  let strange = 0;
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    for (const one of chunk) if (one !== byte) strange++;
  });
  socket.resume();
  await once(socket, "end");
  return { bytes, strange };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe.each(MODES)("a connection read by %s", (mode) => {
  it("gives a client that does not read none of another client's bytes", async () => {
    const connections: Connection[] = [];
    const port = await listen(mode, (connection) => {
      connections.push(connection);
      return echo(connection);
    });
    const total = 24 * 1024 * 1024;
    const blocked = await client(port);
    blocked.pause();
    flood(blocked, 0x41, total);
    // More than the kernel holds for a reader that stopped: the rest waits in our own queue.
    while ((connections[0]?.pendingBytes ?? 0) === 0) await turn();
    const busy = await client(port);
    flood(busy, 0x42, 8 * 1024 * 1024);
    expect(await drink(busy, 0x42)).toEqual({ bytes: 8 * 1024 * 1024, strange: 0 });
    expect(connections[0]?.pendingBytes).toBeGreaterThan(0);
    expect(connections[0]?.pendingBytes).toBeLessThanOrEqual(128 * 1024);
    expect(await drink(blocked, 0x41)).toEqual({ bytes: total, strange: 0 });
  });

  it("keeps text, bytes and text behind them together, of any size", async () => {
    const sizes = [0, 1, 5_000, 16_384, 20_000, 65_536];
    const port = await listen(mode, (connection) => ({
      onData: (chunk) => {
        for (const size of sizes) connection.writeText(`<${size}:`, chunk.subarray(0, 1).fill(0x7a), ">");
        for (const size of sizes) connection.writeText("[\xff", Buffer.alloc(size, 0x79), "]");
        connection.end();
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    }));
    const socket = await client(port);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.write("x");
    await once(socket, "end");
    const expected =
      sizes.map((size) => `<${size}:z>`).join("") + sizes.map((size) => `[\xff${"y".repeat(size)}]`).join("");
    expect(Buffer.concat(chunks).toString("latin1")).toBe(expected);
  });

  it("still sends after the other side ended, and says once that both ways are closed", async () => {
    const events: string[] = [];
    const port = await listen(mode, (connection) => ({
      onData: (chunk) => void events.push(chunk.toString()),
      onEnd: () => {
        events.push("end");
        connection.write(Buffer.from("late"));
        connection.end();
      },
      onDrain() {},
      onClose: (error) => void events.push(`close ${error?.message}`),
    }));
    const socket = await client(port);
    socket.end("hello");
    expect(await drink(socket, 0x6c).then(({ bytes }) => bytes)).toBe(4);
    while (events.length < 3) await turn();
    expect(events).toEqual(["hello", "end", "close undefined"]);
  });

  it("delivers nothing of a client that was gone before it was accepted", async () => {
    const events: string[] = [];
    const port = await listen(mode, () => ({
      onData: (chunk) => void events.push(`data ${chunk.length}`),
      onEnd: () => void events.push("end"),
      onDrain() {},
      onClose: () => void events.push("close"),
    }));
    // This process is busy while the other one connects, sends and resets; the kernel keeps what was sent.
    const program = `const s = require("net").connect(${port}, "127.0.0.1");
      s.on("connect", () => s.write("GET / HTTP/1.1\\r\\n\\r\\n", () => s.resetAndDestroy()));`;
    execFileSync(process.execPath, ["-e", program]);
    while (events.length === 0) await turn();
    expect(events).toEqual(["close"]);
  });

  it("resets, so that the other side can tell", async () => {
    const port = await listen(mode, (connection) => ({
      onData: () => connection.reset(),
      onEnd() {},
      onDrain() {},
      onClose() {},
    }));
    const socket = await client(port);
    socket.write("x");
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  });
});

describe("a dial", () => {
  const dial = (port: number): Promise<Connection | string> =>
    new Promise((resolve) => {
      dialConnection({ host: "127.0.0.1", port }, 5_000, systemClock, {
        onConnected: (connection) => {
          sockets.push(connection);
          resolve(connection);
        },
        onConnectFailed: (failure) => resolve(failure),
      });
    });

  it("opens a connection that reads at once", async () => {
    const port = await listen("shared-buffer", echo);
    const connection = await dial(port);
    if (typeof connection === "string") throw new Error(connection);
    const received = new Promise<string>((resolve) => {
      connection.handler = {
        onData: (chunk) => resolve(chunk.toString()),
        onEnd() {},
        onDrain() {},
        onClose() {},
      };
    });
    connection.writeText("ping");
    expect(await received).toBe("ping");
  });

  it("names a refusal", async () => {
    const port = await listen("shared-buffer", echo);
    const server = servers.pop();
    server?.close();
    if (server !== undefined) await once(server, "close");
    expect(await dial(port)).toBe("connect-refused");
  });
});
