import { describe, expect, it } from "vitest";
import type { ConnectionMode } from "../../../src/proxy/connection-mode.js";
import { ManualClock } from "../../support/manual-clock.js";
import { terms } from "../../support/pool-fixture.js";
import { turn, until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, getOf, postHead } from "./scene.js";

const MODES: readonly ConnectionMode[] = ["handle", "socket"];

/** Answers a GET with its path. */
const ECHO_PATH = ({ head }: { readonly head: string }) => {
  const path = head.split(" ")[1] ?? "";
  return answer(`HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`);
};

const bodies = (text: string) => text.split(/HTTP\/1\.1 200 OK\r\n(?:[a-z-]+: .*\r\n)*\r\n/).slice(1);

describe.each(MODES)("connections, over a %s", (connectionMode) => {
  it("serve one request after another on one backend connection (RFC 9112 9.3)", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const client = proxy.dial();
    for (let count = 1; count <= 5; count++) {
      await client.send(GET);
      await client.until((text) => text.length === OK.length * count);
      await proxy.settled();
    }
    expect(backend.connections).toHaveLength(1);
    expect(proxy.records.map(({ isReused }) => isReused)).toEqual([false, true, true, true, true]);
  });

  it.each([false, true])(
    "to a drained or weightless backend are kept only for bound clients: %s",
    async (isBinding) => {
      const { proxy, backend } = await aScene({ connectionMode });
      proxy.connections.reconfigure({ idleMs: 60_000, maxPerBackend: 0, isReusing: true, isBinding });
      const [only] = [...proxy.pool.backends()];
      if (only === undefined) throw new Error("no backend");
      const said = terms();
      const client = proxy.dial();
      // While the answer is under way, so that the connection comes back to a backend that is out.
      backend.script = () => {
        proxy.pool.setAdmin(only, "drain", said, 0);
        return answer(OK);
      };
      await client.send(GET);
      await client.receives(OK);
      await proxy.settled();
      await until(() => proxy.connections.count(only).open === (isBinding ? 1 : 0));
      proxy.pool.setAdmin(only, "ready", said, 0);
      backend.script = () => answer(OK);
      await client.send(GET);
      await client.until((text) => text === OK + OK);
      await proxy.settled();
      expect(proxy.connections.count(only).idle).toBe(1);
      proxy.pool.setWeight(only, { kind: "weight", weight: 0 }, said, 0);
      expect(proxy.connections.count(only).idle).toBe(isBinding ? 1 : 0);
    },
  );

  it("answer pipelined requests in order, one at a time (RFC 9112 9.3.2)", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    let atOnce = 0;
    backend.script = (request) => {
      atOnce = Math.max(atOnce, proxy.pool.inFlight);
      return ECHO_PATH(request);
    };
    const client = proxy.dial();
    const paths = Array.from({ length: 30 }, (_, index) => `/${index}`);
    await client.send(paths.map((path) => getOf(path)).join(""));
    await client.receives("\r\n\r\n/29");
    expect(bodies(client.text)).toEqual(paths);
    expect(atOnce).toBe(1);
    await proxy.settled();
  });

  it("answer what was pipelined before a half-close (RFC 9112 9.6)", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    backend.script = ECHO_PATH;
    const client = proxy.dial();
    await client.send(["/1", "/2", "/3", "/4"].map((path) => getOf(path)).join(""));
    client.finish();
    const text = await client.end();
    expect(bodies(text)).toEqual(["/1", "/2", "/3", "/4"]);
    await proxy.settled();
  });

  it("answer what was pipelined before a half-close with half a request behind it", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    backend.script = ECHO_PATH;
    const client = proxy.dial();
    await client.send(`${getOf("/1")}${getOf("/2")}GET /3 HT`);
    client.finish();
    expect(bodies(await client.end())).toEqual(["/1", "/2"]);
    await proxy.settled();
    expect(backend.requests).toHaveLength(2);
  });

  it("answer a POST whose client half-closed before a backend was there (RFC 9112 9.6)", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 5\r\n")}hello`);
    client.finish();
    expect(await client.end()).toContain("\r\nconnection: close\r\n\r\nok");
    expect(backend.requests[0]?.body).toBe("hello");
    await proxy.settled();
  });

  it("answer a bodiless request sent one byte at a time", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const client = proxy.dial();
    await client.send(...getOf("/slow").split(""));
    await client.receives(OK);
    expect(backend.requests).toHaveLength(1);
    await proxy.settled();
  });

  it("answer a chunked POST sent one byte at a time, and the request behind it", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const client = proxy.dial();
    const body = '5;a="b"\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n';
    await client.send(...`${postHead("Transfer-Encoding: chunked\r\n")}${body}${GET}`.split(""));
    await client.until((text) => text === OK + OK);
    expect(backend.requests[0]?.body).toMatch(/0\r\nX-Sum: 1\r\n\r\n$/);
    await proxy.settled();
  });

  it("take no request of a body that ends short (RFC 9112 8)", async () => {
    const { proxy, backend } = await aScene({ connectionMode });
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 10\r\n")}hello`);
    client.finish();
    expect(await client.end()).toBe("");
    await proxy.settled();
    expect(backend.requests).toEqual([]);
    await until(() => backend.connections.every(({ isClosed }) => isClosed));
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-left", endState: "CD" });
  });
});

describe("a drain", () => {
  it("closes an idle connection that was not just used, without a word", async () => {
    const clock = new ManualClock();
    const { proxy } = await aScene({ clock });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await clock.advance(2_000);
    proxy.listener.drain();
    expect(await client.end()).toBe(OK);
    expect(client.ended).toBe("end");
  });

  it("says Connection: close with the response under way (RFC 9112 9.6)", async () => {
    const { proxy, backend } = await aScene();
    let release: () => void = () => {};
    backend.script = () => undefined;
    const client = proxy.dial();
    await client.send(GET);
    await backend.request(0);
    proxy.listener.drain();
    release = () => void backend.connections[0]?.socket.write(OK);
    release();
    expect(await client.end()).toBe(OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    await proxy.settled();
  });

  it("closes behind a response whose head was out before", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock });
    backend.script = () => answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("ok");
    proxy.listener.drain();
    backend.connections[0]?.socket.write("ok");
    await client.receives("okok");
    await until(() => proxy.pool.inFlight === 0);
    await clock.advance(2_000);
    await client.end();
    expect(client.ended).toBe("end");
    await proxy.settled();
  });

  it("is not held up by anything once all is answered", async () => {
    const { proxy } = await aScene();
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    proxy.listener.stopAccepting();
    proxy.listener.destroyAll();
    await client.end();
    await until(() => proxy.listener.open === 0);
    await turn();
    expect(proxy.listener.open).toBe(0);
  });
});

describe("a client that leaves", () => {
  it("before the answer gives its lease back once, and the backend's connection is dropped", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => undefined;
    const client = proxy.dial();
    await client.send(GET);
    await backend.request(0);
    client.reset();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-left", endState: "CH", status: 0 });
  });

  it("in the middle of its body gives its lease back once, and the backend sees no whole request", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 1000\r\n")}hello`);
    await until(() => backend.text.endsWith("hello"));
    client.reset();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(backend.requests).toEqual([]);
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-left", endState: "CD" });
  });

  it("in the middle of a chunked body leaves it without its last chunk", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send(`${postHead("Transfer-Encoding: chunked\r\n")}5\r\nhello\r\n`);
    await until(() => backend.text.endsWith("hello\r\n"));
    client.leave();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(backend.text).toMatch(/\r\n\r\n5\r\nhello\r\n$/);
  });

  it("in the middle of the response frees the backend", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhello");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("hello");
    client.reset();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-left", endState: "CD", status: 200 });
  });

  it("with half a head leaves nothing behind", async () => {
    const { proxy, backend } = await aScene();
    const client = proxy.dial();
    await client.send("GET / HT");
    client.finish();
    await client.end();
    await until(() => proxy.listener.open === 0);
    expect(backend.connections).toEqual([]);
  });
});
