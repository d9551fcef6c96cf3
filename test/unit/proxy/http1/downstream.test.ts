import { describe, expect, it } from "vitest";
import { responseHead } from "../../../support/heads.js";
import { DownstreamScene } from "./downstream-scene.js";
import { settled } from "./fake-connection.js";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const BIG = "x".repeat(70_000);

/** What the proxy adds to answers without a Date, at the manual clock's beginning. */
const DATE = "date: Tue, 14 Nov 2023 22:13:20 GMT\r\n";

describe("keep-alive", () => {
  it("answers a request and waits for the next one", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET);
    scene.exchange().answer(OK, "ok");
    expect(scene.connection.sent).toBe(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\n${DATE}\r\nok`);
    scene.connection.receive(GET);
    expect(scene.exchanges).toHaveLength(2);
  });

  it("closes after the response when the client asks for it", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("GET / HTTP/1.1\r\nhost: a\r\nConnection: Close\r\n\r\n");
    scene.exchange().answer(OK, "ok");
    expect(scene.connection.sent).toContain("\r\nconnection: close\r\n");
    expect(scene.connection.closed).toBe(true);
  });

  it("waits for the client's end where it asked for the close and sent more all the same", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("GET / HTTP/1.1\r\nhost: a\r\nConnection: Close\r\n\r\nmore");
    scene.exchange().answer(OK, "ok");
    expect(scene.connection.hasEnded).toBe(true);
    expect(scene.connection.closed).toBe(false);
  });

  it("waits for the client to take a response that the kernel has not", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("GET / HTTP/1.1\r\nhost: a\r\nConnection: Close\r\n\r\n");
    scene.connection.pendingBytes = 5;
    scene.exchange().answer(OK, "ok");
    expect(scene.connection.hasEnded).toBe(true);
    expect(scene.connection.closed).toBe(false);
  });

  it("closes after HTTP/1.0 unless keep-alive was asked for, and says so then", () => {
    const plain = new DownstreamScene();
    plain.connection.receive("GET / HTTP/1.0\r\n\r\n");
    plain.exchange().answer(OK, "ok");
    expect(plain.connection.closed).toBe(true);
    const kept = new DownstreamScene();
    kept.connection.receive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    kept.exchange().answer(OK, "ok");
    expect(kept.connection.sent).toContain("\r\nconnection: keep-alive\r\n");
    expect(kept.connection.hasEnded).toBe(false);
  });

  it("answers pipelined requests in order, one at a time", async () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET + GET.replace("/ ", "/2 "));
    expect(scene.exchanges).toHaveLength(1);
    scene.exchange().answer(OK, "ok");
    await settled();
    expect(scene.exchanges).toHaveLength(2);
    expect(scene.exchange(1).head.target).toBe("/2");
  });

  it("reads a little ahead, so that a client is seen to leave, and then no further", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET + GET);
    expect(scene.connection.isPaused).toBe(false);
    scene.connection.receive(GET.repeat(1_000));
    expect(scene.connection.isPaused).toBe(true);
  });

  it("begins no further request of a client that does not take its responses", async () => {
    const scene = new DownstreamScene({
      begun: (exchange) => exchange.answer("HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n", BIG),
    });
    scene.connection.isTaking = false;
    scene.connection.receive(...Array.from({ length: 50 }, () => GET + GET));
    await settled();
    expect(scene.exchanges).toHaveLength(1);
    scene.connection.drain();
    await settled();
    expect(scene.exchanges).toHaveLength(100);
  });

  it("cuts such a client after the client timeout", async () => {
    const scene = new DownstreamScene({
      clientMs: 5_000,
      begun: (exchange) => exchange.answer("HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n", BIG),
    });
    scene.connection.isTaking = false;
    scene.connection.receive(GET + GET);
    await settled();
    scene.clock.advanceSync(4_999);
    expect(scene.connection.closed).toBe(false);
    scene.clock.advanceSync(1);
    expect(scene.connection.closed).toBe(true);
  });
});

describe("the request's body", () => {
  const CHUNKED = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";

  it("is delivered only when asked for", async () => {
    const scene = new DownstreamScene();
    scene.connection.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
    expect(scene.exchange().body).toEqual([]);
    scene.exchange().stream.readBody();
    await settled();
    expect(scene.exchange().body.join("")).toBe("hello");
    expect(scene.exchange().hasEnded).toBe(true);
  });

  it("ends even when the last portion made the exchange hold back", async () => {
    const scene = new DownstreamScene({ begun: (exchange) => exchange.stream.readBody() });
    scene.connection.receive(CHUNKED);
    scene.exchange().onPortion = () => scene.exchange().stream.pauseBody();
    scene.connection.receive("5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n");
    scene.exchange().stream.readBody();
    await settled();
    expect(scene.exchange().hasEnded).toBe(true);
    expect(scene.exchange().trailers?.value("x-sum")).toBe("1");
  });

  it("is refused for bad framing even when the portion before made the exchange hold back", async () => {
    const scene = new DownstreamScene({ begun: (exchange) => exchange.stream.readBody() });
    scene.connection.receive(CHUNKED);
    scene.exchange().onPortion = () => scene.exchange().stream.pauseBody();
    scene.connection.receive("5\r\nhello\r\nzz\r\n");
    scene.exchange().stream.readBody();
    await settled();
    expect(scene.exchange().failure?.code).toBe("bad-request");
  });

  it("that stays away for the client timeout fails with 408, and the time starts anew with each portion", () => {
    const scene = new DownstreamScene({ clientMs: 3_000, begun: ({ stream }) => stream.readBody() });
    scene.connection.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe");
    scene.clock.advanceSync(2_999);
    scene.connection.receive("l");
    scene.clock.advanceSync(2_999);
    expect(scene.exchange().failure).toBeUndefined();
    scene.clock.advanceSync(1);
    expect(scene.status).toBe(408);
  });

  it("is still waited for with a limit after the response held back and drained", () => {
    const scene = new DownstreamScene({ clientMs: 3_000, begun: ({ stream }) => stream.readBody() });
    scene.connection.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe");
    scene.exchange().stream.sendHead(responseHead("HTTP/1.1 200 OK\r\ncontent-length: 80000\r\n\r\n"));
    scene.connection.isTaking = false;
    expect(scene.exchange().stream.sendBody(Buffer.from(BIG))).toBe(false);
    scene.connection.drain();
    scene.clock.advanceSync(3_000);
    expect(scene.exchange().failure?.code).toBe("client-timeout");
  });

  it("that ends short fails the exchange", async () => {
    const scene = new DownstreamScene({ begun: ({ stream }) => stream.readBody() });
    scene.connection.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhe");
    scene.connection.receiveEnd();
    await settled();
    expect(scene.exchange().failure?.code).toBe("client-left");
    expect(scene.connection.closed).toBe(true);
  });

  it("need not be whole for a response, which then ends the connection", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 500\r\n\r\nhe");
    scene.exchange().answer("HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\n", "no");
    expect(scene.connection.sent).toContain("\r\nconnection: close\r\n");
    expect(scene.connection.hasEnded).toBe(true);
    // What the client still sends is thrown away, so that a reset does not take the response from it.
    scene.connection.receive("x".repeat(1_000));
    expect(scene.connection.closed).toBe(false);
    scene.clock.advanceSync(2_000);
    expect(scene.connection.closed).toBe(true);
  });
});

describe("the response", () => {
  it("shares one write between head and first bytes, and is chunked where its length is unknown", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET);
    const { stream } = scene.exchange();
    stream.sendHead(responseHead("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
    expect(scene.connection.sent).toBe("");
    stream.sendBody(Buffer.from("hello"));
    stream.flush();
    stream.sendEnd(undefined);
    stream.done();
    expect(scene.connection.sent).toBe(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n${DATE}\r\n5\r\nhello\r\n0\r\n\r\n`,
    );
  });

  it("of unknown length ends with the connection for HTTP/1.0", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    scene.exchange().answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "hello");
    expect(scene.connection.sent).toBe(`HTTP/1.1 200 OK\r\n${DATE}connection: close\r\n\r\nhello`);
    expect(scene.connection.hasEnded).toBe(true);
  });

  it("that broke off is cut, so that the client can tell", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET);
    const { stream } = scene.exchange();
    stream.sendHead(responseHead("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"));
    stream.sendBody(Buffer.from("hello"));
    scene.exchange().cut();
    expect(scene.connection.closed).toBe(true);
    expect(scene.connection.hasEnded).toBe(false);
  });

  it("that ends with the connection is reset when it broke off, since its end would look whole", () => {
    const scene = new DownstreamScene();
    scene.connection.receive("GET / HTTP/1.0\r\n\r\n");
    const { stream } = scene.exchange();
    stream.sendHead(responseHead("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"));
    stream.sendBody(Buffer.from("hello"));
    scene.exchange().cut();
    expect(scene.connection.wasReset).toBe(true);
  });

  it("reaches a slow reader whole, though the connection is to close", () => {
    const scene = new DownstreamScene({ clientMs: 30_000 });
    scene.connection.isTaking = false;
    scene.connection.receive("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    scene.exchange().answer(OK, "ok");
    scene.clock.advanceSync(10_000);
    expect(scene.connection.closed).toBe(false);
    scene.clock.advanceSync(20_000);
    expect(scene.connection.closed).toBe(true);
  });

  it("reaches a client whole that half-closes before it has read it", async () => {
    for (const connection of ["close", "keep-alive"]) {
      const scene = new DownstreamScene();
      scene.connection.isTaking = false;
      scene.connection.receive(`GET / HTTP/1.1\r\nhost: a\r\nconnection: ${connection}\r\n\r\n`);
      scene.exchange().answer(OK, "ok");
      scene.connection.receiveEnd();
      await settled();
      expect(scene.connection.hasEnded).toBe(true);
      expect(scene.connection.closed).toBe(false);
    }
  });

  it("is given to a client that half-closed after its request", async () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET);
    scene.connection.receiveEnd();
    await settled();
    expect(scene.exchange().failure).toBeUndefined();
    scene.exchange().answer(OK, "ok");
    expect(scene.connection.sent).toContain("\r\nconnection: close\r\n");
    expect(scene.connection.hasEnded).toBe(true);
  });

  it("passes 1xx on, but not to HTTP/1.0", () => {
    for (const [version, expected] of [
      ["1.1", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"],
      ["1.0", ""],
    ]) {
      const scene = new DownstreamScene();
      scene.connection.receive(`GET / HTTP/${version}\r\nhost: a\r\n\r\n`);
      scene
        .exchange()
        .stream.sendInformational(
          responseHead("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nkeep-alive: 5\r\n\r\n"),
        );
      expect(scene.connection.sent).toBe(expected);
    }
  });
});

describe("timeouts of a head", () => {
  it("answers 408 to a head that is not whole in time, counted from its first byte", () => {
    const scene = new DownstreamScene({ httpRequestMs: 4_000 });
    scene.connection.receive(GET);
    scene.exchange().answer(OK, "ok");
    const before = scene.connection.sent.length;
    scene.clock.advanceSync(20_000);
    scene.connection.receive("GET / HT");
    scene.clock.advanceSync(2_000);
    scene.connection.receive("TP/1.1\r\n");
    scene.clock.advanceSync(1_999);
    expect(scene.connection.sent.length).toBe(before);
    scene.clock.advanceSync(1);
    expect(scene.connection.sent.slice(before)).toMatch(/^HTTP\/1\.1 408 .*connection: close/s);
    expect(scene.lines.at(-1)).toMatchObject({ status: 408, endState: "cR" });
  });

  it("closes a connection silently that sends nothing at all", () => {
    const scene = new DownstreamScene({ httpRequestMs: 4_000 });
    scene.clock.advanceSync(3_999);
    expect(scene.connection.closed).toBe(false);
    scene.clock.advanceSync(1);
    expect(scene.connection.closed).toBe(true);
    expect(scene.connection.sent).toBe("");
  });

  it("closes an idle connection silently after the keep-alive time", () => {
    const scene = new DownstreamScene({ httpKeepAliveMs: 7_000 });
    scene.connection.receive(GET);
    scene.exchange().answer(OK, "ok");
    const { sent } = scene.connection;
    scene.clock.advanceSync(6_999);
    expect(scene.connection.closed).toBe(false);
    scene.clock.advanceSync(1);
    expect(scene.connection.closed).toBe(true);
    expect(scene.connection.sent).toBe(sent);
  });
});

describe("limits", () => {
  it.each([
    ["a target that never ends", `GET /${"a".repeat(300)}`, 414],
    ["a field that never ends", `GET / HTTP/1.1\r\nx: ${"a".repeat(300)}`, 431],
    ["a whole head over the limit", `GET / HTTP/1.1\r\nhost: a\r\nx: ${"a".repeat(300)}\r\n\r\n`, 431],
    ["too many fields", `GET / HTTP/1.1\r\nhost: a\r\n${"x: y\r\n".repeat(8)}\r\n`, 431],
  ])("refuses %s", (_, text, status) => {
    const scene = new DownstreamScene({ maxHeadBytes: 256, maxHeaders: 8 });
    scene.connection.receive(text);
    expect(scene.status).toBe(status);
    expect(scene.exchanges).toHaveLength(0);
    expect(scene.connection.hasEnded).toBe(true);
  });

  it("takes a head of exactly the limit", () => {
    const head = "GET / HTTP/1.1\r\nhost: a\r\nx: ";
    const scene = new DownstreamScene({ maxHeadBytes: 256 });
    scene.connection.receive(`${head}${"a".repeat(256 - head.length - 4)}\r\n\r\n`);
    expect(scene.exchanges).toHaveLength(1);
  });

  it("passes over two empty lines before a request and refuses more, however they come", () => {
    for (const pieces of [["\r\n\r\n\r\n"], ["\r\n", "\r\n", "\r\n"], ["\r", "\n\r", "\n\r", "\n"]]) {
      const scene = new DownstreamScene();
      scene.connection.receive(...pieces, GET);
      expect(scene.status).toBe(400);
    }
    for (const pieces of [["\r\n\r\n"], ["\r", "\n", "\r", "\n"]]) {
      const scene = new DownstreamScene();
      scene.connection.receive(...pieces, GET);
      expect(scene.exchanges).toHaveLength(1);
    }
  });

  it("does not wait for the rest of what cannot become a request", () => {
    for (const text of ["\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\nhost: a\n", "\0"]) {
      const scene = new DownstreamScene();
      scene.connection.receive(text);
      expect(scene.status).toBe(400);
    }
  });
});

describe("the end of a session", () => {
  it("closes a quiet connection at once when it drains, a busy one after its response", () => {
    const quiet = new DownstreamScene();
    quiet.clock.advanceSync(1_000);
    quiet.downstream.drain();
    expect(quiet.connection.hasEnded).toBe(true);
    const busy = new DownstreamScene();
    busy.connection.receive(GET);
    busy.downstream.drain();
    expect(busy.connection.hasEnded).toBe(false);
    busy.exchange().answer(OK, "ok");
    expect(busy.connection.sent).toContain("\r\nconnection: close\r\n");
    expect(busy.connection.hasEnded).toBe(true);
  });

  it("answers what was under way on a connection that came or was used within a second of a drain", () => {
    const fresh = new DownstreamScene();
    fresh.clock.advanceSync(999);
    fresh.downstream.drain();
    const used = new DownstreamScene();
    used.clock.advanceSync(5_000);
    used.connection.receive(GET);
    used.exchange().answer(OK, "ok");
    used.clock.advanceSync(999);
    used.downstream.drain();
    for (const scene of [fresh, used]) {
      expect(scene.connection.hasEnded).toBe(false);
      scene.connection.receive(GET);
      scene.exchange(scene.exchanges.length - 1).answer(OK, "ok");
      expect(scene.connection.sent).toContain("\r\nconnection: close\r\n");
      expect(scene.connection.hasEnded).toBe(true);
    }
  });

  it("closes within a second what came just before a drain and asks for nothing", () => {
    const late = new DownstreamScene();
    late.clock.advanceSync(400);
    late.downstream.drain();
    late.clock.advanceSync(599);
    expect(late.connection.closed).toBe(false);
    late.clock.advanceSync(1);
    expect(late.connection.closed).toBe(true);
  });

  it("tells the exchange and the listener once when the client vanishes, and leaves no timer", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(GET);
    scene.connection.receiveReset();
    expect(scene.exchange().failure?.code).toBe("client-left");
    expect(scene.closedSessions).toBe(1);
    expect(scene.clock.pendingTimers()).toBe(0);
  });

  it("hands a switched connection over with the bytes that came too early", () => {
    const scene = new DownstreamScene();
    scene.connection.receive(
      "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\nearly",
    );
    const switched = scene
      .exchange()
      .stream.switchProtocol(
        responseHead("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
      );
    expect(switched.firstBytes?.toString()).toBe("early");
    expect(scene.connection.sent).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    );
  });
});
