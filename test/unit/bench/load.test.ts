import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { BenchBackendConnection, SMALL_BYTES } from "../../bench/backend/http.js";
import { runClosedLoop } from "../../bench/load/closed-loop.js";
import { holdConnections } from "../../bench/load/hold.js";
import type { MeasureJob, Traffic } from "../../bench/load/job.js";
import { runOpenLoop } from "../../bench/load/open-loop.js";

const GET: Traffic = {
  kind: "http",
  method: "GET",
  path: "/",
  requestBytes: 0,
  chunkBytes: undefined,
  responseBytes: SMALL_BYTES,
  close: false,
};

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
});

/** Serves each read of each connection, both counted from 0, by `serve`; answers the port. */
async function listen(
  serve: (bytes: Buffer, socket: Socket, backend: BenchBackendConnection, connection: number) => void,
): Promise<number> {
  let connections = 0;
  server = createServer((socket) => {
    const connection = connections++;
    const backend = new BenchBackendConnection(socket);
    socket.on("data", (bytes) => serve(bytes, socket, backend, connection));
    socket.on("error", () => socket.destroy());
  });
  const listening = server;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return (listening.address() as AddressInfo).port;
}

/** A server that leaves one request of its third connection without an answer, and is right about all others. */
function listenOnceSilent(): Promise<number> {
  let isTold = false;
  return listen((bytes, _, backend, connection) => {
    if (connection === 2 && !isTold) isTold = true;
    else backend.take(bytes);
  });
}

function job(port: number): MeasureJob {
  return {
    kind: "measure",
    traffic: GET,
    port,
    connections: 4,
    proxyPid: process.pid,
    warmupMs: 20,
    windowMs: 50,
    lastAnswerMs: 200,
    ratePerSecond: undefined,
  };
}

describe("the load generator", () => {
  const loops = [
    ["with busy connections", runClosedLoop],
    ["at a constant rate", (asked: MeasureJob) => runOpenLoop(asked, 1_000)],
  ] as const;

  it.each(loops)("counts a connection whose answer never comes, %s", async (_, run) => {
    const answer = await run(job(await listenOnceSilent()));
    expect(answer.exchanges).toBeGreaterThan(0);
    expect(answer).toMatchObject({ errors: 1, firstError: "an exchange that never ended" });
  });

  it.each(loops)("finds nothing wrong with a server that answers all, %s", async (_, run) => {
    const port = await listen((bytes, _socket, backend) => backend.take(bytes));
    expect(await run(job(port))).toMatchObject({ errors: 0, firstError: undefined });
  });

  it.each(loops)("counts answers nobody asked for, %s", async (_, run) => {
    const port = await listen((bytes, _socket, backend) => {
      backend.take(bytes);
      setImmediate(() => backend.take(bytes));
    });
    expect((await run(job(port))).errors).toBeGreaterThan(0);
  });

  it("counts what goes wrong behind the window", async () => {
    const port = await listen((bytes, socket, backend, connection) => {
      if (connection === 3) setTimeout(() => socket.destroy(), 120);
      else backend.take(bytes);
    });
    expect(await runClosedLoop(job(port))).toMatchObject({
      errors: 1,
      firstError: "connection closed before the answer",
    });
  });

  it("ends a job of held connections although one has no answer", async () => {
    const port = await listenOnceSilent();
    const { answer, exchangers } = await holdConnections({
      kind: "hold",
      traffic: GET,
      port,
      connections: 4,
      lastAnswerMs: 100,
    });
    for (const exchanger of exchangers) exchanger.close();
    expect(answer).toMatchObject({ exchanges: 3, errors: 1, firstError: "an exchange that never ended" });
  });
});
