import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { DATE_LINE_BYTES, until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, getOf, postHead, stalled } from "./scene.js";

/** HAProxy's configuration manual, sections 8.4 (timers) and 8.5 (end states). */
describe("the record of an exchange", () => {
  it("has the time of each part: TR, Tw, Tc, Tr, Ta", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, maxInFlightPerBackend: 1 });
    backend.script = () => undefined;
    const other = proxy.dial();
    await other.send(GET);
    await backend.request(0);

    const client = proxy.dial();
    await client.send("GET /timed HTTP/1.1\r\n");
    await stalled(() => proxy.listener.open);
    await clock.advance(100);
    await client.send("Host: a.example\r\n\r\n");
    await until(() => proxy.pool.queue.length === 1);
    await clock.advance(200);
    backend.connections[0]?.socket.write(OK);
    await backend.request(1);
    await clock.advance(300);
    backend.connections[0]?.socket.write("HTTP/1.1 201 Made\r\ncontent-length: 4\r\n\r\n12");
    await client.receives("12");
    await clock.advance(400);
    backend.connections[0]?.socket.write("34");
    await client.receives("1234");
    await proxy.settled();
    expect(proxy.records[1]).toMatchObject({
      requestMs: 100,
      queueMs: 200,
      connectMs: 0,
      responseMs: 300,
      totalMs: 1_000,
      status: 201,
      method: "GET",
      target: "/timed",
      version: "HTTP/1.1",
      host: "a.example",
      pool: "web",
      backend: `127.0.0.1:${backend.port}`,
      backendAddress: `127.0.0.1:${backend.port}`,
      endState: "--",
      errorCode: undefined,
      isReused: true,
      retries: 0,
      bytesIn: "GET /timed HTTP/1.1\r\nHost: a.example\r\n\r\n".length,
      bytesOut: client.text.length + DATE_LINE_BYTES,
    });
    expect(proxy.records[0]).toMatchObject({ queueMs: 0, requestMs: 0, responseMs: 300 });
  });

  it("counts each request of a connection apart, pipelined ones too", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    const post = `${postHead("Content-Length: 5\r\n")}hello`;
    await client.send(GET + post + getOf("/third"));
    await client.until((text) => text === OK.repeat(3));
    await proxy.settled();
    const sent = OK.length + DATE_LINE_BYTES;
    expect(proxy.records.map(({ bytesIn, bytesOut }) => [bytesIn, bytesOut])).toEqual([
      [GET.length, sent],
      [post.length, sent],
      [getOf("/third").length, sent],
    ]);
    expect(proxy.pool.total("bytesIn")).toBe(GET.length + post.length + getOf("/third").length);
    expect(proxy.pool.total("bytesOut")).toBe(sent * 3);
    expect(proxy.pool.total("success")).toBe(3);
    expect(proxy.pool.total("status2xx")).toBe(3);
    expect(backend.requests).toHaveLength(3);
  });

  it("takes an error of the backend's own for an answer, and holds it against the backend", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("\r\n\r\n");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 500, endState: "--", errorCode: undefined });
    expect(proxy.pool.total("serverError")).toBe(1);
  });

  it("of what was refused names no pool and no backend", async () => {
    const { proxy } = await aScene();
    const client = proxy.dial();
    await client.send("GET / HTTP/1.1\r\n\r\n");
    await client.end();
    expect(proxy.records[0]).toMatchObject({
      status: 400,
      endState: "PR",
      errorCode: "bad-request",
      pool: undefined,
      backend: undefined,
      queueMs: -1,
      connectMs: -1,
      responseMs: -1,
      target: "GET / HTTP/1.1",
      method: "",
    });
  });
});
