import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../support/manual-clock.js";
import {
  Backend,
  Client,
  refusedAddress,
  TcpProxy,
  type TcpProxyOptions,
  until,
} from "../support/tcp-proxy.js";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startBackend(): Promise<Backend> {
  const backend = await Backend.start();
  closers.push(() => backend.close());
  return backend;
}

async function startProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const proxy = await TcpProxy.start(options);
  closers.push(() => proxy.close());
  return proxy;
}

function dial(proxy: TcpProxy): Client {
  const client = proxy.dial();
  closers.push(() => client.socket.destroy());
  return client;
}

describe.each(["handle", "socket"] as const)(
  "a backend that resets what it accepted, over a %s",
  (connectionMode) => {
    /** The bad one is asked first: the last that joined has its turn first. */
    async function two(options: Partial<TcpProxyOptions> = {}) {
      const [bad, good] = [await startBackend(), await startBackend()];
      const proxy = await startProxy({ backends: [good.address, bad.address], connectionMode, ...options });
      return { bad, good, proxy, client: dial(proxy) };
    }

    test("before anything passed is left for another one, and the client notices nothing", async () => {
      const { bad, good, proxy, client } = await two();
      await until(() => proxy.pool.total("connectionsOpened") === 1);
      (await bad.connection(0)).socket.resetAndDestroy();
      const server = await good.connection(0);
      client.send("hello");
      await server.receives("hello");
      server.send("good day");
      await client.receives("good day");
      client.socket.end();
      await server.ended();
      server.socket.end();
      const line = await proxy.line(0);
      expect(line).toMatchObject({ end: "--", retries: 1, redispatched: true, bytesIn: 5, bytesOut: 8 });
      expect([proxy.pool.total("reset"), proxy.pool.total("success")]).toEqual([1, 1]);
      expect(proxy.pool.inFlight).toBe(0);
    });

    test("after a byte of the client's came is passed on as a reset", async () => {
      const { bad, good, proxy, client } = await two();
      client.send("x");
      const server = await bad.connection(0);
      await server.receives("x");
      server.socket.resetAndDestroy();
      expect(await client.ended()).toBe("reset");
      expect(await proxy.line(0)).toMatchObject({ end: "SD", retries: 0 });
      expect(good.accepted).toHaveLength(0);
    });

    test("after the client's end came is passed on as well", async () => {
      const { bad, good, proxy, client } = await two();
      const server = await bad.connection(0);
      client.socket.end();
      await server.ended();
      server.socket.resetAndDestroy();
      expect(await proxy.line(0)).toMatchObject({ end: "SD", retries: 0 });
      expect(good.accepted).toHaveLength(0);
    });

    test("later than a connection may take is passed on as well", async () => {
      const clock = new ManualClock();
      const { bad, good, proxy, client } = await two({ clock, timeouts: { connectMs: 100 } });
      const server = await bad.connection(0);
      await until(() => proxy.pool.total("connectionsOpened") === 1);
      await clock.advance(101);
      server.socket.resetAndDestroy();
      expect(await client.ended()).toBe("reset");
      await proxy.line(0);
      expect(good.accepted).toHaveLength(0);
    });

    test("again and again costs the client its tries and no more", async () => {
      const { bad, good, proxy, client } = await two({ retries: { max: 1 } });
      await until(() => proxy.pool.total("connectionsOpened") === 1);
      (await bad.connection(0)).socket.resetAndDestroy();
      await until(() => proxy.pool.total("connectionsOpened") === 2);
      (await good.connection(0)).socket.resetAndDestroy();
      expect(await client.ended()).toBe("reset");
      expect(await proxy.line(0)).toMatchObject({ end: "SD", retries: 1 });
      expect(proxy.pool.total("reset")).toBe(2);
      expect(proxy.pool.inFlight).toBe(0);
    });
  },
);

describe.each(["handle", "socket"] as const)("a tunnel over a %s", (connectionMode) => {
  test("carries bytes both ways and logs them", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address], connectionMode });
    const client = dial(proxy);
    client.send("hello");
    const server = await backend.connection(0);
    await server.receives("hello");
    server.send("good day");
    await client.receives("good day");
    const clientPort = client.socket.localPort;
    expect(proxy.pool.inFlight).toBe(1);
    const [only] = proxy.pool.backends();
    expect(only && proxy.work.count(only)).toEqual({ requests: 0, tunnels: 1 });

    client.socket.end();
    expect(await server.ended()).toBe("end");
    server.socket.end();
    expect(await client.ended()).toBe("end");
    const line = await proxy.line(0);
    expect(line).toMatchObject({
      protocol: "tcp",
      listener: "front",
      client: "127.0.0.1",
      clientPort,
      pool: "web",
      backend: backend.address.join(":"),
      end: "--",
      retries: 0,
      bytesIn: 5,
      bytesOut: 8,
      Tw: 0,
      processConnections: 1,
      listenerConnections: 1,
      poolConnections: 1,
      backendConnections: 1,
    });
    expect(line).not.toHaveProperty("error");
    expect(line.Tc).toBeGreaterThanOrEqual(0);
    expect(line.Tt).toBeGreaterThanOrEqual(line.Tc as number);
    expect(proxy.pool.inFlight).toBe(0);
    expect(proxy.work.size).toBe(0);
    await until(() => proxy.listener.open === 0);
    expect(proxy.budget.open).toBe(0);
    for (const [counter, count] of [
      ["success", 1],
      ["bytesIn", 5],
      ["bytesOut", 8],
      ["connectionsOpened", 1],
      ["timed", 1],
    ] as const) {
      expect([counter, proxy.pool.total(counter)]).toEqual([counter, count]);
    }
  });

  test("keeps the backend's half open when the client ends first", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address], connectionMode });
    const client = dial(proxy);
    client.socket.end("question");
    const server = await backend.connection(0);
    expect(await server.ended()).toBe("end");
    expect(server.text).toBe("question");
    server.send("late ");
    await client.receives("late ");
    server.socket.end("answer");
    expect(await client.ended()).toBe("end");
    expect(client.text).toBe("late answer");
    expect(await proxy.line(0)).toMatchObject({ end: "--", bytesIn: 8, bytesOut: 11 });
  });

  test("keeps the client's half open when the backend ends first", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address], connectionMode });
    const client = dial(proxy);
    const server = await backend.connection(0);
    server.socket.end("banner");
    expect(await client.ended()).toBe("end");
    client.send("late ");
    await server.receives("late ");
    client.socket.end("words");
    expect(await server.ended()).toBe("end");
    expect(server.text).toBe("late words");
    expect(await proxy.line(0)).toMatchObject({ end: "--", bytesIn: 10, bytesOut: 6 });
  });

  test.each(["client", "backend"] as const)(
    "holds the writer back while the other side, the %s, does not read",
    async (reader) => {
      const backend = await startBackend();
      const proxy = await startProxy({ backends: [backend.address], connectionMode });
      const client = dial(proxy);
      const server = await backend.connection(0);
      const [slow, fast] = reader === "client" ? [client, server] : [server, client];
      const total = 64 * 1024 * 1024;
      const counter = reader === "client" ? "bytesOut" : "bytesIn";
      fast.socket.end(Buffer.alloc(total, "x"));
      let seen = -1;
      // What the kernel and our queue take is taken soon; then nothing moves any more.
      for (let still = 0; still < 50; ) {
        await new Promise((resolve) => setImmediate(resolve));
        const moved = proxy.pool.total(counter);
        still = moved === seen && moved > 0 ? still + 1 : 0;
        seen = moved;
      }
      expect(seen).toBeLessThan(total / 2);

      let received = 0;
      slow.socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
      await once(slow.socket, "end");
      expect(received).toBe(total);
      slow.socket.end();
      expect(await proxy.line(0)).toMatchObject({ end: "--", [counter]: total });
    },
  );
});

describe("a tunnel that ends badly", () => {
  test("passes the client's reset on and counts it as the client's", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address] });
    const client = dial(proxy);
    client.send("x");
    const server = await backend.connection(0);
    await server.receives("x");
    client.socket.resetAndDestroy();
    expect(await server.ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "CD", error: "client-left", bytesIn: 1 });
    expect(proxy.pool.total("success")).toBe(1);
  });

  test.each([
    ["before a byte came, which counts against the backend", "", "reset"],
    ["after bytes came, which does not", "hello", "success"],
  ] as const)("passes the backend's reset on %s", async (_when, said, outcome) => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address] });
    const client = dial(proxy);
    client.send("x");
    const server = await backend.connection(0);
    await server.receives("x");
    server.send(said);
    await client.receives(said);
    server.socket.resetAndDestroy();
    expect(await client.ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "SD", error: "upstream-reset", bytesOut: said.length });
    expect(proxy.pool.total(outcome)).toBe(1);
  });

  test("is reset both ways when it was idle for the tunnel timeout, and not before", async () => {
    const clock = new ManualClock();
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address], clock, timeouts: { tunnelMs: 60_000 } });
    const client = dial(proxy);
    const server = await backend.connection(0);
    await clock.advance(59_999);
    client.send("x");
    await server.receives("x");
    await clock.advance(59_999);
    server.send("y");
    await client.receives("y");
    await clock.advance(59_999);
    expect(proxy.lines).toHaveLength(0);
    await clock.advance(1);
    expect(await client.ended()).toBe("reset");
    expect(await server.ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "cD", error: "tunnel-idle", Tt: 179_998 });
    expect(proxy.pool.total("success")).toBe(1);
  });

  test("is reset both ways when its backend's open work is cut", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address] });
    const client = dial(proxy);
    client.send("x");
    const server = await backend.connection(0);
    await server.receives("x");
    const [only] = proxy.pool.backends();
    expect(only && proxy.work.cut(only, "cut")).toBe(1);
    expect(await client.ended()).toBe("reset");
    expect(await server.ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "KD", error: "cut" });
    expect(proxy.pool.total("ignored")).toBe(1);
  });

  test("stays open through the drain of its listener and ends when that is destroyed", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address] });
    const client = dial(proxy);
    const server = await backend.connection(0);
    proxy.listener.stopAccepting();
    proxy.listener.drain();
    client.send("still here");
    await server.receives("still here");
    proxy.listener.destroyAll();
    expect(await client.ended()).toBe("reset");
    await until(() => proxy.listener.open === 0);
  });
});

describe("the way to a backend", () => {
  test("leads to another backend at once when the connection is refused, and loses nothing", async () => {
    const backend = await startBackend();
    const refused = await refusedAddress();
    const clock = new ManualClock();
    const proxy = await startProxy({ backends: [refused, backend.address], clock });
    for (let index = 0; index < 2; index++) dial(proxy).send(`hello ${index}`);
    const servers = [await backend.connection(0), await backend.connection(1)];
    const texts = await Promise.all(servers.map(({ socket }) => once(socket, "data")));
    expect(texts.map(String).sort()).toEqual(["hello 0", "hello 1"]);
    for (const { socket } of servers) socket.resetAndDestroy();
    await proxy.line(1);
    expect(proxy.lines.map((line) => [line.retries, line.redispatched]).sort()).toEqual([
      [0, undefined],
      [1, true],
    ]);
    expect(proxy.pool.total("connectFailure")).toBe(1);
    expect(proxy.pool.total("redispatches")).toBe(1);
  });

  test("ends in a reset when every backend refuses, the last tries after a pause", async () => {
    const clock = new ManualClock();
    const backends = [await refusedAddress(), await refusedAddress()];
    const proxy = await startProxy({ backends, clock, timeouts: { connectMs: 400 } });
    const client = dial(proxy);
    const ended = client.ended();
    // The second backend is tried at once; the third and fourth try each wait for the connect timeout.
    await until(() => proxy.pool.total("connectFailure") === 2);
    await clock.advance(399);
    expect(proxy.pool.total("served")).toBe(2);
    await clock.advance(1);
    await until(() => proxy.pool.total("connectFailure") === 3);
    expect(proxy.lines).toHaveLength(0);
    await clock.advance(400);
    expect(await ended).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({
      end: "SC",
      error: "connect-refused",
      retries: 3,
      redispatched: true,
      Tc: -1,
      Tt: 800,
    });
    expect(proxy.pool.total("connectFailure")).toBe(4);
    expect(proxy.pool.inFlight).toBe(0);
  });

  test("stays with the same backend, whose slot it keeps, without redispatch", async () => {
    const clock = new ManualClock();
    const refused = await refusedAddress();
    const other = await startBackend();
    const retries = { max: 2, redispatch: false };
    const proxy = await startProxy({ backends: [refused], clock, retries });
    const client = dial(proxy);
    const ended = client.ended();
    await until(() => proxy.pool.total("retries") === 1);
    proxy.apply([refused, other.address]);
    expect(proxy.pool.inFlight).toBe(1);
    await clock.advance(1000);
    await until(() => proxy.pool.total("retries") === 2);
    await clock.advance(1000);
    expect(await ended).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({
      end: "SC",
      backend: refused.join(":"),
      retries: 2,
      Tt: 2000,
    });
    expect(other.accepted).toHaveLength(0);
    expect(proxy.pool.total("connectFailure")).toBe(1);
  });

  test("gives the kept slot back when the session is ended during the pause", async () => {
    const clock = new ManualClock();
    const retries = { max: 2, redispatch: false };
    const proxy = await startProxy({ backends: [await refusedAddress()], clock, retries });
    const client = dial(proxy);
    await until(() => proxy.pool.total("retries") === 1);
    expect(proxy.pool.inFlight).toBe(1);
    proxy.listener.destroyAll();
    expect(await client.ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "KC", error: "cut", retries: 1 });
    expect(proxy.pool.inFlight).toBe(0);
    expect(proxy.pool.total("connectFailure")).toBe(1);
    await clock.advance(10_000);
    expect(proxy.pool.total("served")).toBe(1);
  });

  test("gives a backend up that does not answer within the connect timeout", async () => {
    const clock = new ManualClock();
    const silent = await startSilentBackend();
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [silent], clock, timeouts: { connectMs: 2000 } });
    const client = dial(proxy);
    client.send("hello");
    await until(() => proxy.pool.inFlight === 1);
    proxy.apply([silent, backend.address]);
    await clock.advance(1999);
    expect(proxy.pool.total("connectFailure")).toBe(0);
    await clock.advance(1);
    await (await backend.connection(0)).receives("hello");
    client.socket.resetAndDestroy();
    expect(await proxy.line(0)).toMatchObject({ retries: 1, redispatched: true, Tc: 2000 });
  });

  test("is refused at once when no backend is usable", async () => {
    const proxy = await startProxy({ backends: [] });
    expect(await dial(proxy).ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "SC", error: "no-usable-backend", Tw: -1, Tc: -1 });
    expect(proxy.pool.total("refusedNoBackend")).toBe(1);
    await until(() => proxy.listener.open === 0);
  });

  test("leads through the queue, in order, when all backends are at their limit", async () => {
    const clock = new ManualClock();
    const backend = await startBackend();
    const proxy = await startProxy({
      backends: [backend.address],
      clock,
      maxInFlightPerBackend: 1,
      maxQueue: 2,
    });
    const first = dial(proxy);
    const served = await backend.connection(0);
    const second = dial(proxy);
    await until(() => proxy.pool.queue.length === 1);
    const third = dial(proxy);
    await until(() => proxy.pool.queue.length === 2);
    expect(await dial(proxy).ended()).toBe("reset");
    expect(await proxy.line(0)).toMatchObject({ end: "PQ", error: "queue-full", poolConnections: 3 });

    await clock.advance(300);
    second.send("second");
    first.socket.resetAndDestroy();
    expect(await served.ended()).toBe("reset");
    await (await backend.connection(1)).receives("second");
    await clock.advance(4699);
    expect(proxy.lines).toHaveLength(2);
    await clock.advance(1);
    expect(await third.ended()).toBe("reset");
    expect(proxy.lines[2]).toMatchObject({ end: "sQ", error: "queue-timeout", Tw: 5000, queuePosition: 1 });
    second.socket.resetAndDestroy();
    expect(await proxy.line(3)).toMatchObject({ end: "CD", Tw: 300, queuePosition: 0 });
    expect(proxy.pool.total("queueTimeouts")).toBe(1);
    expect(proxy.pool.queue.length).toBe(0);
  });

  test("is not held back by a limit of requests, nor takes room from them", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({
      backends: [backend.address],
      maxRequestsPerBackend: 1,
      maxInFlightPerBackend: 3,
    });
    const request = proxy.pool.acquire([], 0);
    dial(proxy);
    await backend.connection(0);
    dial(proxy);
    await backend.connection(1);
    dial(proxy);
    await until(() => proxy.pool.queue.length === 1);
    request?.release("success", 200, 0);
    await backend.connection(2);
    proxy.listener.destroyAll();
    await until(() => proxy.pool.inFlight === 0);
    expect([...proxy.pool.backends()][0]).toMatchObject({ tunnels: 0, row: { limit: 1 } });
  });

  test("is cut while it waits in the queue when the listener is destroyed", async () => {
    const backend = await startBackend();
    const proxy = await startProxy({ backends: [backend.address], maxInFlightPerBackend: 1 });
    dial(proxy);
    await backend.connection(0);
    const second = dial(proxy);
    await until(() => proxy.pool.queue.length === 1);
    proxy.listener.destroyAll();
    expect(await second.ended()).toBe("reset");
    await proxy.line(1);
    expect(proxy.lines.map((line) => line.end).sort()).toEqual(["KD", "KQ"]);
    expect(proxy.pool.inFlight).toBe(0);
    expect(proxy.pool.queue.length).toBe(0);
  });
});

test("a tunnel from a unix socket survives a backend's reset and names no client address", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pilotfish-tcp-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "front.sock");
  const backend = await startBackend();
  const proxy = await startProxy({
    backends: [backend.address],
    bind: [{ kind: "unix", path, mode: 0o660 }],
  });
  const client = new Client(connect({ path, allowHalfOpen: true }));
  closers.push(() => client.socket.destroy());
  client.send("hello");
  const server = await backend.connection(0);
  await server.receives("hello");
  server.socket.resetAndDestroy();
  await client.ended();
  expect(await proxy.line(0)).toMatchObject({ end: "SD", bytesIn: 5 });
  expect(proxy.lines[0]).not.toHaveProperty("client");
});

/** Listens, but its accept queue is full, so the kernel drops every further SYN. */
async function startSilentBackend(): Promise<readonly [string, number]> {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const server = require("node:net").createServer();
     server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
     });`,
    { eval: true },
  );
  const [port] = (await once(worker, "message")) as [number];
  closers.push(() => worker.terminate());
  for (let filled = 0; filled < 2; filled++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    closers.push(() => socket.destroy());
    await once(socket, "connect");
  }
  return ["127.0.0.1", port];
}
