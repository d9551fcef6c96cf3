import { describe, expect, it } from "vitest";
import { Scoreboard } from "../../../../src/core/scoreboard.js";
import type { ProxyError } from "../../../../src/proxy/errors.js";
import { Http1Upstream } from "../../../../src/proxy/http1/upstream.js";
import type { UpstreamReceiver } from "../../../../src/proxy/message.js";
import { requestHead } from "../../../support/heads.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { backendOf } from "../../../support/pool-fixture.js";
import { FakeConnection } from "./fake-connection.js";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/** Hears nothing. */
const DEAF: UpstreamReceiver = {
  onInformational() {},
  onResponseHead() {},
  onResponseBody() {},
  onResponseEnd() {},
  onResponsePause() {},
  onUpstreamDrain() {},
  onUpstreamFailure() {},
  onSwitched() {},
};

/** A connection that has been given a whole POST with this body, and what became of both. */
function sent(body: string, isTaking: boolean) {
  const connection = new FakeConnection();
  connection.isTaking = isTaking;
  const log: string[] = [];
  const keeper = {
    keep: () => log.push("kept"),
    closedAtRest() {},
    crossingMs: () => 2,
    forget: () => log.push("forgotten"),
  };
  const receiver: UpstreamReceiver = {
    ...DEAF,
    onResponseHead: (head) => log.push(String(head.status)),
    onResponseEnd: () => log.push("whole"),
    onUpstreamFailure: (error: ProxyError) => log.push(error.code),
  };
  const upstream = new Http1Upstream(connection, backendOf(new Scoreboard(), "b"), keeper, new ManualClock());
  const stream = upstream.begin(receiver, 1_000);
  stream.sendHead(
    requestHead(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`),
    "host: a\r\n",
  );
  stream.sendBody(Buffer.from(body));
  stream.sendEnd(undefined);
  stream.flush();
  return { connection, log };
}

describe("a backend's connection behind a whole answer", () => {
  it("serves on where the kernel has taken the request", () => {
    const { connection, log } = sent("hello", true);
    connection.receive(OK);
    expect(log).toEqual(["200", "kept", "whole"]);
  });

  // What is still queued could be read as the next request by a backend that answered without it.
  it("is closed where a part of the request is still queued (RFC 9112 section 9.3)", () => {
    const { connection, log } = sent("hello", false);
    connection.receive(OK);
    expect(log).toEqual(["200", "forgotten", "whole"]);
    expect(connection.closed).toBe(true);
  });

  it("is closed where a part of the request is still held (RFC 9112 section 9.3)", () => {
    const { connection, log } = sent("hello", true);
    connection.heldBytes = 5;
    connection.receive(OK);
    expect(log).toEqual(["200", "forgotten", "whole"]);
  });
});

describe("bytes of a backend before the request has left", () => {
  it("are no answer to it", () => {
    const { connection, log } = sent("hello", true);
    connection.heldBytes = connection.bytesWritten;
    connection.receive(OK);
    expect(log).toEqual(["forgotten", "upstream-reset"]);
    expect(connection.closed).toBe(true);
  });
});

describe("a backend's connection that dies of its second request", () => {
  /** Its keeper says that a close may be under way for 5 ms. */
  function died(afterMs: number) {
    const clock = new ManualClock();
    const connection = new FakeConnection();
    const errors: ProxyError[] = [];
    let atRest = 0;
    const keeper = { keep() {}, closedAtRest: () => atRest++, crossingMs: () => 5, forget() {} };
    const receiver: UpstreamReceiver = { ...DEAF, onUpstreamFailure: (error) => errors.push(error) };
    const upstream = new Http1Upstream(connection, backendOf(new Scoreboard(), "b"), keeper, clock);
    const get = requestHead("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    upstream.begin(receiver, 10_000);
    upstream.sendHead(get, "host: a\r\n");
    upstream.flush();
    clock.advanceSync(1_000);
    connection.receive(OK);
    upstream.begin(receiver, 10_000);
    upstream.sendHead(get, "host: a\r\n");
    // The client's body is on its way: nothing was sent yet.
    clock.advanceSync(1_000);
    upstream.flush();
    clock.advanceSync(afterMs);
    connection.receiveReset();
    return { isStale: errors[0]?.isStale, atRest };
  }

  it("may have been closed at rest as long as the close can have been on its way", () => {
    expect(died(0)).toEqual({ isStale: true, atRest: 1 });
    expect(died(5)).toEqual({ isStale: true, atRest: 1 });
  });

  it("was not closed at rest after that", () => {
    expect(died(6)).toEqual({ isStale: false, atRest: 0 });
  });
});
