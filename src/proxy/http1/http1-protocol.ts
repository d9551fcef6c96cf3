import type { ListenerConfig } from "../../config/model.js";
import type { Clock } from "../../platform/clock.js";
import type { AccessRecord, AccessSink } from "../access-record.js";
import { ProxyError } from "../errors.js";
import { Exchange } from "../exchange.js";
import type { TrustedNetworks } from "../headers.js";
import type { Protocol } from "../listener.js";
import type { DownstreamStream, RequestHead } from "../message.js";
import type { Router } from "../router.js";
import { Http1Downstream } from "./downstream.js";
import type { DownstreamOptions, ExchangeStart } from "./downstream-options.js";

/** What all connections of a listener share. */
export interface Http1Options {
  readonly config: ListenerConfig;
  readonly router: Router;
  readonly trusted: TrustedNetworks;
  readonly clock: Clock;
  readonly random: () => number;
  readonly accessLog: AccessSink;
}

/**
 * Request path. What an HTTP listener does with its connections: one exchange per request, on the pool its route
 * names. Another configuration counts from the next request on, on open connections too, but for what a connection
 * keeps from its beginning: the limits of its requests, whether CONNECT is allowed, and whether its client is trusted.
 */
export class Http1Protocol {
  #options: Http1Options;
  readonly #shared: DownstreamOptions;

  constructor(options: Http1Options) {
    this.#options = options;
    this.#shared = {
      listener: options.config.name,
      timeouts: options.config.timeouts,
      limits: options.config.limits,
      allowsConnect: options.config.allowConnect,
      clock: options.clock,
      accessLog: options.accessLog,
      isTrusted: (address) => this.#options.trusted.has(address),
      begin: (stream, head, record, startedMs) =>
        beginExchange(this.#options, stream, head, record, startedMs),
    };
  }

  readonly begin: Protocol = (connection, session) => new Http1Downstream(this.#shared, connection, session);

  /** The listener's name stays. */
  reconfigure(options: Http1Options): void {
    this.#options = options;
    const { timeouts, limits, allowConnect } = options.config;
    Object.assign(this.#shared, { timeouts, limits, allowsConnect: allowConnect });
  }
}

function beginExchange(
  options: Http1Options,
  stream: DownstreamStream,
  head: RequestHead,
  record: AccessRecord,
  startedMs: number,
): ExchangeStart {
  const destination = options.router.route(head, stream.client);
  if (destination === undefined) return new ProxyError("not-found", "request");
  return new Exchange(options, destination, stream, head, record, startedMs);
}
