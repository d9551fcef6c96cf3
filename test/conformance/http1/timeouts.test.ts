import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { aScene, GET, patterned, postHead, stalled } from "./scene.js";

/** Larger than what the kernel holds for a reader that takes nothing. */
const HUGE = 32 * 1024 * 1024;

describe("timeout http-request", () => {
  it("answers 408 to a head that is not whole in time, counted from its first byte", async () => {
    const clock = new ManualClock();
    const { proxy } = await aScene({ clock, clientTimeouts: { httpRequestMs: 10_000 } });
    const client = proxy.dial();
    await client.send("GET / HTTP/1.1\r\n");
    await stalled(() => proxy.listener.open);
    await clock.advance(5_000);
    await client.send("Host: a.example\r\n");
    await stalled(() => proxy.listener.open);
    await clock.advance(4_990);
    expect(client.ended).toBeUndefined();
    await clock.advance(20);
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(client.text).toContain("\r\nconnection: close\r\n");
    expect(proxy.records[0]).toMatchObject({ status: 408, endState: "cR", target: "GET / HTTP/1.1" });
  });

  it("closes a connection that sends nothing, without a word", async () => {
    const clock = new ManualClock();
    const { proxy } = await aScene({ clock, clientTimeouts: { httpRequestMs: 10_000 } });
    const client = proxy.dial();
    await until(() => proxy.listener.open === 1);
    await clock.advance(10_000);
    expect(await client.end()).toBe("");
    expect(proxy.records).toEqual([]);
  });
});

describe("timeout http-keep-alive", () => {
  it("closes an idle connection without a word, and not earlier", async () => {
    const clock = new ManualClock();
    const { proxy } = await aScene({ clock, clientTimeouts: { httpKeepAliveMs: 60_000 } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await clock.advance(59_990);
    expect(client.ended).toBeUndefined();
    await clock.advance(20);
    expect(await client.end()).toBe(OK);
    expect(proxy.records).toHaveLength(1);
  });

  it("still runs after a response that the client took slowly", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, clientTimeouts: { httpKeepAliveMs: 60_000 } });
    const body = patterned(HUGE);
    backend.script = () => ({ portions: [`HTTP/1.1 200 OK\r\ncontent-length: ${HUGE}\r\n\r\n`, body] });
    const client = proxy.dial();
    client.stall();
    await client.send(GET);
    await until(() => backend.requests.length === 1);
    client.unstall();
    await client.until((text) => text.length > HUGE);
    await proxy.settled();
    await clock.advance(59_000);
    expect(client.ended).toBeUndefined();
    await clock.advance(2_000);
    await client.end();
    expect(client.ended).toBe("end");
  });
});

describe("timeout client", () => {
  it("answers 408 to a body that stays away, each portion buying the time anew", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, clientTimeouts: { clientMs: 10_000 } });
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 10\r\n")}12`);
    await until(() => backend.text.endsWith("12"));
    await clock.advance(9_000);
    await client.send("34");
    await until(() => backend.text.endsWith("1234"));
    await clock.advance(9_990);
    expect(client.ended).toBeUndefined();
    await clock.advance(20);
    expect(await client.end()).toMatch(/^HTTP\/1\.1 408 /);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 408, errorCode: "client-timeout", endState: "cD" });
  });

  it("cuts a client that does not take its response", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      clientTimeouts: { clientMs: 10_000 },
      timeouts: { serverMs: 1_000 },
    });
    const body = patterned(HUGE);
    backend.script = () => ({ portions: [`HTTP/1.1 200 OK\r\ncontent-length: ${HUGE}\r\n\r\n`, body] });
    const client = proxy.dial();
    client.stall();
    await client.send(GET);
    await stalled(() => backend.connections[0]?.socket.bytesWritten ?? 0);
    // The backend is not to blame for the client's silence.
    await clock.advance(9_000);
    expect(proxy.pool.inFlight).toBe(1);
    await clock.advance(2_000);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "client-timeout", endState: "cD", status: 200 });
    client.unstall();
    await client.end();
    expect(client.text.length).toBeLessThan(HUGE);
  });
});

describe("timeout server", () => {
  it("answers 504 to a backend that stays silent", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, timeouts: { serverMs: 5_000 } });
    backend.script = () => undefined;
    const client = proxy.dial();
    await client.send(GET);
    await backend.request(0);
    await clock.advance(4_990);
    expect(client.text).toBe("");
    await clock.advance(20);
    await client.receives("504 pilotfish: ");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 504, errorCode: "upstream-timeout", endState: "sH" });
    await until(() => backend.connections[0]?.isClosed === true);
    // The client's connection is none the worse.
    backend.script = () => answer(OK);
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
  });

  it("cuts a response whose backend falls silent in the body", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, timeouts: { serverMs: 5_000 } });
    backend.script = () => answer("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345");
    const client = proxy.dial();
    await client.send(GET);
    await client.receives("12345");
    await clock.advance(5_010);
    await client.end();
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 200, errorCode: "upstream-timeout", endState: "sD" });
  });

  it("answers 504 for a backend that stops taking the body", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      timeouts: { serverMs: 5_000 },
      clientTimeouts: { clientMs: 60_000 },
    });
    backend.stall();
    const client = proxy.dial();
    void client.send(`${postHead(`Content-Length: ${HUGE}\r\n`)}`, patterned(HUGE));
    await until(() => proxy.pool.inFlight === 1);
    await stalled(() => client.socket.bytesWritten - client.socket.writableLength);
    await clock.advance(5_010);
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 504, errorCode: "upstream-timeout", endState: "sH" });
  });

  it("does not count while the client is slow with its body", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({
      clock,
      timeouts: { serverMs: 5_000 },
      clientTimeouts: { clientMs: 60_000 },
    });
    const client = proxy.dial();
    await client.send(`${postHead("Content-Length: 4\r\n")}12`);
    await until(() => backend.text.endsWith("12"));
    await clock.advance(20_000);
    expect(proxy.pool.inFlight).toBe(1);
    await client.send("34");
    await client.receives(OK);
    await proxy.settled();
  });
});

describe("timeout requestTotal", () => {
  it("answers 504 however the time was spent", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, timeouts: { requestTotalMs: 3_000 } });
    backend.script = () => undefined;
    const client = proxy.dial();
    await client.send(GET);
    await backend.request(0);
    await clock.advance(2_990);
    expect(client.text).toBe("");
    await clock.advance(20);
    await client.receives("504 pilotfish: ");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ errorCode: "request-total-timeout", endState: "sH" });
  });
});

describe("timeout upstreamIdle", () => {
  it("closes a backend's connection that nobody uses", async () => {
    const clock = new ManualClock();
    const { proxy, backend } = await aScene({ clock, timeouts: { upstreamIdleMs: 60_000 } });
    const client = proxy.dial();
    await client.send(GET);
    await client.receives(OK);
    await proxy.settled();
    await clock.advance(59_000);
    expect(backend.open).toBe(1);
    await clock.advance(1_010);
    await until(() => backend.open === 0);
  });
});
