import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../src/platform/clock.js";
import { bindAddress } from "../../../src/proxy/bind.js";
import type { Connection, ConnectionHandler } from "../../../src/proxy/connection.js";
import { type ConnectionMode, chooseConnectionMode } from "../../../src/proxy/connection-mode.js";
import { dialConnection } from "../../../src/proxy/dial.js";

const MODES: readonly ConnectionMode[] = ["handle", "socket"];

const servers: Server[] = [];
const sockets: (Socket | Connection)[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Serves each accepted connection with what `serve` makes of it; answers the port. */
async function listen(
  mode: ConnectionMode,
  serve: (connection: Connection) => ConnectionHandler,
): Promise<number> {
  const address = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const { server } = await bindAddress("front", address, mode, 128, (connection) => {
    sockets.push(connection);
    connection.handler = serve(connection);
    connection.resume();
  });
  servers.push(server);
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

describe.each(MODES)("a connection over a %s", (mode) => {
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

  // Too much for a text, and once too little for a buffer of the source's own: that is read where everybody reads.
  it.each([20_000, 60_000])("keeps what it could not send of reads of %i bytes", async (bytes) => {
    const connections: Connection[] = [];
    let relayed = 0;
    const port = await listen(mode, (connection) => {
      connections.push(connection);
      const target = connections[0];
      if (target === connection) return { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
      const relay = (chunk: Buffer): void => {
        relayed += chunk.length;
        // What comes last of all only overwrites.
        if (chunk[0] === 0x41) target?.write(chunk);
      };
      return { onData: relay, onEnd() {}, onDrain() {}, onClose() {} };
    });
    const blocked = await client(port);
    blocked.pause();
    while (connections.length < 1) await turn();
    const source = await client(port);
    const portion = Buffer.alloc(bytes, 0x41);
    let sent = 0;
    const relay = async (chunk: Buffer): Promise<void> => {
      source.write(chunk);
      sent += chunk.length;
      while (relayed < sent) await turn();
    };
    while ((connections[0]?.pendingBytes ?? 0) === 0) await relay(portion);
    const total = sent;
    await relay(Buffer.alloc(bytes, 0x42));
    expect(connections[0]?.pendingBytes).toBeGreaterThan(0);
    const drunk = drink(blocked, 0x41);
    while ((connections[0]?.pendingBytes ?? 0) > 0) await turn();
    connections[0]?.end();
    expect(await drunk).toEqual({ bytes: total, strange: 0 });
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
    // Who comes behind it is served, so it was taken note of.
    (await client(port)).end("next");
    while (!events.includes("end")) await turn();
    expect(events).toEqual(["data 4", "end"]);
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

  it.each([0, 8 * 1024 * 1024])(
    "closes when it is reset while its end is under way behind %i bytes",
    async (bytes) => {
      const events: string[] = [];
      const port = await listen(mode, (connection) => ({
        onData: () => {
          if (bytes > 0) connection.write(Buffer.alloc(bytes));
          connection.end();
          connection.reset();
        },
        onEnd: () => void events.push("end"),
        onDrain() {},
        onClose: (error) => void events.push(`close ${error?.message}`),
      }));
      const socket = await client(port);
      socket.write("x");
      socket.resume();
      while (events.length === 0) await turn();
      expect(events).toEqual(["close undefined"]);
    },
  );

  it("counts what it was given to send, and drops it all at once when it is destroyed", async () => {
    const connections: Connection[] = [];
    let closings = 0;
    const port = await listen(mode, (connection) => {
      connections.push(connection);
      return {
        onData: () => void connection.write(Buffer.alloc(8_000_000)),
        onEnd() {},
        onDrain() {},
        onClose: () => closings++,
      };
    });
    const socket = await client(port);
    socket.pause();
    socket.write("xyz");
    while ((connections[0]?.bytesRead ?? 0) === 0) await turn();
    const [connection] = connections;
    expect(connection).toMatchObject({ bytesRead: 3, bytesWritten: 8_000_000, closed: false });
    expect(connection?.pendingBytes).toBeGreaterThan(0);
    connection?.destroy();
    connection?.destroy();
    expect(connection?.closed).toBe(true);
    expect(connection?.write(Buffer.alloc(10))).toBe(true);
    while (closings === 0) await turn();
    await turn();
    expect(closings).toBe(1);
  });

  it("says what broke it", async () => {
    const errors: (Error | undefined)[] = [];
    const port = await listen(mode, (connection) => ({
      onData: () => connection.writeText("y"),
      onEnd() {},
      onDrain() {},
      onClose: (error) => void errors.push(error),
    }));
    const socket = await client(port);
    socket.once("data", () => socket.resetAndDestroy());
    socket.write("x");
    while (errors.length === 0) await turn();
    expect(errors).toMatchObject([{ code: "ECONNRESET", syscall: "read" }]);
  });

  it("knows both ends' addresses", async () => {
    const connections: Connection[] = [];
    const port = await listen(mode, (connection) => {
      connections.push(connection);
      return echo(connection);
    });
    const socket = await client(port);
    while (connections.length === 0) await turn();
    expect(connections[0]).toMatchObject({
      remoteAddress: "127.0.0.1",
      remotePort: socket.localPort,
      localAddress: "127.0.0.1",
      localPort: port,
    });
  });
});

describe("a busy turn over handles", () => {
  /** Has a connection given more small writes in one turn than are made at once. */
  async function busyTurn(then: (connection: Connection) => void): Promise<Connection> {
    const served = new Promise<Connection>((resolve) => {
      void listen("handle", (connection) => ({
        onData: () => {
          for (let write = 0; write < 64; write++) connection.writeText("x");
          then(connection);
          resolve(connection);
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      })).then(async (port) => {
        const socket = await client(port);
        socket.on("data", (chunk: Buffer) => received.push(chunk));
        socket.write("go");
      });
    });
    return await served;
  }
  const received: Buffer[] = [];
  const receivedBytes = (): number => received.reduce((sum, chunk) => sum + chunk.length, 0);

  it("holds small writes, and sends them all at its end", async () => {
    received.length = 0;
    let held = 0;
    const connection = await busyTurn((at) => {
      held = at.heldBytes;
    });
    expect(held).toBeGreaterThan(0);
    while (receivedBytes() < 64) await turn();
    expect(connection).toMatchObject({ heldBytes: 0, bytesWritten: 64 });
  });

  it("sends them at once when it is told to", async () => {
    received.length = 0;
    let held = -1;
    await busyTurn((at) => {
      at.flush();
      held = at.heldBytes;
    });
    expect(held).toBe(0);
    while (receivedBytes() < 64) await turn();
  });

  it("forgets nobody where more connections write than are held together", async () => {
    const connections: Connection[] = [];
    const port = await listen("handle", (connection) => {
      connections.push(connection);
      return { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
    });
    const clients = await Promise.all(Array.from({ length: 50 }, () => client(port)));
    const texts = clients.map(() => "");
    for (const [index, socket] of clients.entries())
      socket.on("data", (chunk: Buffer) => {
        texts[index] += chunk.toString("latin1");
      });
    while (connections.length < clients.length) await turn();
    // More than are made at once before a turn is looked at.
    for (let write = 0; write < 3; write++) for (const each of connections) each.writeText(`${write}`);
    for (let turns = 0; turns < 1_000 && texts.some((text) => text.length < 3); turns++) await turn();
    expect(new Set(texts)).toEqual(new Set(["012"]));
  });

  it("drops what is held when the connection is destroyed, and counts it as never written", async () => {
    let before = 0;
    const connection = await busyTurn((at) => {
      before = at.heldBytes;
      at.destroy();
    });
    expect(before).toBeGreaterThan(0);
    expect(connection).toMatchObject({ heldBytes: 0, bytesWritten: 64 - before });
  });
});

describe("the choice", () => {
  it("falls on handles where the runtime has those that we know", async () => {
    expect(await chooseConnectionMode()).toBe("handle");
  });
});

describe.each(MODES)("a dial for a connection over a %s", (mode) => {
  const dial = (port: number): Promise<Connection | string> =>
    new Promise((resolve) => {
      const handler = {
        onConnected: (connection: Connection) => {
          sockets.push(connection);
          resolve(connection);
        },
        onConnectFailed: (failure: string) => resolve(failure),
      };
      dialConnection({ host: "127.0.0.1", port }, 5_000, systemClock, handler, mode);
    });

  it("opens a connection that reads at once", async () => {
    const port = await listen("handle", echo);
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

  it("reads what was sent before a write failed, and tells of the failure behind it", async () => {
    // Answers early, reads no more and closes, so that the kernel resets what comes after.
    const port = await listen("socket", (connection) => ({
      onData: () => {
        connection.pause();
        connection.writeText("no more");
        setImmediate(() => connection.destroy());
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    }));
    const connection = await dial(port);
    if (typeof connection === "string") throw new Error(connection);
    connection.pause();
    const closed = new Promise<Error | undefined>((resolve) => {
      connection.handler = {
        onData: (chunk) => (text += chunk),
        onEnd: () => (text += "|end"),
        onDrain() {},
        onClose: resolve,
      };
    });
    let text = "";
    for (let sent = 0; sent < 200; sent++) {
      connection.write(Buffer.alloc(100_000));
      await turn();
    }
    connection.resume();
    const error = await closed;
    expect(text).toBe("no more");
    expect((error as NodeJS.ErrnoException | undefined)?.code).toMatch(/ECONNRESET|EPIPE/);
  });
});
