import type { ListenerConfig } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import type { AccessRecord, AccessSink } from "../access-record.js";
import { ProxyError } from "../errors.js";
import { Exchange } from "../exchange.js";
import type { TrustedNetworks } from "../headers.js";
import type { Protocol } from "../listener.js";
import type { DownstreamStream, RequestHead } from "../message.js";
import type { Router } from "../router.js";
import { type DownstreamOptions, type ExchangeStart, Http1Downstream } from "./downstream.js";

/** What all connections of a listener share. */
export interface Http1Options {
  readonly config: ListenerConfig;
  readonly router: Router;
  readonly trusted: TrustedNetworks;
  readonly clock: Clock;
  readonly accessLog: AccessSink;
}

/** Request path. What an HTTP listener does with its connections: one exchange per request, on the pool its route names. */
export function http1Protocol(options: Http1Options): Protocol {
  const { config, router, trusted, clock, accessLog } = options;
  const shared: DownstreamOptions = {
    listener: config.name,
    timeouts: config.timeouts,
    limits: config.limits,
    clock,
    accessLog,
    isTrusted: (address) => trusted.has(address),
    begin: (stream, head, record, startedMs) =>
      beginExchange(router, options, stream, head, record, startedMs),
  };
  return (connection, session) => new Http1Downstream(shared, connection, session);
}

function beginExchange(
  router: Router,
  options: Http1Options,
  stream: DownstreamStream,
  head: RequestHead,
  record: AccessRecord,
  startedMs: number,
): ExchangeStart {
  const destination = router.route(head);
  if (destination === undefined) return new ProxyError("not-found", "request");
  return new Exchange(options, destination, stream, head, record, startedMs);
}
