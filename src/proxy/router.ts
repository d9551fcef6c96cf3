import type { RouteConfig, RouteMatchConfig } from "../config/model.js";
import type { PriorityConfig } from "../config/priority-model.js";
import { firstServing } from "./fallback.js";
import type { ClientFacts, RequestHead } from "./message.js";
import { type PriorityRule, priorityRuleOf } from "./priority.js";
import { RetryPolicy } from "./retry-policy.js";
import type { UpstreamService } from "./upstream-service.js";

/** What a route looks at. */
export interface RoutableHead {
  readonly method: string;
  /** Host and perhaps port, as the request named it. */
  readonly authority: string;
  /** The target as sent; what follows `?` is not matched. */
  readonly target: string;
  /** First value of a field, named in lower case. */
  value(name: string): string | undefined;
}

/** Where a request goes and what the route changes on the way. */
export interface Destination {
  readonly service: UpstreamService;
  /** In its place while its pool has nothing healthy; undefined where there is none. */
  readonly fallback: Destination | undefined;
  /** The pool's own values where the route names none. */
  readonly requestTotalMs: number;
  readonly serverMs: number;
  readonly retry: RetryPolicy;
  /** Undefined where nobody is served before others. */
  readonly priority: PriorityRule | undefined;
}

/** Request path. Finds the pool of a request: the first route that matches, else the listener's own pool. */
export class Router {
  readonly #routes: readonly Route[];
  readonly #unrouted: Destination | undefined;
  readonly #random: () => number;

  /**
   * @param service finds a pool by name; configuration checking made sure that it exists
   * @param random 0 up to 1, for routes that share traffic among pools by weight
   * @param priority of requests whose route says nothing of it
   */
  constructor(
    routes: readonly RouteConfig[],
    pool: string | undefined,
    service: (name: string) => UpstreamService,
    random: () => number,
    priority?: PriorityConfig,
  ) {
    const rule = priorityRuleOf(priority);
    this.#routes = routes.map((route) => new Route(route, service, rule));
    this.#unrouted = pool === undefined ? undefined : destinationOf(pool, service, undefined, rule);
    this.#random = random;
  }

  /** Undefined when no route matches and the listener has no pool. */
  route(head: RequestHead, client: ClientFacts): Destination | undefined {
    const found = this.#find(head);
    return found === undefined ? undefined : firstServing(found, head, client);
  }

  /** The listener's own pool, with what stands behind it. Throws where the listener has none. */
  get unrouted(): Destination {
    if (this.#unrouted === undefined) throw new Error("the listener has no pool");
    return this.#unrouted;
  }

  #find(head: RoutableHead): Destination | undefined {
    if (this.#routes.length === 0) return this.#unrouted;
    const host = hostOf(head.authority);
    const path = pathOf(head.target);
    for (const route of this.#routes) {
      if (route.matches(host, path, head)) return route.choose(this.#random);
    }
    return this.#unrouted;
  }
}

class Route {
  readonly #match: RouteMatchConfig;
  readonly #choices: readonly { readonly destination: Destination; readonly upTo: number }[];
  readonly #totalWeight: number;

  constructor(
    route: RouteConfig,
    service: (name: string) => UpstreamService,
    listenerRule: PriorityRule | undefined,
  ) {
    const rule = priorityRuleOf(route.priority) ?? listenerRule;
    this.#match = route.match;
    let upTo = 0;
    this.#choices = route.pools.map(({ pool, weight }) => {
      upTo += weight;
      return { destination: destinationOf(pool, service, route, rule), upTo };
    });
    this.#totalWeight = upTo;
  }

  matches(host: string, path: string, head: RoutableHead): boolean {
    const match = this.#match;
    if (match.host !== undefined && !isHostMatched(match.host, host)) return false;
    if (match.path !== undefined && match.path !== path) return false;
    if (match.pathPrefix !== undefined && !isPrefixMatched(match.pathPrefix, path)) return false;
    if (match.method !== undefined && match.method !== head.method) return false;
    return match.headers.every(({ name, value }) => head.value(name) === value);
  }

  choose(random: () => number): Destination | undefined {
    if (this.#choices.length === 1) return this.#choices[0]?.destination;
    const point = random() * this.#totalWeight;
    return this.#choices.find((choice) => point < choice.upTo)?.destination;
  }
}

function destinationOf(
  pool: string,
  serviceOf: (name: string) => UpstreamService,
  route: RouteConfig | undefined,
  priority: PriorityRule | undefined,
): Destination {
  const service = serviceOf(pool);
  const { fallback } = service;
  return {
    service,
    fallback: fallback === undefined ? undefined : destinationOf(fallback, serviceOf, route, priority),
    requestTotalMs: route?.timeouts.requestTotalMs ?? service.timeouts.requestTotalMs,
    serverMs: route?.timeouts.serverMs ?? service.timeouts.serverMs,
    retry: new RetryPolicy(service.retries, route?.retries),
    priority,
  };
}

/** The host of an authority: without the port, in lower case, without a trailing dot (RFC 9110 section 4.2.3). */
export function hostOf(authority: string): string {
  const end = authority.endsWith("]") ? -1 : authority.lastIndexOf(":");
  const host = (end < 0 ? authority : authority.slice(0, end)).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

function pathOf(target: string): string {
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

function isHostMatched(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}

/** By whole segments: `/v1` matches `/v1` and `/v1/x`, not `/v10`. */
function isPrefixMatched(prefix: string, path: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return prefix.endsWith("/") || path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f;
}
