import { describe, expect, it } from "vitest";
import { until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, postHead } from "./scene.js";

const LIMITS = { limits: { maxBodyBytes: 10 } };
const CHUNKED = postHead("Transfer-Encoding: chunked\r\n");

describe("a body over maxBodyBytes (RFC 9110 15.5.14)", () => {
  it.each([
    ["says so at once", postHead("Content-Length: 11\r\n")],
    [
      "and waits for a 100, which it does not get (RFC 9110 10.1.1)",
      postHead("Content-Length: 11\r\nExpect: 100-continue\r\n"),
    ],
  ])("%s, and is refused before a backend is asked", async (_, head) => {
    const { proxy, backend } = await aScene(LIMITS);
    const client = proxy.dial();
    await client.send(head);
    const text = await client.end();
    expect(text).toMatch(/^HTTP\/1\.1 413 Content Too Large\r\n/);
    expect(text).toContain("\r\nconnection: close\r\n");
    expect(client.ended).toBe("end");
    await proxy.settled();
    expect(backend.text).toBe("");
    expect(proxy.records[0]).toMatchObject({ status: 413, endState: "PR", errorCode: "bad-request" });
  });

  it.each([
    ["in one chunk", "b\r\n"],
    ["with its last chunk", "6\r\nabcdef\r\n5\r\n"],
  ])(
    "goes past it %s: cut as soon as the size is known, 413, never whole at the backend",
    async (_, body) => {
      const { proxy, backend } = await aScene(LIMITS);
      const client = proxy.dial();
      await client.send(CHUNKED + body);
      expect(await client.end()).toMatch(/^HTTP\/1\.1 413 /);
      await proxy.settled();
      expect(backend.requests).toEqual([]);
      await until(() => backend.connections.every(({ isClosed }) => isClosed));
      expect(proxy.records[0]).toMatchObject({ status: 413, endState: "PD" });
    },
  );

  it("goes past it behind an answer that has begun: both connections are cut", async () => {
    const { proxy, backend } = await aScene(LIMITS);
    backend.onBytes = (connection) => {
      if (connection.taken === 0) {
        connection.taken = 1;
        connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
      }
      return true;
    };
    const client = proxy.dial();
    await client.send(`${CHUNKED}1\r\na\r\n`);
    await client.receives("ab");
    await client.send("b\r\n");
    await client.end();
    expect(client.text).not.toContain("413");
    await proxy.settled();
    await until(() => backend.connections.every(({ isClosed }) => isClosed));
  });

  it.each([
    ["by its length", `${postHead("Content-Length: 10\r\n")}0123456789`],
    ["in chunks", `${CHUNKED}6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n`],
  ])("that it fits exactly %s is forwarded, and the next counts anew", async (_, request) => {
    const { proxy, backend } = await aScene(LIMITS);
    backend.script = () => answer(OK);
    const client = proxy.dial();
    await client.send(request + request + GET);
    await client.until((text) => text === OK + OK + OK);
    expect(backend.requests).toHaveLength(3);
    await proxy.settled();
  });
});
