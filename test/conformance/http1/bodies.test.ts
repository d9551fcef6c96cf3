import { describe, expect, it } from "vitest";
import type { ConnectionMode } from "../../../src/proxy/connection-mode.js";
import { until } from "../../support/raw-client.js";
import { answer, chunkedData, OK } from "../../support/recording-backend.js";
import { aScene, GET, getOf, patterned, postHead, stalled } from "./scene.js";

const MIB = 1024 * 1024;
const MODES: readonly ConnectionMode[] = ["handle", "socket"];
const latin1 = (bytes: Buffer) => bytes.toString("latin1");

/** In chunks of many sizes. */
function inChunks(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, size = 1; at < body.length; at += size, size = (size * 7) % 9_973) {
    const data = body.subarray(at, at + size);
    parts.push(Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

describe.each(MODES)("bodies, over a %s", (connectionMode) => {
  it("of a known length arrive whole both ways, and the connections go on", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const up = patterned(3 * MIB + 17, 1);
    const down = patterned(2 * MIB + 5, 2);
    backend.script = (_, index) =>
      index === 0
        ? { portions: [`HTTP/1.1 200 OK\r\ncontent-length: ${down.length}\r\n\r\n`, down] }
        : answer(OK);
    const client = proxy.dial();
    await client.send(postHead(`Content-Length: ${up.length}\r\n`), up, GET);
    await client.until((text) => text.endsWith(OK));
    expect(backend.requests[0]?.body === latin1(up)).toBe(true);
    expect(client.text.slice(client.text.indexOf("\r\n\r\n") + 4, -OK.length) === latin1(down)).toBe(true);
    expect(backend.connections).toHaveLength(1);
    await proxy.settled();
  });

  it("in chunks arrive whole both ways, and the connections go on", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const up = patterned(MIB + 3, 3);
    const down = patterned(MIB + 9, 4);
    backend.script = (_, index) =>
      index === 0
        ? { portions: ["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", inChunks(down)] }
        : answer(OK);
    const client = proxy.dial();
    await client.send(postHead("Transfer-Encoding: chunked\r\n"), inChunks(up), GET);
    await client.until((text) => text.endsWith(OK));
    expect(chunkedData(backend.requests[0]?.body ?? "") === latin1(up)).toBe(true);
    const framed = client.text.slice(client.text.indexOf("\r\n\r\n") + 4, -OK.length);
    expect(chunkedData(framed) === latin1(down)).toBe(true);
    await proxy.settled();
  });

  it.each(["Content-Length", "chunked"])(
    "hold the client back while the backend is slow (%s)",
    async (kind) => {
      const { proxy, backend } = await aScene({ connectionMode });
      const up = patterned(24 * MIB, 5);
      const framed = kind === "chunked" ? inChunks(up) : up;
      const fields =
        kind === "chunked" ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${up.length}\r\n`;
      backend.stall();
      const client = proxy.dial();
      await client.send(postHead(fields));
      client.socket.write(framed);
      await until(() => backend.connections.length === 1);
      await stalled(() => client.socket.bytesWritten + client.socket.writableLength * 1e9);
      const before = process.memoryUsage().external;
      expect(client.socket.writableLength).toBeGreaterThan(0);
      backend.unstall();
      await client.receives("\r\n\r\nok");
      const { body } = await backend.request(0);
      expect((kind === "chunked" ? chunkedData(body) : body) === latin1(up)).toBe(true);
      expect(before).toBeGreaterThan(0);
      await proxy.settled();
    },
  );

  it("hold the client back when they come in small portions", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    backend.stall();
    const client = proxy.dial();
    await client.send(postHead("Transfer-Encoding: chunked\r\n"));
    // Each portion comes in a read of its own, so that it alone would never seem too much.
    const portion = Buffer.from(`400\r\n${"x".repeat(1024)}\r\n`);
    let sent = 0;
    while (client.socket.writableLength === 0 && sent < 64 * 1024) {
      client.socket.write(portion);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.socket.writableLength).toBeGreaterThan(0);
    backend.unstall();
    await client.send("0\r\n\r\n");
    await client.receives("\r\n\r\nok");
    expect(chunkedData(backend.requests[0]?.body ?? "").length).toBe(sent * 1024);
    await proxy.settled();
  }, 60_000);
});

describe("a slow reader", () => {
  it.each(["Content-Length", "chunked", "until close"])("holds the backend back (%s)", async (kind) => {
    const { proxy, backend } = await aScene();
    const down = patterned(24 * MIB, 6);
    const framed = kind === "chunked" ? inChunks(down) : down;
    const fields = {
      chunked: "transfer-encoding: chunked\r\n",
      "Content-Length": `content-length: ${down.length}\r\n`,
    };
    backend.script = () => ({
      portions: [`HTTP/1.1 200 OK\r\n${fields[kind as "chunked"] ?? ""}\r\n`, framed],
      ...(kind === "until close" ? { after: "end" } : {}),
    });
    const client = proxy.dial();
    client.stall();
    await client.send(getOf("/", "Connection: close\r\n"));
    await backend.request(0);
    const socket = backend.connections[0]?.socket;
    await stalled(() => socket?.bytesWritten ?? 0);
    expect(socket?.writableLength).toBeGreaterThan(0);
    client.unstall();
    const text = await client.end();
    const body = text.slice(text.indexOf("\r\n\r\n") + 4);
    expect((kind === "Content-Length" ? body : chunkedData(body)) === latin1(down)).toBe(true);
    expect(client.ended).toBe("end");
    await proxy.settled();
  });

  it("holds the backend back when the response comes in small portions", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const client = proxy.dial();
    client.stall();
    await client.send(GET);
    await backend.request(0);
    const socket = backend.connections[0]?.socket;
    if (socket === undefined) throw new Error("no connection");
    const portion = Buffer.from(`400\r\n${"y".repeat(1024)}\r\n`);
    let sent = 0;
    while (socket.writableLength === 0 && sent < 64 * 1024) {
      socket.write(portion);
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(socket.writableLength).toBeGreaterThan(0);
    socket.write("0\r\n\r\n");
    client.unstall();
    await client.until((text) => text.endsWith("\r\n0\r\n\r\n"));
    expect(chunkedData(client.text.slice(client.text.indexOf("\r\n\r\n") + 4)).length).toBe(sent * 1024);
    await proxy.settled();
  }, 60_000);

  it("of pipelined requests gets no more responses than fit, and all of them in the end", async () => {
    const { proxy, backend } = await aScene();
    const body = "z".repeat(30_000);
    backend.script = () => answer(`HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n${body}`);
    const client = proxy.dial();
    client.stall();
    await client.send(GET.repeat(800));
    await stalled(() => backend.requests.length);
    expect(backend.requests.length).toBeLessThan(700);
    client.unstall();
    await until(() => backend.requests.length === 800);
    const head = "HTTP/1.1 200 OK\r\ncontent-length: 30000\r\n\r\n";
    await client.until((text) => text.length === 800 * (30_000 + head.length));
    await proxy.settled();
  });
});

describe("an early response", () => {
  it("reaches the client and ends both connections (RFC 9112 9.3)", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      if (connection.text.includes("12345") && connection.taken === 0) {
        connection.taken = 1;
        connection.socket.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig");
      }
      return true;
    };
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 1000\r\n")}12345`);
    expect(await client.end()).toBe(
      "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig",
    );
    expect(client.ended).toBe("end");
    // What still comes of the body is thrown away, so that no reset takes the response from the client.
    await client.send("6789".repeat(100));
    client.finish();
    await until(() => client.closed);
    await until(() => backend.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({ status: 413, endState: "--" });
    await proxy.settled();
  });

  it("reaches the client though the backend resets the connection behind it, while the body flows", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = ({ socket }) => {
      if (socket.isPaused()) return true;
      socket.pause();
      // Bytes that nobody reads turn the close into a reset.
      socket.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig", () => socket.destroy());
      return true;
    };
    for (let count = 0; count < 10; count++) {
      const client = proxy.dial();
      void client.send(postHead(`Content-Length: ${8 * MIB}\r\n`), patterned(8 * MIB));
      await client.end();
      expect(client.text).toBe(
        "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig",
      );
      client.leave();
    }
    await proxy.settled();
  });

  it("that is cut by such a reset does not look whole", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = ({ socket }) => {
      if (socket.isPaused()) return true;
      socket.pause();
      socket.write("HTTP/1.1 413 Content Too Large\r\n\r\nbi", () => socket.destroy());
      return true;
    };
    const client = proxy.dial();
    void client.send(postHead(`Content-Length: ${8 * MIB}\r\n`), patterned(8 * MIB));
    await client.end();
    expect(client.text).not.toContain("0\r\n\r\n");
    await proxy.settled();
    expect(await proxy.record(0)).toMatchObject({ endState: "SD", errorCode: "upstream-truncated" });
  });

  it("lets the body flow on while the response does", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      if (connection.taken === 0) {
        connection.taken = 1;
        connection.socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
      }
      if (connection.text.endsWith("last")) connection.socket.write("67890");
      return true;
    };
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 8\r\n")}fore`);
    await client.receives("12345");
    await client.send("last");
    await client.receives("1234567890");
    await client.end();
    expect(backend.text).toMatch(/forelast$/);
    await proxy.settled();
  });
});

describe("Expect: 100-continue (RFC 9110 10.1.1)", () => {
  const EXPECT = postHead("Expect: 100-continue\r\nContent-Length: 5\r\n");

  it("passes the head on at once and the backend's 100 back, then the body", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      if (!connection.text.endsWith("\r\n\r\n")) return false;
      connection.socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      return true;
    };
    const client = proxy.dial();
    await client.send(EXPECT);
    await client.receives("HTTP/1.1 100 Continue\r\n\r\n");
    await client.send("hello");
    await client.until((text) => text === `HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    expect(backend.requests[0]?.head).toContain("\r\nExpect: 100-continue\r\n");
    // The connection serves on.
    backend.onBytes = undefined;
    await client.send(GET);
    await client.until((text) => text.endsWith(OK + OK));
    await proxy.settled();
  });

  it("passes a refusal on and closes, since nobody knows whether the body still comes", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      connection.socket.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
      return true;
    };
    const client = proxy.dial();
    await client.send(EXPECT);
    expect(await client.end()).toBe(
      "HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    await until(() => backend.connections[0]?.isClosed === true);
    await proxy.settled();
  });

  it("takes a body that does not wait", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(`${EXPECT}hello`);
    await client.receives(OK);
    expect(backend.requests[0]?.body).toBe("hello");
    await proxy.settled();
  });
});
