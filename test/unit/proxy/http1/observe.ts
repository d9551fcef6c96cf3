import { Scoreboard } from "../../../../src/core/scoreboard.js";
import type { ProxyError } from "../../../../src/proxy/errors.js";
import { forwardedLines } from "../../../../src/proxy/headers.js";
import { Http1Upstream } from "../../../../src/proxy/http1/upstream.js";
import { CHUNK_END, chunkStart, lastChunk, requestHeadText } from "../../../../src/proxy/http1/writer.js";
import type { FieldList, ResponseHead, UpstreamReceiver } from "../../../../src/proxy/message.js";
import { requestHead } from "../../../support/heads.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { backendOf } from "../../../support/pool-fixture.js";
import { DownstreamScene } from "./downstream-scene.js";
import { FakeConnection } from "./fake-connection.js";

/** A request as an exchange saw it. */
export interface ObservedRequest {
  readonly method: string;
  readonly target: string;
  readonly lines: string;
  readonly body: string;
  readonly isWhole: boolean;
  readonly trailers: string;
  /** The whole request as it goes to a backend. */
  readonly forwarded: string;
}

/** What became of the bytes of a client. */
export interface ObservedRequests {
  readonly requests: readonly ObservedRequest[];
  /** Statuses of all replies, our own among them. */
  readonly statuses: readonly string[];
  readonly hasEnded: boolean;
}

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/** Feeds a client's bytes, in these pieces, to a connection whose every request is answered once it is whole. */
export function observeRequests(pieces: readonly string[]): ObservedRequests {
  const heads: string[] = [];
  const scene = new DownstreamScene({
    begun: (exchange) => {
      const { request, stream } = exchange;
      heads.push(requestHeadText(request, forwardedLines(request, stream.client)));
      exchange.onWhole = () => exchange.answer(OK);
      exchange.stream.readBody();
    },
  });
  for (const piece of pieces) scene.connection.receive(piece);
  return {
    requests: scene.exchanges.map(({ head, body, hasEnded, trailers }, index) => ({
      ...head,
      body: body.join(""),
      isWhole: hasEnded,
      trailers: trailers?.serialize(0, []) ?? "",
      forwarded: forwardedText(heads[index] ?? "", body.join(""), trailers),
    })),
    statuses: scene.connection.sent.match(/HTTP\/1\.1 \d{3}/g) ?? [],
    // Bytes behind the last request make it wait for more of them, if they are there before the answer is.
    hasEnded: scene.connection.hasEnded || scene.connection.closed,
  };
}

function forwardedText(head: string, body: string, trailers: FieldList | undefined): string {
  if (!head.includes("\r\ntransfer-encoding: chunked\r\n")) return head + body;
  const chunk = body === "" ? "" : chunkStart(body.length) + body + CHUNK_END;
  return head + chunk + lastChunk(trailers, []);
}

/** What became of the bytes of a backend. */
export interface ObservedResponse {
  readonly informational: readonly number[];
  readonly status: number;
  readonly lines: string;
  readonly body: string;
  readonly trailers: string;
  /** `ProxyError.code`, `whole`, or `pending`. */
  readonly end: string;
}

/** Feeds a backend's bytes, in these pieces and then an end, to a connection that waits for the answer to `request`. */
export function observeResponse(pieces: readonly string[], request: string): ObservedResponse {
  const head = requestHead(request);
  const seen = new Receiver();
  const connection = new FakeConnection();
  const keeper = { keep() {}, closedAtRest() {}, crossingMs: () => 0, forget() {} };
  const upstream = new Http1Upstream(connection, backendOf(new Scoreboard(), "b"), keeper, new ManualClock());
  const stream = upstream.begin(seen, 1_000);
  stream.sendHead(head, "");
  stream.flush();
  connection.isPaused = false;
  connection.receive(...pieces);
  connection.receiveEnd();
  const { informational, status, lines, body, trailers, end } = seen;
  return { informational, status, lines, body, trailers, end };
}

class Receiver implements UpstreamReceiver {
  readonly informational: number[] = [];
  status = 0;
  lines = "";
  body = "";
  trailers = "";
  end = "pending";

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
  }

  onResponseHead(head: ResponseHead): void {
    this.status = head.status;
    this.lines = head.fields.serialize(0, []);
  }

  onResponseBody(bytes: Buffer): void {
    this.body += bytes.toString("latin1");
  }

  onResponseEnd(trailers: FieldList | undefined): void {
    this.trailers = trailers?.serialize(0, []) ?? "";
    this.end = "whole";
  }

  onResponsePause(): void {}

  onUpstreamDrain(): void {}

  onUpstreamFailure(error: ProxyError): void {
    this.end = error.code;
  }

  onSwitched(): void {
    this.end = "switched";
  }
}
