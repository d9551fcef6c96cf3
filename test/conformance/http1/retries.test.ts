import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer, OK, type RecordingBackend } from "../../support/recording-backend.js";
import { refusedPort } from "../../support/refused-port.js";
import { aBackend, aProxy, GET, getOf, postHead } from "./scene.js";

const BUSY = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n";
const busy = (fields = "") => answer(`${BUSY}${fields}\r\nbusy`);
const SWITCH = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const put = (fields: string) => `PUT / HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`;

/** Two backends; the bad one is asked first, since the last that joined has its turn first. */
async function two(retries: object, more: object = {}) {
  const [bad, good] = [await aBackend(), await aBackend()];
  const proxy = await aProxy({ backends: [good.port, bad.port], retries, ...more });
  return { bad, good, proxy, client: proxy.dial() };
}

function counts(...backends: readonly RecordingBackend[]): readonly number[] {
  return backends.map(({ requests }) => requests.length);
}

describe("a try that failed on a fresh connection", () => {
  it.each(["end", "reset"] as const)("without an answer is made elsewhere for a GET (%s)", async (how) => {
    const { bad, good, proxy, client } = await two({});
    bad.script = () => answer("", how);
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 1]);
    expect(proxy.records[0]).toMatchObject({ status: 200, retries: 1, isRedispatched: true });
    expect(proxy.pool.total("reset")).toBe(1);
  });

  it("is never made again for a POST that may have been read", async () => {
    const { bad, good, proxy, client } = await two({ on: ["all-retryable-errors"] });
    bad.script = () => answer("", "reset");
    await client.send(`${postHead("Content-Length: 2\r\n")}hi`);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
  });

  it("is made again for a POST where the pool says so, with the whole body", async () => {
    const { bad, good, proxy, client } = await two({ nonIdempotent: true });
    bad.script = () => answer("", "reset");
    await client.send(`${postHead("Content-Length: 2\r\n")}hi`);
    await client.receives(OK);
    await proxy.settled();
    expect([bad.requests[0]?.body, good.requests[0]?.body]).toEqual(["hi", "hi"]);
  });

  it("is made again after junk, and after silence, only where it is asked for", async () => {
    const { bad, good, proxy, client } = await two({ on: ["junk-response"] });
    bad.script = () => answer("what?\r\n\r\n");
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 1]);
    const plain = await two({});
    plain.bad.script = () => answer("what?\r\n\r\n");
    await plain.client.send(GET);
    await plain.client.receives("502 pilotfish: ");
  });

  it("is not made again once a 1xx came, though it was a GET", async () => {
    const { bad, good, proxy, client } = await two({});
    bad.script = () => answer("HTTP/1.1 103 Early Hints\r\n\r\n", "end");
    await client.send(GET);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
  });
});

describe("the body of a request that is sent again", () => {
  it("is kept while it comes, and the rest follows", async () => {
    const { bad, good, proxy, client } = await two({});
    let isFirst = true;
    bad.onBytes = (connection) => {
      if (isFirst && connection.text.endsWith("12345")) {
        isFirst = false;
        connection.socket.resetAndDestroy();
      }
      return true;
    };
    await client.send(`${put("Content-Length: 10\r\n")}12345`);
    await until(() => good.text.endsWith("12345"));
    await client.send("67890");
    await client.receives(OK);
    await proxy.settled();
    expect(good.requests[0]?.body).toBe("1234567890");
  });

  it("is sent again with its chunks and trailers whole", async () => {
    const { bad, good, proxy, client } = await two({ on: [503] });
    bad.script = () => busy();
    await client.send(`${put("Transfer-Encoding: chunked\r\n")}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
    await client.receives(OK);
    await proxy.settled();
    expect(good.requests[0]?.body.replace(/\r\n/g, "|")).toMatch(/abc/);
    expect(good.requests[0]?.body).toMatch(/0\r\n\r\n$/);
  });

  it("that is said to be longer than what is kept is not kept at all, and goes once", async () => {
    const { bad, good, proxy, client } = await two({ maxBodyBytes: 4 });
    bad.script = () => answer("", "reset");
    await client.send(`${put("Content-Length: 5\r\n")}12345`);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
  });

  it("that is longer than what is kept is sent once, and the answer passed on", async () => {
    const { bad, good, proxy, client } = await two({ on: [503], maxBodyBytes: 4 });
    bad.script = () => busy();
    await client.send(`${put("Content-Length: 5\r\n")}12345`);
    await client.receives("busy");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
  });
});

describe("an answer", () => {
  it("with a listed status is thrown away for another, after a pause", async () => {
    const clock = new ManualClock();
    const { bad, good, proxy, client } = await two({ on: [503] }, { clock });
    bad.script = () => busy();
    await client.send(GET);
    await until(() => proxy.pool.total("redispatches") === 1);
    expect(counts(bad, good)).toEqual([1, 0]);
    // Half of the first limit of 25 ms: the test's chance is always one half.
    await clock.advance(12.4);
    expect(counts(bad, good)).toEqual([1, 0]);
    await clock.advance(0.1);
    await client.receives(OK);
    await proxy.settled();
    expect(client.text).not.toContain("busy");
    expect(proxy.pool.total("serverError")).toBe(1);
  });

  it("is passed on when the tries are used up", async () => {
    const { bad, good, proxy, client } = await two({ on: [503], max: 1, backoff: { baseMs: 1, maxMs: 1 } });
    for (const backend of [bad, good]) backend.script = () => busy();
    await client.send(GET);
    await client.receives("busy");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 1]);
    expect(proxy.records[0]).toMatchObject({ status: 503, retries: 1 });
  });

  it("that asks to wait is obeyed where no other backend is left", async () => {
    const clock = new ManualClock();
    const only = await aBackend();
    const proxy = await aProxy({ backends: [only.port], retries: { on: [503] }, clock });
    only.script = (_request, index) => (index === 0 ? busy("Retry-After: 2\r\n") : answer(OK));
    const client = proxy.dial();
    await client.send(GET);
    await until(() => proxy.pool.total("retries") === 1);
    await clock.advance(1_999);
    expect(counts(only)).toEqual([1]);
    await clock.advance(1);
    await client.receives(OK);
    await proxy.settled();
  });

  it("that asks to wait for longer than for a slot is passed on", async () => {
    const only = await aBackend();
    const proxy = await aProxy({ backends: [only.port], retries: { on: [503] } });
    only.script = () => busy("Retry-After: 60\r\n");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("busy");
    expect(client.text).toMatch(/Retry-After: 60/i);
    await proxy.settled();
    expect(counts(only)).toEqual([1]);
  });

  it("that asks the whole service to wait is obeyed though another backend is there", async () => {
    const clock = new ManualClock();
    const { bad, good, proxy, client } = await two({ on: [503] }, { clock });
    bad.script = () => busy("Retry-After: 1\r\ngrpc-retry-pushback-ms: 400\r\n");
    await client.send(GET);
    await until(() => proxy.pool.total("redispatches") === 1);
    await clock.advance(399);
    expect(counts(bad, good)).toEqual([1, 0]);
    await clock.advance(1);
    await client.receives(OK);
    await proxy.settled();
  });

  it("that asks for more time than the request has left is passed on at once", async () => {
    const clock = new ManualClock();
    const only = await aBackend();
    const timeouts = { requestTotalMs: 2_000 };
    const proxy = await aProxy({ backends: [only.port], retries: { on: [503] }, timeouts, clock });
    only.script = () => busy("Retry-After: 2\r\n");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("busy");
    await proxy.settled();
    expect(counts(only)).toEqual([1]);
  });

  it("of gRPC with a listed status is thrown away, and its pushback obeyed", async () => {
    const clock = new ManualClock();
    const { bad, good, proxy, client } = await two({ on: ["unavailable"] }, { clock });
    const grpc = (fields: string) =>
      answer(`HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n${fields}\r\n`);
    bad.script = () => grpc("grpc-status: 14\r\ngrpc-retry-pushback-ms: 300\r\n");
    await client.send(GET);
    await until(() => proxy.pool.total("redispatches") === 1);
    await clock.advance(299);
    expect(counts(bad, good)).toEqual([1, 0]);
    await clock.advance(1);
    await client.receives(OK);
    await proxy.settled();
    const refused = await two({ on: ["unavailable"] });
    refused.bad.script = () => grpc("grpc-status: 14\r\ngrpc-retry-pushback-ms: -1\r\n");
    await refused.client.send(GET);
    await refused.client.receives("grpc-status: 14");
    await refused.proxy.settled();
    expect(counts(refused.bad, refused.good)).toEqual([1, 0]);
  });
});

describe("the time of a try", () => {
  it("ends one that is silent for too long, and another one follows", async () => {
    const clock = new ManualClock();
    const { bad, good, proxy, client } = await two({ on: ["response-timeout"], perTryMs: 200 }, { clock });
    bad.script = () => undefined;
    await client.send(GET);
    await until(() => bad.requests.length === 1);
    await clock.advance(199);
    expect(proxy.pool.total("timeout")).toBe(0);
    await clock.advance(1);
    expect(proxy.pool.total("timeout")).toBe(1);
    await clock.advance(25);
    await client.receives(OK);
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 1]);
  });

  it("is over with the switch to another protocol", async () => {
    const clock = new ManualClock();
    const only = await aBackend();
    const retries = { on: ["response-timeout"], perTryMs: 200 };
    const proxy = await aProxy({ backends: [only.port], retries, clock });
    only.onBytes = (connection) => {
      if (connection.taken++ === 0) connection.socket.write(`${SWITCH}hello`);
      return true;
    };
    const client = proxy.dial();
    await client.send(getOf("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    await client.receives("hello");
    await clock.advance(1_000);
    await client.send("still here");
    await until(() => only.text.endsWith("still here"));
    client.finish();
    only.connections[0]?.socket.end();
    await client.end();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 101, retries: 0, endState: "--" });
  });

  it("ends in 504 for what may not be sent twice", async () => {
    const clock = new ManualClock();
    const { bad, good, proxy, client } = await two({ on: ["response-timeout"], perTryMs: 200 }, { clock });
    bad.script = () => undefined;
    await client.send(`${postHead("Content-Length: 2\r\n")}hi`);
    await until(() => bad.requests.length === 1);
    await clock.advance(200);
    await client.receives("504 pilotfish: ");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
  });
});

describe("the budget", () => {
  it("denies a further try of what was sent, and counts it; what never left needs none", async () => {
    const { bad, good, proxy, client } = await two({ budget: { percent: 0, min: 0 } });
    bad.script = () => answer("", "reset");
    await client.send(getOf("/"));
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(counts(bad, good)).toEqual([1, 0]);
    expect(proxy.pool.total("retriesDenied")).toBe(1);
    expect(proxy.records[0]).toMatchObject({ status: 502, retries: 0 });
    const unsent = await aProxy({
      backends: [await refusedPort(), good.port],
      retries: { budget: { percent: 0, min: 0 } },
    });
    const other = unsent.dial();
    await other.send(GET);
    await other.receives(OK);
    await unsent.settled();
  });
});
