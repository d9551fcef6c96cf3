import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, it } from "vitest";
import { answer } from "../../support/recording-backend.js";
import { aScene, GET, getOf } from "./scene.js";

const DATE = /\r\ndate: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n/;

/** What a plain client gets, Date and all. */
async function received(port: number, sent: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(sent);
  await once(socket, "end");
  return text;
}

const CLOSE = "Connection: close\r\n";

describe("Date (RFC 9110 6.6.1)", () => {
  it("is added to an answer that came without one", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const text = await received(proxy.port, getOf("/", CLOSE));
    const told = Date.parse(DATE.exec(text)?.[1] ?? "");
    expect(Math.abs(Date.now() - told)).toBeLessThan(5_000);
    expect(text.match(/date:/gi)).toHaveLength(1);
  });

  it("stays as the backend said it", async () => {
    const { proxy, backend } = await aScene();
    const date = "Date: Sat, 01 Jan 2000 00:00:00 GMT";
    backend.script = () => answer(`HTTP/1.1 200 OK\r\n${date}\r\nContent-Length: 2\r\n\r\nok`);
    const text = await received(proxy.port, getOf("/", CLOSE));
    expect(text).toContain(`\r\n${date}\r\n`);
    expect(text.match(/date:/gi)).toHaveLength(1);
  });

  it("is in our own answers", async () => {
    const { proxy } = await aScene();
    expect(await received(proxy.port, "GET /\r\n\r\n")).toMatch(DATE);
  });
});

describe("a request that may go no further (RFC 9110 7.6.2)", () => {
  it("is answered here where it is OPTIONS, and the connection goes on", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send("OPTIONS * HTTP/1.1\r\nHost: a.example\r\nMax-Forwards: 0\r\n\r\n");
    await client.receives("\r\n\r\n");
    expect(client.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(client.text).toContain("\r\ncontent-length: 0\r\n");
    await client.send(GET);
    await client.receives("\r\n\r\nok");
    expect(backend.requests).toHaveLength(1);
    client.leave();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({
      method: "OPTIONS",
      status: 200,
      endState: "--",
      pool: undefined,
    });
  });
});
