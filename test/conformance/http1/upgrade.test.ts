import { describe, expect, it } from "vitest";
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
