import type { Clock } from "../../platform/clock.js";
import { AccessRecord, type AccessSink } from "../access-record.js";
import type { Connection } from "../connection.js";
import type { SessionContext } from "../listener.js";
import type { Http1RequestHead } from "./request-head.js";

/** What an account needs of its listener. */
export interface AccountOptions {
  /** Name of the listener. */
  readonly listener: string;
  readonly clock: Clock;
  readonly accessLog: AccessSink;
}

/** Request path. What is told of the requests of one connection: when each began, what it asked, its bytes both ways. */
export class RequestAccount {
  readonly record: AccessRecord;
  /** When the first byte of the present head came. */
  startedMs = 0;
  readonly #options: AccountOptions;
  readonly #connection: Connection;
  readonly #session: SessionContext;
  #bytesInBefore = 0;
  #bytesOutBefore = 0;

  constructor(options: AccountOptions, connection: Connection, session: SessionContext) {
    this.#options = options;
    this.#connection = connection;
    this.#session = session;
    this.record = new AccessRecord("http", options.listener);
    this.record.clientAddress = connection.remoteAddress;
    this.record.clientPort = connection.remotePort;
  }

  /** A head, or what stands in its place, was read. `bytesAtHand` counts from its beginning to all that is read. */
  begin(bytesAtHand: number, headBytes: number): void {
    const { clock } = this.#options;
    const record = this.record;
    const nowMs = clock.nowMs();
    record.begin(clock.wallMs() - (nowMs - this.startedMs));
    record.requestMs = nowMs - this.startedMs;
    this.#bytesInBefore = this.#connection.bytesRead - bytesAtHand;
    this.#bytesOutBefore = this.#connection.bytesWritten;
    record.bytesIn = headBytes;
    record.processConnections = this.#session.processConnections;
    record.listenerConnections = this.#session.listenerConnections;
  }

  asked(head: Http1RequestHead): void {
    const record = this.record;
    record.method = head.method;
    record.target = head.rawTarget;
    record.version = head.version;
    record.host = head.authority;
  }

  /** What came is no request: its first line stands for the target. */
  askedNothing(text: string): void {
    this.record.target = text.slice(0, 256).split("\r\n", 1)[0] ?? "";
  }

  /** @param unusedBytes read already, of the next request */
  bytesIn(unusedBytes: number): number {
    return this.#connection.bytesRead - this.#bytesInBefore - unusedBytes;
  }

  get bytesOut(): number {
    return this.#connection.bytesWritten - this.#bytesOutBefore;
  }

  /** It ended without an exchange. */
  settle(status: number, unusedBytes: number): void {
    const record = this.record;
    record.status = status;
    record.totalMs = this.#options.clock.nowMs() - this.startedMs;
    record.bytesIn = this.bytesIn(unusedBytes);
    record.bytesOut = this.bytesOut;
    this.#options.accessLog.write(record);
  }
}
