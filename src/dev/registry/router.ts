import type { Exchange, Reply } from "./exchange.js";
import { HttpProblem } from "./http-problem.js";

/** Answers one kind of request. */
export type Handler = (exchange: Exchange) => Reply | Promise<Reply>;

/** A path with its handlers by method. A path that ends in a slash stands for everything below it. */
export interface Route {
  readonly path: string;
  readonly methods: Readonly<Record<string, Handler>>;
}

/** What a path leads to: a handler with the rest of the path, or another address to ask. */
export type Match =
  | { readonly kind: "handler"; readonly handler: Handler; readonly rest: string }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "options"; readonly allow: string };

/** Finds handlers as Go's ServeMux does: exact path first, then the longest prefix. */
export class Router {
  readonly #routes: readonly Route[];

  constructor(routes: readonly Route[]) {
    this.#routes = [...routes].sort((a, b) => b.path.length - a.path.length);
  }

  /** @throws HttpProblem 404 for an unknown path, 405 for a method the path does not have. */
  match(method: string, path: string): Match {
    const route = this.#routes.find(({ path: known }) =>
      known.endsWith("/") ? path.startsWith(known) : path === known,
    );
    if (this.#routes.some((known) => known.path === `${path}/`) && route?.path !== path) {
      return { kind: "redirect", location: `${path}/` };
    }
    if (route === undefined) throw new HttpProblem(404, "");
    const allow = ["OPTIONS", ...Object.keys(route.methods)].join(",");
    if (method === "OPTIONS") return { kind: "options", allow };
    const handler = route.methods[method];
    if (handler === undefined) throw new HttpProblem(405, `method ${method} not allowed`, { Allow: allow });
    return { kind: "handler", handler, rest: path.slice(route.path.length) };
  }
}
