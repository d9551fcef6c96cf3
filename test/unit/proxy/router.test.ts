import { describe, expect, it } from "vitest";
import type { RouteConfig, RouteMatchConfig } from "../../../src/config/model.js";
import type { ClientFacts, RequestHead } from "../../../src/proxy/message.js";
import { Router } from "../../../src/proxy/router.js";
import type { UpstreamService } from "../../../src/proxy/upstream-service.js";
import { retryConfig } from "../../support/retry-config.js";

const CLIENT: ClientFacts = { remoteAddress: "", isTrusted: false, scheme: "http", localAuthority: "" };

const NO_MATCH: RouteMatchConfig = {
  host: undefined,
  path: undefined,
  pathPrefix: undefined,
  method: undefined,
  headers: [],
};

function route(
  match: Partial<RouteMatchConfig>,
  ...pools: readonly (string | [string, number])[]
): RouteConfig {
  return {
    match: { ...NO_MATCH, ...match },
    pools: pools.map((pool) =>
      typeof pool === "string" ? { pool, weight: 1 } : { pool: pool[0], weight: pool[1] },
    ),
    timeouts: { requestTotalMs: undefined, serverMs: undefined },
    retries: { max: undefined, perTryMs: undefined, on: undefined },
    priority: undefined,
  };
}

function service(name: string): UpstreamService {
  const found = { pool: { name }, timeouts: { requestTotalMs: 1, serverMs: 2 }, retries: retryConfig() };
  return found as unknown as UpstreamService;
}

interface Asked {
  readonly target?: string;
  readonly host?: string;
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

function poolOf(
  routes: readonly RouteConfig[],
  asked: Asked,
  fallback?: string,
  random = 0,
): string | undefined {
  const router = new Router(routes, fallback, service, () => random);
  const head = {
    method: asked.method ?? "GET",
    authority: asked.host ?? "a.example",
    target: asked.target ?? "/",
    value: (name: string) => asked.fields?.[name],
  };
  return router.route(head as unknown as RequestHead, CLIENT)?.service.pool.name;
}

describe("a route", () => {
  it.each([
    ["a.example", "a.example", true],
    ["a.example", "A.Example:8080", true],
    ["a.example", "a.example.", true],
    ["a.example", "b.example", false],
    ["a.example", "x.a.example", false],
    ["*.example", "a.example", true],
    ["*.example", "b.a.example:80", true],
    ["*.example", "example", false],
    ["*.example", ".example", false],
    ["*.example", "notexample", false],
    ["[::1]", "[::1]:80", true],
    ["[::1]", "[::1]", true],
  ])("of host %s takes %s: %s", (host, asked, isTaken) => {
    expect(poolOf([route({ host }, "web")], { host: asked })).toBe(isTaken ? "web" : undefined);
  });

  it.each([
    ["/v1", "/v1", true],
    ["/v1", "/v1/", true],
    ["/v1", "/v1/x?y", true],
    ["/v1", "/v1?y", true],
    ["/v1", "/v10", false],
    ["/v1", "/V1", false],
    ["/v1", "/", false],
    ["/v1/", "/v1/x", true],
    ["/v1/", "/v1", false],
    ["/", "/anything", true],
  ])("of path prefix %s takes %s: %s", (pathPrefix, target, isTaken) => {
    expect(poolOf([route({ pathPrefix }, "web")], { target })).toBe(isTaken ? "web" : undefined);
  });

  it.each([
    ["/x", true],
    ["/x?y=/z", true],
    ["/x/", false],
    ["/X", false],
  ])("of path /x takes %s: %s", (target, isTaken) => {
    expect(poolOf([route({ path: "/x" }, "web")], { target })).toBe(isTaken ? "web" : undefined);
  });

  it("has the priority of its route, or else of the listener", () => {
    const priority = (number: number) => ({ class: number, offsetMs: 0, header: undefined });
    const own = { ...route({ path: "/own" }, "a"), priority: priority(1) };
    const router = new Router([own, route({ path: "/none" }, "a")], "b", service, () => 0, priority(2));
    const classOf = (target: string) => {
      const head = { method: "GET", authority: "", target, value: () => undefined } as unknown as RequestHead;
      return router.route(head, CLIENT)?.priority?.fixed.class;
    };
    expect([classOf("/own"), classOf("/none"), classOf("/unrouted")]).toEqual([1, 2, 2]);
  });

  it("looks at method and fields exactly, all of them", () => {
    const routes = [
      route(
        {
          method: "POST",
          headers: [
            { name: "x-a", value: "1" },
            { name: "x-b", value: "2" },
          ],
        },
        "web",
      ),
    ];
    const fields = { "x-a": "1", "x-b": "2" };
    expect(poolOf(routes, { method: "POST", fields })).toBe("web");
    expect(poolOf(routes, { method: "post", fields })).toBeUndefined();
    expect(poolOf(routes, { method: "POST", fields: { ...fields, "x-b": "3" } })).toBeUndefined();
    expect(poolOf(routes, { method: "POST", fields: { "x-a": "1" } })).toBeUndefined();
  });

  it("shares its traffic by weight", () => {
    const routes = [route({}, ["a", 90], ["b", 0], ["c", 10])];
    expect([0, 0.89, 0.9, 0.999].map((random) => poolOf(routes, {}, undefined, random))).toEqual([
      "a",
      "a",
      "c",
      "c",
    ]);
  });
});

describe("a router", () => {
  it("takes the first route that matches, else the listener's pool, else none", () => {
    const routes = [route({ pathPrefix: "/a" }, "first"), route({ pathPrefix: "/a/b" }, "second")];
    expect(poolOf(routes, { target: "/a/b" }, "own")).toBe("first");
    expect(poolOf(routes, { target: "/c" }, "own")).toBe("own");
    expect(poolOf(routes, { target: "/c" })).toBeUndefined();
    expect(poolOf([], {}, "own")).toBe("own");
  });

  it("lets a route change what the pool says of time and tries", () => {
    const changed = {
      ...route({}, "web"),
      timeouts: { requestTotalMs: 10, serverMs: undefined },
      retries: { max: 0, perTryMs: undefined, on: undefined },
    };
    const router = new Router([changed], undefined, service, () => 0);
    const head = { method: "GET", authority: "a", target: "/", value: () => undefined };
    expect(router.route(head as unknown as RequestHead, CLIENT)).toMatchObject({
      requestTotalMs: 10,
      serverMs: 2,
      retry: { max: 0 },
    });
  });
});

describe("a fallback", () => {
  /** Pools by name: how many are healthy, how many take work, and what stands behind them. */
  type Pools = Readonly<Record<string, readonly [healthy: number, usable: number, fallback?: string]>>;

  /** The pool that is chosen, and those that missed the request. */
  function chosen(pools: Pools): [string | undefined, ...string[]] {
    const missed: string[] = [];
    const serviceOf = (name: string) => {
      const [eligibleCount, usable, fallback] = pools[name] ?? [0, 0];
      const count = (what: string) => missed.push(`${name} ${what}`);
      const pool = { name, eligibleCount, tiers: { state: { usable } }, count };
      return { ...service(name), pool, fallback } as unknown as UpstreamService;
    };
    const head = { method: "GET", authority: "a", target: "/", value: () => undefined };
    const router = new Router([], "a", serviceOf, () => 0);
    const found = router.route(head as unknown as RequestHead, CLIENT);
    return [found?.service.pool.name, ...missed];
  }

  it("leaves those to their pool whom one of its drained backends serves still", () => {
    const binds = (_head: unknown, { remoteAddress }: ClientFacts) => remoteAddress === "192.0.2.1";
    const serviceOf = (name: string) => {
      const pool = {
        name,
        eligibleCount: name === "a" ? 0 : 1,
        tiers: { state: { usable: 1 } },
        count() {},
      };
      const rest = name === "a" ? { fallback: "b", affinity: { binds } } : {};
      return { ...service(name), pool, ...rest } as unknown as UpstreamService;
    };
    const router = new Router([], "a", serviceOf, () => 0);
    const head = { method: "GET", authority: "a", target: "/", value: () => undefined };
    const poolFor = (remoteAddress: string) =>
      router.route(head as unknown as RequestHead, { ...CLIENT, remoteAddress })?.service.pool.name;
    expect([poolFor("192.0.2.1"), poolFor("192.0.2.2")]).toEqual(["a", "b"]);
  });

  it.each<[string, Pools, ...string[]]>([
    ["is not asked while the pool has something healthy", { a: [1, 1, "b"], b: [1, 1] }, "a"],
    ["takes over where nothing is healthy", { a: [0, 0, "b"], b: [1, 1] }, "b", "a passedOver"],
    ["takes over before a panic", { a: [0, 3, "b"], b: [1, 1] }, "b", "a passedOver"],
    [
      "has one of its own",
      { a: [0, 0, "b"], b: [0, 2, "c"], c: [1, 1] },
      ...["c", "a passedOver", "b passedOver"],
    ],
    [
      "is passed over where it has nothing either: the first in a panic",
      { a: [0, 0, "b"], b: [0, 2] },
      ...["b", "a passedOver"],
    ],
    ["leaves the pool to say why where nobody takes work", { a: [0, 0, "b"], b: [0, 0] }, "a"],
  ])("%s", (_title, pools, ...found) => {
    expect(chosen(pools)).toEqual(found);
  });
});
