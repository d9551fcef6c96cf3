import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer } from "../../support/recording-backend.js";
import { added } from "./request-case.js";
import { aScene, GET } from "./scene.js";

const HOST = "far.example:443";
const ASK = `CONNECT ${HOST} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
const OPENED = "HTTP/1.1 200 Connection established\r\n\r\n";
const ALLOWED = { allowConnect: true };

describe("CONNECT where it is allowed (RFC 9110 9.3.6)", () => {
  it("is forwarded in authority-form (RFC 9112 3.2.3), early bytes only once the tunnel is open", async () => {
    const { proxy, backend } = await aScene(ALLOWED);
    backend.onBytes = () => true;
    const client = proxy.dial();
    await client.send(`${ASK}${GET}`);
    const forwarded = `CONNECT ${HOST} HTTP/1.1\r\nHost: ${HOST}\r\n${added(HOST)}\r\n`;
    await until(() => backend.text.length >= forwarded.length);
    expect(backend.text).toBe(forwarded);
    backend.connections[0]?.socket.write(`${OPENED}hello`);
    await client.receives("hello");
    await until(() => backend.text === forwarded + GET);
    await client.send("more");
    await until(() => backend.text === `${forwarded}${GET}more`);
    expect(client.text).toBe(`${OPENED}hello`);
    client.finish();
    await client.end();
    await proxy.settled();
    await until(() => backend.connections[0]?.isClosed === true);
    expect(proxy.records[0]).toMatchObject({ method: "CONNECT", target: HOST, status: 200, endState: "--" });
  });

  it.each([
    ["a length", "Content-Length: 5\r\n"],
    ["chunks", "Transfer-Encoding: chunked\r\n"],
    ["both", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"],
  ])("opens on a 2xx whose %s mean nothing and are not passed on", async (_, fields) => {
    const { proxy, backend } = await aScene(ALLOWED);
    backend.script = () => answer(`HTTP/1.1 204 Open\r\n${fields}X: 1\r\n\r\nanything`);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives("anything");
    expect(client.text).toBe("HTTP/1.1 204 Open\r\nX: 1\r\n\r\nanything");
    client.reset();
    await proxy.settled();
  });

  it("that is refused gets the answer and the end, since early bytes are no next request", async () => {
    const { proxy, backend } = await aScene(ALLOWED);
    backend.script = () =>
      answer("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno");
    const client = proxy.dial();
    await client.send(`${ASK}${GET}`);
    const text = await client.end();
    expect(text).toContain("HTTP/1.1 407 ");
    expect(text).toContain("\r\nconnection: close\r\n");
    expect(text.endsWith("\r\n\r\nno")).toBe(true);
    await proxy.settled();
    expect(backend.requests).toHaveLength(1);
    expect(proxy.records).toHaveLength(1);
  });

  it.each(["Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n"])(
    "with a body (%j) is refused with 400",
    async (field) => {
      const { proxy, backend } = await aScene(ALLOWED);
      const client = proxy.dial();
      await client.send(`CONNECT ${HOST} HTTP/1.1\r\nHost: ${HOST}\r\n${field}\r\n`);
      expect(await client.end()).toMatch(/^HTTP\/1\.1 400 /);
      await proxy.settled();
      expect(backend.text).toBe("");
    },
  );

  it("offers no other protocol, and a 101 to it is refused with 502", async () => {
    const { proxy, backend } = await aScene(ALLOWED);
    backend.script = () =>
      answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    const client = proxy.dial();
    await client.send(
      `CONNECT ${HOST} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(await client.end()).toMatch(/^HTTP\/1\.1 502 /);
    await proxy.settled();
    expect(backend.text.toLowerCase()).not.toContain("upgrade");
  });

  it("lives as a tunnel: through a drain, under timeouts.tunnel", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ ...ALLOWED, clock, timeouts: { tunnelMs: 5_000 } });
    backend.script = () => answer(OPENED);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(OPENED);
    proxy.listener.drain();
    await client.send("still here");
    await until(() => backend.text.endsWith("still here"));
    expect(client.ended).toBeUndefined();
    await clock.advance(5_001);
    await client.end();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 200, errorCode: "tunnel-idle" });
  });

  it("that is cut at the end of a drain ends with destroy", async () => {
    const { proxy, backend } = await aScene(ALLOWED);
    backend.script = () => answer(OPENED);
    const client = proxy.dial();
    await client.send(ASK);
    await client.receives(OPENED);
    proxy.listener.drain();
    proxy.listener.destroyAll();
    await client.end();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "cut", endState: "KD" });
  });
});

describe("Upgrade to anything but websocket (RFC 9110 7.8)", () => {
  it.each(["h2c", "h2c, websocket", "TLS/1.0", "example/1"])(
    "%s is not passed on, and is answered",
    async (name) => {
      const { proxy, backend } = await aScene();
      const client = proxy.dial();
      const fields = `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${name}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n`;
      await client.send(`GET / HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`);
      await client.receives("\r\n\r\nok");
      expect(backend.text.toLowerCase()).not.toMatch(/upgrade|http2-settings|h2c/);
      await proxy.settled();
    },
  );
});
