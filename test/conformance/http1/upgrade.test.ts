import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, getOf } from "./scene.js";

const ASK = getOf("/chat", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n");
const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: 1\r\n\r\n";
const SWITCHED =
  "HTTP/1.1 101 Switching Protocols\r\nX: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

describe("an upgrade to websocket (RFC 6455, RFC 9110 7.8)", () => {
  it("becomes a tunnel; bytes in the same packet as the heads are not lost either way", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      if (connection.taken === 0) {
        connection.taken = 1;
        connection.socket.write(`${SWITCH}hello`);
      }
      return true;
    };
    const client = proxy.dial();
    await client.send(`${ASK}early`);
    await client.receives("hello");
    await client.send("more");
    await until(() => backend.text.endsWith("earlymore"));
    backend.connections[0]?.socket.write("bye");
    await client.receives("hellobye");
    expect(client.text).toBe(`${SWITCHED}hellobye`);
    expect(proxy.pool.inFlight).toBe(1);
    client.finish();
    await client.end();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({
      status: 101,
      endState: "--",
      bytesIn: ASK.length + "earlymore".length,
      bytesOut: SWITCHED.length + "hellobye".length,
    });
    expect(proxy.pool.total("bytesIn")).toBe(ASK.length + "earlymore".length);
    expect(proxy.pool.total("bytesOut")).toBe(SWITCHED.length + "hellobye".length);
  });

  it("goes on counting as a request (Envoy's max_requests)", async () => {
    const { proxy, backend } = await aScene({ maxRequestsPerBackend: 1, maxQueue: 0 });
    backend.onBytes = (connection) => {
      connection.socket.write(SWITCH);
      return true;
    };
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(SWITCHED);
    const other = proxy.dial();
    await other.send(GET);
    await other.receives("503");
    expect([...proxy.pool.backends()][0]).toMatchObject({ inFlight: 1, tunnels: 0 });
    client.reset();
    await proxy.settled();
  });

  it("sends nothing of the client's before the 101", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = () => true;
    const client = proxy.dial();
    await client.send(`${ASK}GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n`);
    await until(() => backend.text.includes("\r\n\r\n"));
    expect(backend.text.endsWith("upgrade: websocket\r\n\r\n")).toBe(true);
    client.reset();
    await proxy.settled();
  });

  it("that is declined is an ordinary exchange, and both connections serve on", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(OK);
    await client.send(GET);
    await client.until((text) => text === OK + OK);
    expect(backend.connections).toHaveLength(1);
    await proxy.settled();
  });

  it.each([
    [
      "to another protocol",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
    ["to no protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"],
    ["without Connection: upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
  ])("switched %s is refused with 502", async (_, text) => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer(text);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives("502 pilotfish: ");
    await until(() => backend.connections[0]?.isClosed === true);
    await proxy.settled();
  });

  it("passes a reset on as a reset", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer(SWITCH);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(SWITCHED);
    backend.connections[0]?.socket.resetAndDestroy();
    await client.end();
    expect(client.ended).toBe("reset");
    await proxy.settled();
  });

  it("is not held up by a drain, and ends with destroy", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer(SWITCH);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(SWITCHED);
    proxy.listener.drain();
    expect(client.ended).toBeUndefined();
    expect(proxy.pool.inFlight).toBe(1);
    proxy.listener.destroyAll();
    await client.end();
    await proxy.settled();
    expect(proxy.listener.open).toBe(0);
    expect(proxy.records[0]).toMatchObject({ errorCode: "cut", endState: "KD" });
  });
});

describe("a WebSocket that is cut at the end of a drain", () => {
  const HELLO = "\x81\x05hello";
  const CLOSE = "\x88\x02\x03\xe9";

  async function open(firstFromBackend: string) {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock });
    backend.onBytes = (connection) => {
      if (connection.taken === 0) {
        connection.taken = 1;
        connection.socket.write(Buffer.from(`${SWITCH}${firstFromBackend}`, "latin1"));
      }
      return true;
    };
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(firstFromBackend);
    const [own] = proxy.pool.backends();
    if (own === undefined) throw new Error("no backend");
    return { clock, proxy, backend, client, cut: () => proxy.work.cut(own, "cut") };
  }

  it("is told so on both ends with 1001, which then close in good order", async () => {
    const { proxy, backend, client, cut } = await open(HELLO);
    expect(cut()).toBe(1);
    await client.end();
    expect(client.text).toBe(`${SWITCHED}${HELLO}${CLOSE}`);
    await until(() => backend.connections[0]?.hasEnded === true);
    // Masked with what the test's chance of one half makes.
    expect(backend.text.endsWith("\x88\x82\x80\x00\x00\x00\x83\xe9")).toBe(true);
    client.finish();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 101, errorCode: "cut" });
  });

  it("is given half a second to close, and what it still sends is not passed on", async () => {
    const { clock, proxy, backend, client, cut } = await open(HELLO);
    cut();
    await client.end();
    const before = backend.text;
    await client.send("\x81\x80\x00\x00\x00\x00");
    await clock.advance(499);
    expect(proxy.pool.inFlight).toBe(1);
    await clock.advance(1);
    await proxy.settled();
    expect(backend.text).toBe(before);
  });

  it("is reset where a word would fall into a frame", async () => {
    const { proxy, backend, client, cut } = await open(HELLO.slice(0, 4));
    cut();
    await client.end();
    expect(client.text).toBe(`${SWITCHED}${HELLO.slice(0, 4)}`);
    expect(client.ended).toBe("reset");
    await until(() => backend.connections[0]?.isClosed === true);
    await proxy.settled();
  });
});
