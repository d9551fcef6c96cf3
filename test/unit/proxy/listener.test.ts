import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ListenerLimits, SocketAddressConfig } from "../../../src/config/model.js";
import type { Connection } from "../../../src/proxy/connection.js";
import { ConnectionBudget } from "../../../src/proxy/connection-limits.js";
import { Listener, type ProtocolSession, type SessionContext } from "../../../src/proxy/listener.js";
import { Client, listenerConfig, silentLog, until } from "../../support/tcp-proxy.js";

const closers: (() => unknown)[] = [];
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pilotfish-listener-"));
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  rmSync(folder, { recursive: true });
});

/** Sends its number to the client, and back what the client says. */
class Greeting implements ProtocolSession {
  drains = 0;
  readonly connection: Connection;

  constructor(number: number, connection: Connection, context: SessionContext) {
    this.connection = connection;
    connection.handler = {
      onData: (chunk) => connection.write(chunk),
      onEnd: () => connection.end(),
      onDrain() {},
      onClose: () => context.closed(),
    };
    connection.writeText(`${number}`);
    connection.resume();
  }

  drain(): void {
    this.drains++;
  }

  destroy(): void {
    this.connection.reset();
  }
}

interface Options {
  readonly bind?: readonly SocketAddressConfig[];
  readonly limits?: Partial<ListenerLimits>;
  readonly budget?: ConnectionBudget;
}

function makeListener(options: Options = {}) {
  const sessions: Greeting[] = [];
  const listener = new Listener({
    config: listenerConfig(options),
    protocol: (connection, context) => {
      const session = new Greeting(sessions.length, connection, context);
      sessions.push(session);
      return session;
    },
    budget: options.budget ?? new ConnectionBudget(0),
    log: silentLog,
  });
  closers.push(() => {
    listener.stopAccepting();
    listener.destroyAll();
  });
  return { listener, sessions };
}

function dial(address: SocketAddressConfig | undefined): Client {
  const socket: Socket =
    address?.kind === "unix"
      ? connect({ path: address.path, allowHalfOpen: true })
      : connect({ port: address?.kind === "tcp" ? address.port : 0, host: "127.0.0.1", allowHalfOpen: true });
  closers.push(() => socket.destroy());
  return new Client(socket);
}

describe("binding", () => {
  test("listens on every address of the list and tells which ports the system chose", async () => {
    const tcp = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
    const unix = { kind: "unix", path: join(folder, "front.sock"), mode: 0o660 } as const;
    const { listener } = makeListener({ bind: [tcp, tcp, unix] });
    await listener.bind();
    expect(listener.addresses).toHaveLength(3);
    for (const [index, address] of listener.addresses.entries()) await dial(address).receives(`${index}`);
    expect(listener.open).toBe(3);
    expect(listener.counts.accepted).toBe(3);
  });

  test("listens for both families on ::", async () => {
    const { listener } = makeListener({ bind: [{ kind: "tcp", host: "::", port: 0 }] });
    await listener.bind();
    const client = dial(listener.addresses[0]);
    await client.receives("0");
  });

  test("names listener, address and fault when an address is taken, and frees the others", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    closers.push(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const free = { kind: "unix", path: join(folder, "free.sock"), mode: undefined } as const;
    const { listener } = makeListener({ bind: [free, { kind: "tcp", host: "127.0.0.1", port }] });
    await expect(listener.bind()).rejects.toMatchObject({
      name: "BindError",
      listener: "front",
      address: `127.0.0.1:${port}`,
      code: "EADDRINUSE",
      message: `listener front cannot listen on 127.0.0.1:${port}: somebody else listens there already (EADDRINUSE)`,
    });
    expect(listener.isListening).toBe(false);
    expect(existsSync(free.path)).toBe(false);
  });

  test.each([
    [
      "a folder that does not exist",
      { kind: "unix", path: "/nonexistent/x.sock", mode: undefined },
      "EACCES|ENOENT",
    ],
    ["an address of another machine", { kind: "tcp", host: "192.0.2.1", port: 0 }, "EADDRNOTAVAIL"],
    ["a descriptor that is not a socket", { kind: "fd", fd: 1000 }, "EINVAL|EBADF|ERR_INVALID_FD_TYPE"],
  ] as const)("refuses %s", async (_what, address, codes) => {
    const { listener } = makeListener({ bind: [address] });
    await expect(listener.bind()).rejects.toMatchObject({ code: expect.stringMatching(`^(${codes})$`) });
  });
});

describe("a unix socket", () => {
  const path = () => join(folder, "front.sock");
  const listen = (mode: number | undefined) => makeListener({ bind: [{ kind: "unix", path: path(), mode }] });

  test("gets its mode and goes with the listener", async () => {
    const { listener } = listen(0o640);
    await listener.bind();
    expect(statSync(path()).mode & 0o777).toBe(0o640);
    listener.stopAccepting();
    expect(existsSync(path())).toBe(false);
  });

  test("that a dead process left behind is replaced", async () => {
    const program = `require("node:net").createServer().listen(${JSON.stringify(path())}, () => process.kill(process.pid, "SIGKILL"))`;
    expect(spawnSync(process.execPath, ["-e", program]).signal).toBe("SIGKILL");
    expect(existsSync(path())).toBe(true);
    const { listener } = listen(undefined);
    await listener.bind();
    await dial(listener.addresses[0]).receives("0");
  });

  test("on which somebody answers is left alone", async () => {
    const { listener: first } = listen(undefined);
    await first.bind();
    await expect(listen(undefined).listener.bind()).rejects.toMatchObject({ code: "EADDRINUSE" });
    // The first connection was the question whether somebody answers.
    await dial(first.addresses[0]).receives("1");
  });

  test("is not put where a file of another kind lies, which stays", async () => {
    writeFileSync(path(), "precious");
    chmodSync(path(), 0o600);
    await expect(listen(undefined).listener.bind()).rejects.toMatchObject({ code: "ENOTSOCK" });
    expect(statSync(path()).size).toBe(8);
  });
});

describe("limits", () => {
  test("leave connections beyond the listener's maximum waiting, in order, until there is room", async () => {
    const { listener, sessions } = makeListener({ limits: { maxConnections: 1 } });
    await listener.bind();
    const [first, second, third] = [
      dial(listener.addresses[0]),
      dial(listener.addresses[0]),
      dial(listener.addresses[0]),
    ];
    await first.receives("0");
    await until(() => listener.waiting === 2);
    expect(sessions).toHaveLength(1);
    second.send("kept");
    first.socket.destroy();
    const served = await Promise.race([
      second.receives("1kept").then(() => second),
      third.receives("1").then(() => third),
    ]);
    expect(listener).toMatchObject({ open: 1, waiting: 1 });
    served.socket.destroy();
    await until(() => sessions.length === 3);
    expect(listener).toMatchObject({ open: 1, waiting: 0 });
  });

  test("let a burst wait without a reset, and serve all of it in turn", async () => {
    const { listener, sessions } = makeListener({ limits: { maxConnections: 10, maxWaiting: 290 } });
    await listener.bind();
    const clients = Array.from({ length: 300 }, () => dial(listener.addresses[0]));
    const ends = clients.map(async ({ socket }) => {
      await new Promise((resolve) => socket.once("data", resolve).once("error", resolve));
      socket.destroy();
    });
    await Promise.all(ends);
    await until(() => listener.open === 0);
    expect(sessions).toHaveLength(300);
    expect(listener.waiting).toBe(0);
    expect(listener.counts).toEqual({ accepted: 300, refusedPerAddress: 0, refusedFull: 0 });
  });

  test("reset what comes beyond those that may wait, and count it", async () => {
    const { listener } = makeListener({ limits: { maxConnections: 1, maxWaiting: 1 } });
    await listener.bind();
    const first = dial(listener.addresses[0]);
    await first.receives("0");
    const second = dial(listener.addresses[0]);
    await until(() => listener.waiting === 1);
    expect(await dial(listener.addresses[0]).ended()).toBe("reset");
    expect(listener.counts).toEqual({ accepted: 3, refusedPerAddress: 0, refusedFull: 1 });
    first.socket.destroy();
    await second.receives("1");
  });

  test("that let nobody wait reset at once", async () => {
    const { listener } = makeListener({ limits: { maxConnections: 1, maxWaiting: 0 } });
    await listener.bind();
    await dial(listener.addresses[0]).receives("0");
    expect(await dial(listener.addresses[0]).ended()).toBe("reset");
    expect(listener.counts.refusedFull).toBe(1);
  });

  test("turn an address away that has its share", async () => {
    const { listener } = makeListener({ limits: { maxConnectionsPerAddress: 1 } });
    await listener.bind();
    const first = dial(listener.addresses[0]);
    await first.receives("0");
    expect(await dial(listener.addresses[0]).ended()).toBe("reset");
    expect(listener.counts).toEqual({ accepted: 2, refusedPerAddress: 1, refusedFull: 0 });
    first.socket.destroy();
    await until(() => listener.open === 0);
    await dial(listener.addresses[0]).receives("1");
  });

  test("hold for the process over all listeners", async () => {
    const budget = new ConnectionBudget(1);
    const a = makeListener({ budget });
    const b = makeListener({ budget });
    await a.listener.bind();
    await b.listener.bind();
    const first = dial(a.listener.addresses[0]);
    await first.receives("0");
    const second = dial(b.listener.addresses[0]);
    await until(() => b.listener.waiting === 1);
    expect(b.sessions).toHaveLength(0);
    first.socket.destroy();
    await second.receives("0");
    expect(budget.open).toBe(1);
  });
});

describe("the end", () => {
  test("of accepting refuses newcomers, and keeps what is open and what waits", async () => {
    const { listener, sessions } = makeListener({ limits: { maxConnections: 1 } });
    await listener.bind();
    const open = dial(listener.addresses[0]);
    await open.receives("0");
    const waiting = dial(listener.addresses[0]);
    await until(() => listener.waiting === 1);
    listener.stopAccepting();
    expect(await dial(listener.addresses[0]).ended()).toBe("reset");
    open.send("still");
    await open.receives("0still");
    listener.drain();
    expect(sessions.map((session) => session.drains)).toEqual([1]);
    expect(listener).toMatchObject({ open: 1, waiting: 1, isListening: false });
    open.socket.destroy();
    await waiting.receives("1");
    expect(sessions.map((session) => session.drains)).toEqual([1, 1]);
    listener.destroyAll();
    expect(await waiting.ended()).toBe("reset");
    await until(() => listener.open === 0);
  });

  test("of everything resets what is open and what waits, and begins no session more", async () => {
    const budget = new ConnectionBudget(1);
    const { listener, sessions } = makeListener({ budget });
    await listener.bind();
    const open = dial(listener.addresses[0]);
    await open.receives("0");
    const waiting = dial(listener.addresses[0]);
    await until(() => listener.waiting === 1);
    listener.stopAccepting();
    listener.destroyAll();
    expect([await open.ended(), await waiting.ended()]).toEqual(["reset", "reset"]);
    await until(() => budget.open === 0);
    expect(sessions).toHaveLength(1);
    expect(listener.waiting).toBe(0);
  });
});
