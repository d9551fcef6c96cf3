import { Scoreboard } from "../../../../src/core/scoreboard.js";
import type { ProxyError } from "../../../../src/proxy/errors.js";
import { Http1Upstream } from "../../../../src/proxy/http1/upstream.js";
import type {
  DownstreamStream,
  FieldList,
  ResponseHead,
  UpstreamReceiver,
} from "../../../../src/proxy/message.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { backendOf } from "../../../support/pool-fixture.js";
import { DownstreamScene } from "./downstream-scene.js";
import { FakeConnection } from "./fake-connection.js";

/** What a client gets of a backend's bytes. */
export interface ObservedAnswer {
  readonly sent: string;
  /** Statuses of the interim answers and, `undefined` while there is none, of the last one. */
  readonly informational: number;
  readonly status: number | undefined;
  /** The data of the last answer's body, as the backend's side gave it. */
  readonly body: string;
  /** `whole`, `replaced` by a reply of our own, or `cut` in the middle. */
  readonly end: "whole" | "replaced" | "cut" | "pending";
  readonly client: "open" | "ended" | "reset";
}

/** Feeds a backend's bytes, in these pieces and then an end, through both connections of one exchange. */
export function observeAnswer(pieces: readonly string[], request: string): ObservedAnswer {
  const connection = new FakeConnection();
  const keeper = { keep() {}, closedAtRest() {}, crossingMs: () => 0, forget() {} };
  const upstream = new Http1Upstream(connection, backendOf(new Scoreboard(), "b"), keeper, new ManualClock());
  const relays: Relay[] = [];
  const scene = new DownstreamScene({
    begun: ({ stream, request: head }) => {
      const relay = new Relay(stream);
      relays.push(relay);
      const attempt = upstream.begin(relay, 1_000);
      attempt.sendHead(head, "");
      attempt.flush();
    },
  });
  scene.connection.receive(request);
  connection.isPaused = false;
  connection.receive(...pieces);
  connection.receiveEnd();
  const [relay] = relays;
  if (relay === undefined) throw new Error("no exchange");
  const { informational, status, body, end } = relay;
  const { sent, hasEnded, closed, wasReset } = scene.connection;
  const client = wasReset ? "reset" : hasEnded || closed ? "ended" : "open";
  return { sent, informational, status, body, end, client };
}

/** An exchange that passes on whatever comes, as it comes. */
class Relay implements UpstreamReceiver {
  informational = 0;
  status: number | undefined;
  body = "";
  end: ObservedAnswer["end"] = "pending";
  readonly #stream: DownstreamStream;

  constructor(stream: DownstreamStream) {
    this.#stream = stream;
  }

  onInformational(head: ResponseHead): void {
    this.informational++;
    this.#stream.sendInformational(head);
  }

  onResponseHead(head: ResponseHead): void {
    this.status = head.status;
    this.#stream.sendHead(head);
  }

  onResponseBody(bytes: Buffer): void {
    this.body += bytes.toString("latin1");
    this.#stream.sendBody(bytes);
  }

  onResponseEnd(trailers: FieldList | undefined): void {
    this.end = "whole";
    this.#stream.sendEnd(trailers);
    this.#stream.done();
  }

  onResponsePause(): void {
    this.#stream.flush();
  }

  onUpstreamDrain(): void {}

  onUpstreamFailure(error: ProxyError): void {
    this.end = this.status === undefined ? "replaced" : "cut";
    this.#stream.fail(error, "web");
    this.#stream.done();
  }

  onSwitched(): void {
    throw new Error("nobody asked for it");
  }
}
