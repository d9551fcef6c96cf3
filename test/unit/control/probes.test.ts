import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Probe, ProbeResult } from "../../../src/control/probe.js";
import { HttpProbe } from "../../../src/control/probes/http.js";
import { TcpProbe } from "../../../src/control/probes/tcp.js";
import { systemClock } from "../../../src/platform/clock.js";
import { ManualClock } from "../../support/manual-clock.js";

const GENEROUS_MS = 10_000;
const OPTIONS = { method: "GET", path: "/status", host: undefined };

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** Serves every connection with what `serve` does; answers the port. */
async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const port = await listen(() => {});
  await new Promise((resolve) => servers.pop()?.close(resolve));
  return port;
}

function answering(text: string): (socket: Socket) => void {
  return (socket) => socket.once("data", () => socket.end(text));
}

function run(probe: Probe, port: number): Promise<ProbeResult> {
  return new Promise((resolve) => probe.run({ host: "127.0.0.1", port }, GENEROUS_MS, resolve));
}

describe("a tcp probe", () => {
  it("passes when the connection is accepted, and does not keep it", async () => {
    const closed = new Promise<void>((resolve) => {
      void listen((socket) => socket.resume().once("close", () => resolve())).then(async (port) => {
        expect(await run(new TcpProbe(systemClock), port)).toMatchObject({ passed: true, code: "L4OK" });
      });
    });
    await closed;
  });

  it("fails when the connection is refused", async () => {
    const result = await run(new TcpProbe(systemClock), await freePort());
    expect(result).toMatchObject({ passed: false, code: "L4CON" });
    expect(result.detail).toContain("ECONNREFUSED");
  });
});

describe("an http probe", () => {
  it.each([
    [200, true],
    [204, true],
    [302, true],
    [399, true],
    [400, false],
    [404, false],
    [500, false],
    [503, false],
  ])("of a backend that answers %i: passed %s", async (status, passed) => {
    const port = await listen(answering(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\n\r\n`));
    const result = await run(new HttpProbe(OPTIONS, systemClock), port);
    expect(result).toMatchObject({ passed, code: passed ? "L7OK" : "L7STS", detail: `status ${status}` });
  });

  it("asks with the method, path and host that were given", async () => {
    let asked = "";
    const port = await listen((socket) =>
      socket.once("data", (bytes) => {
        asked = bytes.toString("latin1");
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
      }),
    );
    await run(new HttpProbe({ method: "HEAD", path: "/up?x=1", host: "web.local" }, systemClock), port);
    expect(asked).toMatch(/^HEAD \/up\?x=1 HTTP\/1\.1\r\n/);
    expect(asked).toMatch(/\r\nhost: web\.local\r\n/i);
  });

  it("tells what is no answer from what is no connection", async () => {
    const broken = await listen((socket) => socket.once("data", () => socket.destroy()));
    expect(await run(new HttpProbe(OPTIONS, systemClock), broken)).toMatchObject({ code: "L7RSP" });
    const junk = await listen(answering("hello\r\n\r\n"));
    expect(await run(new HttpProbe(OPTIONS, systemClock), junk)).toMatchObject({ code: "L7RSP" });
    expect(await run(new HttpProbe(OPTIONS, systemClock), await freePort())).toMatchObject({ code: "L4CON" });
  });

  it("waits for an answer that comes in pieces", async () => {
    const port = await listen((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 2");
        setImmediate(() => socket.write("00 OK\r\nser"));
        setImmediate(() => setImmediate(() => socket.write("ver: x\r\n\r\n")));
      }),
    );
    expect(await run(new HttpProbe(OPTIONS, systemClock), port)).toMatchObject({ code: "L7OK", status: 200 });
  });

  it.each([
    ["closes before it answers", "", "closed"],
    ["closes within the head", "HTTP/1.1 200 OK\r\nserver", "closed"],
    ["has no end of its head", `HTTP/1.1 200 OK\r\na: ${"x".repeat(20_000)}`, "16384"],
    ["sends a malformed field", "HTTP/1.1 200 OK\r\nser ver: x\r\n\r\n", "field"],
  ])("gets no answer from a backend that %s", async (_name, text, detail) => {
    const result = await run(new HttpProbe(OPTIONS, systemClock), await listen(answering(text)));
    expect(result).toMatchObject({ passed: false, code: "L7RSP", detail: expect.stringContaining(detail) });
  });

  it("does not wait for the close of a backend that leaves the connection open", async () => {
    const port = await listen((socket) => socket.once("data", () => socket.write("SSH-2.0-x\r\n")));
    expect(await run(new HttpProbe(OPTIONS, systemClock), port)).toMatchObject({ code: "L7RSP" });
    const chunked = await listen((socket) =>
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwell\r\n0\r\n"),
      ),
    );
    const probe = new HttpProbe({ ...OPTIONS, expectBody: "^well$" }, systemClock);
    expect(await run(probe, chunked)).toMatchObject({ passed: true, code: "L7OK" });
  });

  it("judges the status though the body behind it is broken", async () => {
    const port = await listen(answering("HTTP/1.1 500 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"));
    const probe = new HttpProbe({ ...OPTIONS, expectBody: "well" }, systemClock);
    expect(await run(probe, port)).toMatchObject({ code: "L7STS", status: 500 });
  });

  it("lays the given fields over its own, whatever their case", async () => {
    let asked = "";
    const port = await listen((socket) =>
      socket.once("data", (bytes) => {
        asked = bytes.toString("latin1");
        socket.end("HTTP/1.1 200 OK\r\n\r\n");
      }),
    );
    const headers = { Host: "web.local", "User-Agent": "mine", "x-a": "1" };
    await run(new HttpProbe({ ...OPTIONS, method: "POST", headers }, systemClock), port);
    expect(asked).toBe(
      "POST /status HTTP/1.1\r\nHost: web.local\r\nUser-Agent: mine\r\nconnection: close\r\ncontent-length: 0\r\nx-a: 1\r\n\r\n",
    );
  });

  it("gives a silent backend its time and no more, and tells once", async () => {
    const clock = new ManualClock();
    const results: ProbeResult[] = [];
    const asked = new Promise<number>((resolve) => {
      void listen((socket) => socket.once("data", () => resolve(1))).then((port) => {
        new HttpProbe(OPTIONS, clock).run({ host: "127.0.0.1", port }, 700, (result) => results.push(result));
      });
    });
    await asked;
    await clock.advance(699);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toMatchObject([{ passed: false, code: "L7TOUT", durationMs: 700 }]);
    expect(clock.pendingTimers()).toBe(0);
  });

  it("says nothing after it was cancelled", async () => {
    const clock = new ManualClock();
    const results: ProbeResult[] = [];
    const port = await listen(answering("HTTP/1.1 200 OK\r\n\r\n"));
    const running = new HttpProbe(OPTIONS, clock).run({ host: "127.0.0.1", port }, 700, (result) =>
      results.push(result),
    );
    running.cancel();
    await clock.advance(10_000);
    expect(results).toEqual([]);
    expect(clock.pendingTimers()).toBe(0);
  });
});
