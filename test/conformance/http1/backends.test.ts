import { describe, expect, it } from "vitest";
import type { HttpProxy } from "../../support/http-proxy.js";
import { ManualClock } from "../../support/manual-clock.js";
import { turn, until } from "../../support/raw-client.js";
import { answer, OK, type RecordingBackend } from "../../support/recording-backend.js";
import { refusedPort } from "../../support/refused-port.js";
import { aBackend, aProxy, aScene, GET, postHead } from "./scene.js";

describe("a backend that dies", () => {
  it.each(["end", "reset"] as const)(
    "before its answer on a fresh connection: 502, not repeated (%s)",
    async (how) => {
      const { proxy, backend } = await aScene({ retries: { on: ["conn-failure"] } });
      backend.script = () => answer("", how);
      const client = proxy.dial();
      await client.send(GET);
      await client.receives("502 pilotfish: ");
      await proxy.settled();
      expect(backend.requests).toHaveLength(1);
      expect(proxy.records[0]).toMatchObject({ status: 502, errorCode: "upstream-reset", endState: "SH" });
      // A GET was whole, so its client's connection goes on.
      backend.script = () => answer(OK);
      await client.send(GET);
      await client.receives(OK);
      await proxy.settled();
    },
  );

  it.each(["end", "reset"] as const)("in the body: the client is cut and can tell (%s)", async (how) => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("12345");
    const socket = backend.connections[0]?.socket;
    if (how === "end") socket?.end();
    else socket?.resetAndDestroy();
    await client.end();
    expect(client.text).toBe("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 200, errorCode: "upstream-truncated", endState: "SD" });
  });

  it("by a reset where the end of the connection is the end of the body: never a clean end", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\n\r\n12345");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("12345");
    backend.connections[0]?.socket.resetAndDestroy();
    await client.end();
    expect(client.text.endsWith("5\r\n12345\r\n")).toBe(true);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "upstream-truncated" });
  });

  it("during a body that was begun: 502, and the rest of the body is thrown away", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 1000\r\n")}12345`);
    await until(() => backend.text.endsWith("12345"));
    backend.connections[0]?.socket.resetAndDestroy();
    expect(await client.end()).toContain("502 pilotfish: ");
    expect(client.ended).toBe("end");
    await proxy.settled();
    expect(backend.connections).toHaveLength(1);
  });
});

describe("a reused connection that dies (RFC 9112 9.3.1)", () => {
  it.each(["end", "reset"] as const)("is replaced for a GET, without blame (%s)", async (how) => {
    const { proxy, backend } = await aScene({ clock: new ManualClock() });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    // It takes the next request and dies of it; a fresh one serves.
    backend.script = (_, index) => (index === 1 ? answer("", how) : answer(OK));
    await client.send(GET);
    await client.until((text) => text === OK + OK);
    await proxy.settled();
    expect(backend.requests).toHaveLength(3);
    expect(backend.connections).toHaveLength(2);
    expect(proxy.records[1]).toMatchObject({ status: 200, errorCode: undefined, retries: 0 });
    expect(proxy.pool.total("reset")).toBe(0);
  });

  it("is replaced once only: a fresh one that dies too ends in 502", async () => {
    const { proxy, backend } = await aScene({ clock: new ManualClock(), retries: { on: ["conn-failure"] } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    backend.script = () => answer("", "reset");
    await client.send(GET);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(backend.requests).toHaveLength(3);
  });

  // Its close cannot have been on its way as the request was sent, so it is the backend's answer.
  it("long after it was given a request is a failure like any other", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      reuse: { mode: "always" },
      retries: { on: ["conn-failure"] },
    });
    const client = proxy.dial();
    const requests = [GET, `${postHead("Content-Length: 5\r\n")}hello`];
    for (const [index, request] of requests.entries()) {
      // The connection has served before, each time.
      backend.script = () => answer(OK);
      await client.send(GET);
      await client.until((text) => text.split(OK).length === index + 2);
      backend.script = () => answer("");
      const before = backend.requests.length;
      await client.send(request);
      await until(() => backend.requests.length === before + 1);
      await clock.advance(3);
      backend.connections.at(-1)?.socket.resetAndDestroy();
      await client.until((text) => text.split("502 pilotfish: ").length === index + 2);
      expect(proxy.pool.total("reset")).toBe(index + 1);
    }
    await proxy.settled();
    expect(backend.requests).toHaveLength(4);
    expect(backend.connections).toHaveLength(2);
  });

  it("long after it was given a request teaches nothing of how long connections may rest", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      reuse: { mode: "safe", safeForMs: 1_000 },
      retries: { on: ["conn-failure"] },
      timeouts: { upstreamIdleMs: 300_000 },
    });
    const next = oneByOne(proxy, backend);
    await next(GET);
    await clock.advance(40);
    backend.script = (_, index) => (index === 1 ? answer("") : answer(OK));
    const client = proxy.dial();
    await client.send(GET);
    await until(() => backend.requests.length === 2);
    await clock.advance(3);
    backend.connections[0]?.socket.resetAndDestroy();
    await client.receives("502 pilotfish: ");
    await next(GET);
    await clock.advance(999);
    expect(await next(`${postHead("Content-Length: 1\r\n")}x`)).toBe(1);
  });

  it("never sends a POST twice", async () => {
    const { proxy, backend } = await aScene({ reuse: { mode: "always" } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    backend.script = () => answer("", "reset");
    await client.send(`${postHead("Content-Length: 5\r\n")}hello`);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(backend.requests.filter(({ head }) => head.startsWith("POST"))).toHaveLength(1);
    expect(backend.connections).toHaveLength(1);
  });

  it("never sends a POST without a body twice either", async () => {
    const { proxy, backend } = await aScene({ reuse: { mode: "always" } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    backend.script = () => answer("", "end");
    await client.send(postHead("Content-Length: 0\r\n"));
    await client.receives("502 pilotfish: ");
    await client.send(postHead(""));
    await client.until((text) => text.split("502 pilotfish: ").length === 3);
    await proxy.settled();
    expect(backend.requests.filter(({ head }) => head.startsWith("POST"))).toHaveLength(2);
  });

  it("after a 1xx is not repeated: a byte of the answer came", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    backend.script = () => answer("HTTP/1.1 103 Early Hints\r\n\r\n", "end");
    await client.send(GET);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(backend.requests).toHaveLength(2);
  });

  it("loses no byte of a PUT whose body comes while it is replaced", async () => {
    const { proxy, backend } = await aScene({ clock: new ManualClock(), reuse: { mode: "always" } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    backend.onBytes = ({ text, socket, index }) => {
      if (index > 0 || !text.endsWith("\r\n\r\n")) return false;
      socket.resetAndDestroy();
      return true;
    };
    const head = "PUT / HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    await client.send(head);
    await until(() => backend.connections[0]?.isClosed === true);
    await client.send("01234", "56789");
    await client.until((text) => text === OK + OK);
    await proxy.settled();
    expect(backend.requests.at(-1)?.body).toBe("0123456789");
  });

  it("is not chosen for what may not be sent twice once it stood idle", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, reuse: { mode: "safe", safeForMs: 1_000 } });
    const next = oneByOne(proxy, backend);
    expect(await next(GET)).toBe(0);
    await clock.advance(999);
    expect(await next(`${postHead("Content-Length: 1\r\n")}x`)).toBe(0);
    await clock.advance(1_000);
    expect(await next(`${postHead("Content-Length: 1\r\n")}x`)).toBe(1);
    await clock.advance(1_000);
    expect(await next(GET)).toBe(1);
  });

  it("is not chosen for that either once the backend was seen to close one that rested hardly longer", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      reuse: { mode: "safe", safeForMs: 1_000 },
      clientTimeouts: { httpKeepAliveMs: 300_000 },
      timeouts: { upstreamIdleMs: 300_000 },
    });
    const next = oneByOne(proxy, backend);
    const post = `${postHead("Content-Length: 1\r\n")}x`;
    await next(GET);
    await clock.advance(40);
    backend.connections[0]?.socket.resetAndDestroy();
    const [reached] = proxy.pool.backends();
    await until(() => reached !== undefined && proxy.connections.count(reached).open === 0);
    expect(await next(GET)).toBe(1);
    await clock.advance(19);
    expect(await next(post)).toBe(1);
    await clock.advance(20);
    expect(await next(post)).toBe(2);
    await clock.advance(20);
    expect(await next(GET)).toBe(2);
    // It is forgotten after two minutes at most.
    await clock.advance(120_000);
    await next(GET);
    await clock.advance(999);
    expect(await next(post)).toBe(backend.requests.at(-2)?.connection);
  });

  it("that says something unasked is closed, not used", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    backend.connections[0]?.socket.write("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    await until(() => backend.connections[0]?.isClosed === true);
    await client.send(GET);
    await client.until((text) => text === OK + OK);
    expect(backend.requests.map(({ connection }) => connection)).toEqual([0, 1]);
    await proxy.settled();
  });

  it("that answers before a byte was sent has its answer thrown away", async () => {
    const { proxy, backend } = await aScene({ reuse: { mode: "always" } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    await client.send(postHead("Content-Length: 5\r\n"));
    await until(() => proxy.pool.inFlight === 1);
    backend.connections[0]?.socket.write(OK.replace("ok", "NO"));
    await until(() => backend.connections.length === 2);
    await client.send("hello");
    await client.until((text) => text === OK + OK);
    expect(backend.requests.at(-1)).toMatchObject({ body: "hello", connection: 1 });
    await proxy.settled();
  });
});

describe("no backend to be had", () => {
  it("a refused one is left for another at once", async () => {
    const backend = await aBackend();
    const proxy = await aProxy({ backends: [await refusedPort(), backend.port] });
    const client = proxy.dial();
    // Two requests, so that one of them gets the refused one first.
    for (const count of [1, 2]) {
      await client.send(`${postHead("Content-Length: 5\r\n")}hello`);
      await client.until((text) => text === OK.repeat(count));
      await proxy.settled();
    }
    expect(backend.requests.map(({ body }) => body)).toEqual(["hello", "hello"]);
    expect(proxy.records.map(({ retries }) => retries).sort()).toEqual([0, 1]);
    expect(proxy.records.find(({ retries }) => retries === 1)).toMatchObject({
      isRedispatched: true,
      status: 200,
      endState: "--",
    });
    expect(proxy.pool.total("redispatches")).toBe(1);
  });

  it("refused everywhere: 503 after the tries, with pauses where none is left", async () => {
    const clock = new ManualClock();
    const proxy = await aProxy({
      clock,
      backends: [await refusedPort(), await refusedPort()],
      retries: { max: 2 },
    });
    const client = proxy.dial();
    await client.send(GET);
    await until(() => proxy.pool.total("connectFailure") === 2);
    await turn();
    await clock.advance(1_000);
    await client.receives("503 pilotfish: ");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "connect-refused", endState: "SC", retries: 2 });
    expect(client.text).toContain("\r\nretry-after: 1\r\n");
  });

  it("none usable: 503 at once, and the connection goes on", async () => {
    const proxy = await aProxy({ backends: [] });
    const client = proxy.dial();
    await client.send(GET + GET);
    await client.until((text) => text.split("503 pilotfish: ").length === 3);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "no-usable-backend", endState: "SC", status: 503 });
  });

  it("no route: 404 at once, with a body closed behind it", async () => {
    const proxy = await aProxy({ backends: [], pool: undefined });
    const client = proxy.dial();
    await client.send(`${GET}${postHead("Content-Length: 5\r\n")}`);
    const text = await client.end();
    expect(text.match(/HTTP\/1\.1 404 Not Found/g)).toHaveLength(2);
    expect(proxy.records[0]).toMatchObject({ errorCode: "not-found", pool: undefined, status: 404 });
  });

  it("without redispatch the same one is tried after a pause, and a client that leaves gives its slot back", async () => {
    const clock = new ManualClock();
    const proxy = await aProxy({ clock, backends: [await refusedPort()], retries: { redispatch: false } });
    const client = proxy.dial();
    await client.send(GET);
    await until(() => proxy.pool.total("retries") === 1);
    expect(proxy.pool.inFlight).toBe(1);
    client.reset();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-left", retries: 1 });
  });

  it("without redispatch the last try ends in 503", async () => {
    const clock = new ManualClock();
    const proxy = await aProxy({
      clock,
      backends: [await refusedPort()],
      retries: { redispatch: false, max: 1 },
    });
    const client = proxy.dial();
    await client.send(GET);
    await until(() => proxy.pool.total("retries") === 1);
    await clock.advance(1_000);
    await client.receives("503 pilotfish: ");
    await proxy.settled();
    expect(proxy.pool.total("connectFailure")).toBe(1);
  });
});

describe("the queue", () => {
  it("serves who waits when a slot comes free, and says how long it was", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, maxInFlightPerBackend: 1 });
    backend.script = () => undefined;
    const first = proxy.dial();
    await first.send(GET);
    await backend.request(0);
    const second = proxy.dial();
    await second.send(GET);
    await until(() => proxy.pool.queue.length === 1);
    await clock.advance(700);
    backend.script = () => answer(OK);
    backend.connections[0]?.socket.write(OK);
    await second.receives(OK);
    await proxy.settled();
    expect(proxy.records[1]).toMatchObject({ queueMs: 700, queuePosition: 0, endState: "--" });
  });

  it("turns away who waited too long, and who finds it full", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      maxInFlightPerBackend: 1,
      maxQueue: 1,
      timeouts: { queueMs: 5_000 },
      retryAfterMs: 2_500,
    });
    backend.script = () => undefined;
    const first = proxy.dial();
    await first.send(GET);
    await backend.request(0);
    const second = proxy.dial();
    await second.send(GET);
    await until(() => proxy.pool.queue.length === 1);
    const third = proxy.dial();
    await third.send(GET);
    await third.receives("retry-after: 3\r\n");
    await third.receives("503 pilotfish: ");
    await clock.advance(5_000);
    await second.receives("retry-after: 3\r\n");
    await second.receives("503 pilotfish: ");
    expect(proxy.records.map(({ errorCode, endState }) => [errorCode, endState])).toEqual([
      ["queue-full", "PQ"],
      ["queue-timeout", "sQ"],
    ]);
    first.reset();
    await proxy.settled();
  });

  it("forgets who leaves", async () => {
    const { proxy, backend } = await aScene({ maxInFlightPerBackend: 1 });
    backend.script = () => undefined;
    const first = proxy.dial();
    await first.send(GET);
    await backend.request(0);
    const second = proxy.dial();
    await second.send(GET);
    await until(() => proxy.pool.queue.length === 1);
    second.reset();
    await until(() => proxy.pool.queue.length === 0);
    expect(await proxy.record(0)).toMatchObject({ errorCode: "client-left", endState: "CQ" });
    first.reset();
    await proxy.settled();
  });
});

/** Sends requests of one client, each when the one before is answered; tells on which connection the backend got it. */
function oneByOne(
  proxy: HttpProxy,
  backend: RecordingBackend,
): (request: string) => Promise<number | undefined> {
  const client = proxy.dial();
  return async (request) => {
    const before = client.text.length;
    await client.send(request);
    await client.until((text) => text.length === before + OK.length);
    await proxy.settled();
    return backend.requests.at(-1)?.connection;
  };
}
