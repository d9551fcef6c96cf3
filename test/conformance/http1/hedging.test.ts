import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer, OK, type RecordingBackend } from "../../support/recording-backend.js";
import { refusedPort } from "../../support/refused-port.js";
import { aBackend, aProxy, GET, getOf, postHead } from "./scene.js";

const HEDGE = { hedge: { kind: "time", delayMs: 50 } } as const;
const FAST = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfast";
const BROKEN = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 6\r\n\r\nbroken";

/** Two backends, of which the slow one is asked first and says nothing by itself. */
async function two(more: object = {}, options: object = {}) {
  const clock = new ManualClock();
  const [slow, fast] = [await aBackend(), await aBackend()];
  slow.script = () => undefined;
  fast.script = () => answer(FAST);
  const backends = [fast.port, slow.port];
  const proxy = await aProxy({ backends, retries: { ...HEDGE, ...more }, clock, ...options });
  return { clock, slow, fast, proxy, client: proxy.dial() };
}

const counts = (...backends: readonly RecordingBackend[]) => backends.map(({ requests }) => requests.length);

describe("a first try that is silent", () => {
  it("is joined by another after the time, whose answer counts; it is cancelled and ignored", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(49);
    expect(proxy.pool.total("hedges")).toBe(0);
    await clock.advance(1);
    await client.receives("fast");
    await proxy.settled();
    await until(() => slow.connections[0]?.isClosed === true);
    expect(counts(slow, fast)).toEqual([1, 1]);
    expect(proxy.records[0]).toMatchObject({ status: 200, hedge: "won", retries: 0, responseMs: 0 });
    expect(proxy.records[0]?.backendAddress).toBe(`127.0.0.1:${fast.port}`);
    const { pool } = proxy;
    expect([pool.total("hedges"), pool.total("hedgesWon")]).toEqual([1, 1]);
    expect([pool.total("ignored"), pool.total("success")]).toEqual([1, 1]);
    // The client's connection, and the one that won, serve on.
    slow.script = () => answer(FAST);
    await client.send(GET);
    await client.receives("fastHTTP/1.1 200 OK");
  });

  it("answers first after all: the other one is cancelled and ignored", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    fast.script = () => undefined;
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => fast.requests.length === 1);
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
    await until(() => fast.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({ status: 200, hedge: "lost" });
    expect([proxy.pool.total("ignored"), proxy.pool.total("hedgesWon")]).toEqual([1, 0]);
  });

  it("fails: the other one takes its place without another try", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    fast.script = () => undefined;
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => fast.requests.length === 1);
    slow.connections[0]?.socket.resetAndDestroy();
    await until(() => proxy.pool.total("reset") === 1);
    fast.connections[0]?.socket.write(FAST);
    await client.receives("fast");
    await proxy.settled();
    expect(counts(slow, fast)).toEqual([1, 1]);
    expect(proxy.records[0]).toMatchObject({ status: 200, hedge: "won", retries: 0 });
  });

  it("and its hedge fail both: another try follows as ever", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    fast.script = () => undefined;
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => fast.requests.length === 1);
    slow.connections[0]?.socket.resetAndDestroy();
    await until(() => proxy.pool.total("reset") === 1);
    fast.script = () => answer(FAST);
    fast.connections[0]?.socket.resetAndDestroy();
    // All failed once; the one that failed longest ago has its turn, after the pause.
    slow.script = () => answer(OK);
    await until(() => proxy.pool.total("reset") === 2);
    await clock.advance(1_000);
    await client.receives("HTTP/1.1 200 OK");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 200, retries: 1 });
  });
});

describe("a hedge", () => {
  it.each([
    [
      "answers with a server error",
      (fast: RecordingBackend) => (fast.script = () => answer(BROKEN)),
      "serverError",
    ],
    ["breaks its connection", (fast: RecordingBackend) => (fast.script = () => answer("", "reset")), "reset"],
  ] as const)("that %s leaves the client to the first try", async (_what, spoil, outcome) => {
    const { clock, slow, fast, proxy, client } = await two();
    spoil(fast);
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => proxy.pool.total(outcome) === 1);
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
    expect(client.text).not.toContain("broken");
    expect(proxy.records[0]).toMatchObject({ status: 200, hedge: "lost", endState: "--" });
  });

  it("that is refused a connection changes nothing", async () => {
    const clock = new ManualClock();
    const slow = await aBackend();
    slow.script = () => undefined;
    const proxy = await aProxy({ backends: [await refusedPort(), slow.port], retries: HEDGE, clock });
    const client = proxy.dial();
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => proxy.pool.total("connectFailure") === 1);
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
  });

  it("carries a whole body that may be sent twice, and never one that may not", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    await client.send("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbody");
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await client.receives("fast");
    expect(fast.requests[0]?.body).toBe("body");
    await proxy.settled();
    const other = await two();
    await other.client.send(`${postHead("Content-Length: 2\r\n")}hi`);
    await until(() => other.slow.requests.length === 1);
    await other.clock.advance(10_000);
    other.slow.connections[0]?.socket.write(OK);
    await other.client.receives(OK);
    await other.proxy.settled();
    expect(counts(other.fast)).toEqual([0]);
  });

  it("is not sent while the client still sends", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    await client.send("PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\nbo");
    await until(() => slow.text.endsWith("bo"));
    await clock.advance(50);
    await client.send("dy");
    await until(() => slow.requests.length === 1);
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
    expect(counts(fast)).toEqual([0]);
  });

  it("needs a place in the budget", async () => {
    const { clock, slow, fast, proxy, client } = await two({ budget: { percent: 0, min: 0 } });
    await client.send(getOf("/"));
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    expect(proxy.pool.total("retriesDenied")).toBe(1);
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
    expect(counts(fast)).toEqual([0]);
  });

  it("goes with its client, and both leases are given back", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    fast.script = () => undefined;
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => fast.requests.length === 1);
    client.reset();
    await proxy.settled();
    await until(() => slow.open === 0 && fast.open === 0);
    expect(proxy.pool.total("ignored")).toBe(2);
  });

  it("is cut alone when its backend's drain is over", async () => {
    const { clock, slow, fast, proxy, client } = await two();
    fast.script = () => undefined;
    await client.send(GET);
    await until(() => slow.requests.length === 1);
    await clock.advance(50);
    await until(() => fast.requests.length === 1);
    for (const backend of proxy.pool.backends()) {
      if (backend.endpoint.port === fast.port) proxy.work.cut(backend, "cut");
    }
    slow.connections[0]?.socket.write(OK);
    await client.receives(OK);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 200, endState: "--" });
  });
});
