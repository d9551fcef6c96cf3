import type { ListenerLimits } from "../../config/model.js";
import type { AccessRecord } from "../access-record.js";
import type { ProxyError } from "../errors.js";
import type { DownstreamReceiver, DownstreamStream, RequestHead } from "../message.js";
import type { ClientTimes } from "./client-deadline.js";
import type { AccountOptions } from "./request-account.js";

/** What a connection needs of its listener. */
export interface DownstreamOptions extends AccountOptions, ClientTimes {
  readonly limits: ListenerLimits;
  /** Whether CONNECT is forwarded. */
  readonly allowsConnect: boolean;
  isTrusted(address: string): boolean;
  /** Begins an exchange; undefined when no route matches. It may be over before this returns. */
  begin(stream: DownstreamStream, head: RequestHead, record: AccessRecord, startedMs: number): ExchangeStart;
}

/** An exchange that waits to be started, or the reason why there is none. */
export type ExchangeStart = (DownstreamReceiver & { start(nowMs: number): void }) | ProxyError;
