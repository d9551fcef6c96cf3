import type { AccessRecord } from "../../../../src/proxy/access-record.js";
import { ProxyError } from "../../../../src/proxy/errors.js";
import { Http1Downstream } from "../../../../src/proxy/http1/downstream.js";
import type {
  DownstreamReceiver,
  DownstreamStream,
  FieldList,
  RequestHead,
} from "../../../../src/proxy/message.js";
import { responseHead } from "../../../support/heads.js";
import { ManualClock } from "../../../support/manual-clock.js";
import { FakeConnection } from "./fake-connection.js";

/** An exchange played by the test. */
export class FakeExchange implements DownstreamReceiver {
  endsWithClient = false;
  readonly stream: DownstreamStream;
  /** Good until the next request begins. */
  readonly request: RequestHead;
  readonly head: { readonly method: string; readonly target: string; readonly lines: string };
  readonly body: string[] = [];
  trailers: FieldList | undefined;
  hasEnded = false;
  pauses = 0;
  drains = 0;
  failure: ProxyError | undefined;
  /** Called with each portion of the body, while it is valid. */
  onPortion: (bytes: Buffer) => void = () => undefined;
  /** Called when the request is whole. */
  onWhole: () => void = () => undefined;
  readonly #begun: (exchange: FakeExchange) => void;

  constructor(stream: DownstreamStream, head: RequestHead, begun: (exchange: FakeExchange) => void) {
    this.stream = stream;
    this.request = head;
    this.head = { method: head.method, target: head.target, lines: head.fields.serialize(0, []) };
    this.#begun = begun;
  }

  start(): void {
    this.#begun(this);
  }

  onRequestBody(bytes: Buffer): void {
    this.body.push(bytes.toString("latin1"));
    this.onPortion(bytes);
  }

  onRequestEnd(trailers: FieldList | undefined): void {
    this.hasEnded = true;
    this.trailers = trailers;
    this.onWhole();
  }

  onRequestPause(): void {
    this.pauses++;
  }

  onDownstreamDrain(): void {
    this.drains++;
  }

  onDownstreamFailure(error: ProxyError): void {
    this.failure ??= error;
    this.stream.fail(error, "web");
    this.stream.done();
  }

  cut(): void {
    this.onDownstreamFailure(new ProxyError("cut", "data"));
  }

  /** Answers with a whole response. */
  answer(text: string, body = ""): void {
    this.stream.sendHead(responseHead(text, this.head.method));
    if (body !== "") this.stream.sendBody(Buffer.from(body, "latin1"));
    this.stream.sendEnd(undefined);
    this.stream.done();
  }
}

export interface DownstreamSceneOptions {
  readonly clientMs?: number;
  readonly httpRequestMs?: number;
  readonly httpKeepAliveMs?: number;
  readonly maxHeadBytes?: number;
  readonly maxHeaders?: number;
  /** What happens as soon as an exchange begins. */
  readonly begun?: (exchange: FakeExchange) => void;
}

/** A client connection, the requests that came of it, and the lines it logged itself. */
export class DownstreamScene {
  readonly clock = new ManualClock();
  readonly connection = new FakeConnection();
  readonly exchanges: FakeExchange[] = [];
  readonly lines: { status: number; target: string; endState: string }[] = [];
  readonly downstream: Http1Downstream;
  closedSessions = 0;

  constructor(options: DownstreamSceneOptions = {}) {
    const begun = options.begun ?? (() => undefined);
    this.downstream = new Http1Downstream(
      {
        listener: "front",
        timeouts: {
          clientMs: options.clientMs ?? 30_000,
          httpRequestMs: options.httpRequestMs ?? 10_000,
          httpKeepAliveMs: options.httpKeepAliveMs ?? 60_000,
        },
        limits: {
          maxConnections: 0,
          maxWaiting: 1_000,
          backlog: 4_096,
          maxConnectionsPerAddress: 0,
          maxHeadBytes: options.maxHeadBytes ?? 16_384,
          maxHeaders: options.maxHeaders ?? 128,
          maxBodyBytes: 0,
        },
        allowsConnect: false,
        clock: this.clock,
        accessLog: {
          write: ({ status, target, endState }: AccessRecord) => {
            this.lines.push({ status, target, endState });
          },
        },
        isTrusted: () => false,
        begin: (stream, head) => {
          const exchange = new FakeExchange(stream, head, begun);
          this.exchanges.push(exchange);
          return exchange;
        },
      },
      this.connection,
      {
        listenerConnections: 1,
        processConnections: 1,
        closed: () => {
          this.closedSessions++;
        },
      },
    );
  }

  exchange(index = 0): FakeExchange {
    const exchange = this.exchanges[index];
    if (exchange === undefined) throw new Error(`no exchange ${index}`);
    return exchange;
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.connection.sent)?.[1] ?? 0);
  }
}
