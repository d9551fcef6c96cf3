import { describe, expect, it } from "vitest";
import { ManualClock } from "../../support/manual-clock.js";
import { until } from "../../support/raw-client.js";
import { answer, OK, type RecordingBackend } from "../../support/recording-backend.js";
import { aBackend, aProxy, GET, getOf, postHead } from "./scene.js";

const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const EXPECT = "\r\nexpect: 100-continue";
const HEAD = postHead("Content-Length: 5\r\n");

/** What a backend does once it has the head of a request, and nothing behind it. */
type OnHead = "continue" | "end" | "reset" | "silence";

/** Two backends of a pool that asks first; `first` has its turn first. */
async function two(more: object = {}) {
  const [first, second] = [await aBackend(), await aBackend()];
  const proxy = await aProxy({
    backends: [second.port, first.port],
    retries: { expectContinueMs: 1_000 },
    ...more,
  });
  onHead(second, "continue");
  return { first, second, proxy, client: proxy.dial() };
}

function onHead(backend: RecordingBackend, what: OnHead): void {
  backend.onBytes = ({ text, socket }) => {
    if (!text.endsWith("\r\n\r\n")) return false;
    if (what === "continue") socket.write(CONTINUE);
    else if (what === "end") socket.end();
    else if (what === "reset") socket.resetAndDestroy();
    return what !== "continue";
  };
}

function bodies(...backends: readonly RecordingBackend[]): readonly (readonly string[])[] {
  return backends.map(({ requests }) => requests.map(({ body }) => body));
}

describe("a POST in a pool that asks first (RFC 9110 10.1.1)", () => {
  it("is sent with its expectation, its body held until the backend's 100, which the client never sees", async () => {
    const { first, second, proxy, client } = await two();
    onHead(first, "silence");
    await client.send(`${HEAD}hello`);
    await until(() => first.text.includes("\r\n\r\n"));
    const connection = await first.connection(0);
    expect(connection.text).toContain(EXPECT);
    expect(connection.text).toMatch(/\r\n\r\n$/);
    first.onBytes = undefined;
    connection.socket.write(CONTINUE);
    await client.until((text) => text === OK);
    await proxy.settled();
    expect(bodies(first, second)).toEqual([["hello"], []]);
  });

  it.each(["end", "reset"] as const)(
    "goes elsewhere when its connection breaks before the 100 (%s)",
    async (how) => {
      const { first, second, proxy, client } = await two();
      onHead(first, how);
      await client.send(`${HEAD}hello`);
      await client.until((text) => text === OK);
      await proxy.settled();
      expect(bodies(first, second)).toEqual([[], ["hello"]]);
      expect(proxy.records[0]).toMatchObject({ status: 200, retries: 1, isRedispatched: true });
    },
  );

  it("is not sent twice once the 100 has come", async () => {
    const { first, second, proxy, client } = await two();
    onHead(first, "continue");
    first.script = () => answer("", "reset");
    await client.send(`${HEAD}hello`);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(bodies(first, second)).toEqual([["hello"], []]);
  });

  it("is not sent twice either when the connection breaks right after the 100", async () => {
    const { first, second, proxy, client } = await two();
    first.onBytes = ({ socket }) => {
      socket.write(CONTINUE, () => socket.resetAndDestroy());
      return true;
    };
    await client.send(HEAD);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(bodies(second)).toEqual([[]]);
  });

  it("gives its body after a while to a backend that never says 100, and is not sent twice from then on", async () => {
    const clock = new ManualClock();
    const { first, second, proxy, client } = await two({ clock });
    onHead(first, "silence");
    await client.send(`${HEAD}hello`);
    await until(() => first.text.includes("\r\n\r\n"));
    await clock.advance(999);
    expect(first.text).toMatch(/\r\n\r\n$/);
    first.onBytes = undefined;
    first.script = () => answer("", "reset");
    await clock.advance(1);
    await client.receives("502 pilotfish: ");
    await proxy.settled();
    expect(bodies(first, second)).toEqual([["hello"], []]);
  });

  it("is answered with what the backend says instead of 100", async () => {
    const { first, proxy, client } = await two();
    first.onBytes = ({ socket, text }) => {
      if (!text.endsWith("\r\n\r\n")) return true;
      socket.write("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      return true;
    };
    await client.send(`${HEAD}hello`);
    await client.receives("HTTP/1.1 401 Unauthorized\r\n");
    await proxy.settled();
    expect(proxy.records[0]).toMatchObject({ status: 401, retries: 0 });
  });

  it("lets its body go to a backend that begins to answer without it", async () => {
    const { first, proxy, client } = await two();
    first.onBytes = ({ text, socket }) => {
      if (text.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
      else if (text.endsWith("hello")) socket.write("hello");
      return true;
    };
    await client.send(`${HEAD}hello`);
    await client.receives("\r\n\r\nhello");
    await proxy.settled();
  });

  it("is sent without its expectation where that was refused with 417", async () => {
    const { first, second, proxy, client } = await two();
    for (const backend of [first, second]) {
      backend.onBytes = ({ text, socket }) => {
        if (!text.includes(EXPECT)) return false;
        socket.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
        return true;
      };
    }
    await client.send(`${HEAD}hello`);
    await client.until((text) => text === OK);
    await proxy.settled();
    expect(bodies(first, second)).toEqual([[], ["hello"]]);
  });

  it("travels on no connection that stood idle for long once its expectation was refused", async () => {
    const clock = new ManualClock();
    const { first, second, proxy, client } = await two({ clock });
    for (const backend of [first, second]) {
      backend.onBytes = ({ text, socket }) => {
        if (!text.includes(EXPECT)) return false;
        socket.write("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
        return true;
      };
    }
    for (const answers of [OK, OK + OK]) {
      await client.send(GET);
      await client.until((text) => text === answers);
      await proxy.settled();
    }
    await clock.advance(4_000);
    await client.send(`${HEAD}hello`);
    await client.until((text) => text === OK + OK + OK);
    await proxy.settled();
    expect(first.connections).toHaveLength(1);
    expect(second.requests.at(-1)).toMatchObject({ body: "hello", connection: 1 });
  });

  it("passes the 100 on to a client that asked for it itself, once", async () => {
    const { first, proxy, client } = await two();
    onHead(first, "continue");
    await client.send(postHead("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    await client.until((text) => text === CONTINUE);
    await client.send("hello");
    await client.until((text) => text === CONTINUE + OK);
    await proxy.settled();
    expect(first.requests[0]?.head.match(/expect/gi)).toHaveLength(1);
  });

  it("goes elsewhere with a client that waits for the 100", async () => {
    const { first, second, proxy, client } = await two();
    onHead(first, "reset");
    await client.send(postHead("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    await client.until((text) => text === CONTINUE);
    await client.send("hello");
    await client.until((text) => text === CONTINUE + OK);
    await proxy.settled();
    expect(bodies(first, second)).toEqual([[], ["hello"]]);
  });

  it("travels on a connection that stood idle for long, as it can be told from a broken one", async () => {
    const clock = new ManualClock();
    const only = await aBackend();
    onHead(only, "continue");
    const proxy = await aProxy({ backends: [only.port], retries: { expectContinueMs: 1_000 }, clock });
    const client = proxy.dial();
    await client.send(GET);
    await until(() => only.text.includes("\r\n\r\n"));
    await client.receives(OK);
    await proxy.settled();
    await clock.advance(4_000);
    await client.send(`${HEAD}hello`);
    await client.until((text) => text.endsWith(OK) && text.split(OK).length === 3);
    await proxy.settled();
    expect(only.connections).toHaveLength(1);
  });

  it("asks nothing without a body, nor for what may be sent twice", async () => {
    const { first, second, proxy, client } = await two();
    first.onBytes = undefined;
    second.onBytes = undefined;
    for (const request of [
      postHead(""),
      "PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi",
      getOf("/"),
    ]) {
      const before = client.text.length;
      await client.send(request);
      await client.until((text) => text.length === before + OK.length);
      await proxy.settled();
    }
    expect(first.text + second.text).not.toMatch(/expect/i);
  });
});
