import { describe, expect, it } from "vitest";
import { until } from "../../support/raw-client.js";
import { answer, OK } from "../../support/recording-backend.js";
import { observeRequests } from "../../unit/proxy/http1/observe.js";
import { REFUSED_FIELDS } from "./cases-fields.js";
import { REFUSED_FRAMING } from "./cases-framing.js";
import { REFUSED_REQUEST_LINES } from "./cases-request-line.js";
import { REFUSED_SMUGGLING } from "./cases-smuggling.js";
import { aScene, GET, getOf, postHead } from "./scene.js";

const SMUGGLED = getOf("/smuggled");
const REFUSED = [...REFUSED_REQUEST_LINES, ...REFUSED_FIELDS, ...REFUSED_FRAMING, ...REFUSED_SMUGGLING];

/** Attacks on what a connection serves after one request (RFC 9112 sections 9 and 11.2). */
describe("a connection", () => {
  it.each(REFUSED)("serves nothing behind $name", ({ send, status }) => {
    const { requests, statuses, hasEnded } = observeRequests([send + SMUGGLED]);
    expect(statuses).toEqual([`HTTP/1.1 ${status}`]);
    expect(requests.filter(({ isWhole }) => isWhole)).toEqual([]);
    expect(hasEnded).toBe(true);
  });

  it.each(REFUSED)("that has served before is as strict with $name", ({ send, status }) => {
    const { requests, statuses, hasEnded } = observeRequests([GET + send + SMUGGLED]);
    expect(statuses).toEqual(["HTTP/1.1 200", `HTTP/1.1 ${status}`]);
    expect(requests.filter(({ isWhole }) => isWhole).map(({ method }) => method)).toEqual(["GET"]);
    expect(hasEnded).toBe(true);
  });

  it("routes each request by itself, whatever the one before was allowed", async () => {
    const route = {
      match: { ...NO_MATCH, host: "a.example" },
      pools: [{ pool: "web", weight: 1 }],
      timeouts: { requestTotalMs: undefined, serverMs: undefined },
      retries: { max: undefined, perTryMs: undefined, on: undefined },
      priority: undefined,
    };
    const { proxy, backend } = await aScene({ routes: [route], pool: undefined });
    const client = proxy.dial();
    const hidden = GET.replace("a.example", "hidden.example");
    await client.send(GET + hidden + GET + hidden.replace(" / ", " http://hidden.example/ "));
    await client.until((text) => text.split("HTTP/1.1 404 ").length === 3);
    await proxy.settled();
    expect(client.text.match(/HTTP\/1\.1 \d{3}/g)).toEqual([
      "HTTP/1.1 200",
      "HTTP/1.1 404",
      "HTTP/1.1 200",
      "HTTP/1.1 404",
    ]);
    expect(backend.text).not.toContain("hidden");
  });

  it("passes over two empty lines before each of its requests (RFC 9112 2.2)", () => {
    const { requests, hasEnded } = observeRequests([`\r\n\r\n${GET}`.repeat(3)]);
    expect(requests.map(({ isWhole }) => isWhole)).toEqual([true, true, true]);
    expect(hasEnded).toBe(false);
  });

  it("counts the extensions and keeps the trailers of each body apart", () => {
    const fields = "Transfer-Encoding: chunked\r\n";
    const long = `${postHead(fields)}1;${"a".repeat(200)}\r\nx\r\n0\r\n\r\n`;
    const { requests } = observeRequests([
      long.repeat(100),
      `${postHead(fields)}0\r\nA: 1\r\n`,
      `B: 2\r\n\r\n${postHead(fields)}0\r\nC`,
      `: 3\r\n\r\n${postHead(fields)}0\r\n\r\n`,
    ]);
    expect(requests.map(({ isWhole }) => isWhole)).toEqual(Array(103).fill(true));
    expect(requests.slice(100).map(({ trailers }) => trailers)).toEqual(["A: 1\r\nB: 2\r\n", "C: 3\r\n", ""]);
  });
});

const NO_MATCH = {
  host: undefined,
  path: undefined,
  pathPrefix: undefined,
  method: undefined,
  headers: [],
} as const;

/** Whoever is answered before the whole request came may go on sending what looks like requests. */
describe("a body that nobody waits for", () => {
  it("is not taken for requests behind an early answer", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      if (connection.taken === 0 && connection.text.includes("\r\n\r\nG")) {
        connection.taken = 1;
        connection.socket.write(OK);
      }
      return true;
    };
    const client = proxy.dial();
    await client.send(`${postHead(`Content-Length: ${SMUGGLED.length * 2}\r\n`)}G`);
    await client.end();
    await client.send(SMUGGLED.slice(1) + SMUGGLED);
    client.finish();
    await until(() => client.closed);
    await until(() => backend.connections.every(({ isClosed }) => isClosed));
    expect(client.text).toBe(OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    expect(backend.text).not.toContain("/smuggled");
    expect(proxy.records).toHaveLength(1);
    await proxy.settled();
  });

  it("is not taken for requests behind a refused expectation (RFC 9110 10.1.1)", async () => {
    const { proxy, backend } = await aScene();
    backend.onBytes = (connection) => {
      connection.socket.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
      return true;
    };
    const client = proxy.dial();
    await client.send(postHead(`Expect: 100-continue\r\nContent-Length: ${SMUGGLED.length}\r\n`));
    await client.receives("417 Expectation Failed");
    await client.send(SMUGGLED);
    await client.end();
    await until(() => backend.connections.every(({ isClosed }) => isClosed));
    expect(client.text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(backend.text).not.toContain("/smuggled");
    await proxy.settled();
  });

  it("is not taken for requests behind a 404 of our own", async () => {
    const { proxy } = await aScene({ pool: undefined });
    const client = proxy.dial();
    await client.send(postHead(`Content-Length: ${SMUGGLED.length}\r\n`) + SMUGGLED);
    await client.end();
    expect(client.text.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(proxy.records).toHaveLength(1);
  });

  it("of a HEAD goes to its backend, and none comes back", async () => {
    const { proxy, backend } = await aScene();
    backend.script = () => answer("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n");
    const client = proxy.dial();
    const head = postHead(`Expect: 100-continue\r\nContent-Length: ${SMUGGLED.length}\r\n`);
    await client.send(head.replace("POST", "HEAD") + SMUGGLED);
    await client.receives("content-length: 50\r\n\r\n");
    backend.script = () => answer(OK);
    await client.send(GET);
    await client.receives(OK);
    expect(client.text).toBe(`HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n${OK}`);
    expect(backend.requests.map(({ head: [letter] }) => letter)).toEqual(["H", "G"]);
    await proxy.settled();
  });
});

/** A backend that takes a body for a further request answers twice: the second answer is nobody's. */
describe("an answer too many", () => {
  const EVIL = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

  it.each([
    ["in the same read", EVIL],
    ["cut short in its head", EVIL.slice(0, 20)],
    ["of one byte", "H"],
    ["of an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"],
  ])("%s reaches no other client", async (_, more) => {
    const { proxy, backend } = await aScene();
    backend.script = ({ head }) => answer(head.includes("/next") ? OK : OK + more);
    const [first, second] = [proxy.dial(), proxy.dial()];
    await first.send(GET);
    await first.receives(OK);
    await second.send(getOf("/next"));
    await second.receives(OK);
    expect([first.text, second.text]).toEqual([OK, OK]);
    expect(backend.requests.map(({ connection }) => connection)).toEqual([0, 1]);
    await proxy.settled();
  });

  it.each([
    ["HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"],
    ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\n"],
  ])(
    "behind a %s whose answer has no body, once it is idle, reaches no other client",
    async (method, text) => {
      const { proxy, backend } = await aScene();
      backend.script = ({ head }) => answer(head.includes("/next") ? OK : text);
      const [first, second] = [proxy.dial(), proxy.dial()];
      await first.send(GET.replace("GET", method));
      await first.receives("\r\n\r\n");
      await proxy.settled();
      backend.connections[0]?.socket.write(EVIL);
      await until(() => backend.connections[0]?.isClosed === true);
      await second.send(getOf("/next"));
      await second.receives(OK);
      expect([first.text, second.text]).toEqual([text, OK]);
      await proxy.settled();
    },
  );

  it("while the head of the next request waits for its body answers nothing", async () => {
    const { proxy, backend } = await aScene({ reuse: { mode: "always" } });
    const [first, second] = [proxy.dial(), proxy.dial()];
    await first.send(GET);
    await first.receives(OK);
    await proxy.settled();
    await second.send(postHead("Content-Length: 5\r\n"));
    await until(() => proxy.pool.inFlight === 1);
    backend.connections[0]?.socket.write(EVIL);
    await until(() => backend.connections.length === 2);
    await second.send("hello");
    await second.receives(OK);
    expect(second.text).toBe(OK);
    await proxy.settled();
  });
});
