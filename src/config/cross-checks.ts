import { formatBind, parseBind, parseHostPort } from "./address.js";
import type { ConfigDocument } from "./document.js";
import { describe } from "./issues.js";
import type { SocketAddressConfig } from "./model.js";
import { asList, formatPath, isMap, type Path, valueAt } from "./path.js";
import type { Report } from "./report.js";
import { ADMIN_DEFAULTS } from "./schema/admin.js";
import { MAX_CONNECTIONS } from "./schema/consul.js";

/**
 * The rules between fields that stand apart. They read the tree rather than the schema's result, so that they
 * also speak when the file has other faults; what is not of the right kind is passed over here.
 */
export function crossCheck(tree: unknown, document: ConfigDocument, report: Report): void {
  const checks = new CrossChecks(tree, document, report);
  checks.checkNames("listeners");
  checks.checkNames("pools");
  checks.checkBinds();
  checks.checkAdvertise();
  for (const index of asList(valueAt(tree, ["listeners"])).keys()) checks.checkListener(["listeners", index]);
  checks.checkConsulConnections();
  for (const index of asList(valueAt(tree, ["pools"])).keys()) checks.checkFallback(["pools", index]);
  for (const index of asList(valueAt(tree, ["pools"])).keys())
    checks.checkDiscovery(["pools", index, "discovery"]);
}

class CrossChecks {
  readonly #tree: unknown;
  readonly #document: ConfigDocument;
  readonly #report: Report;
  /** Undefined when `pools` is not a list, which is told already. */
  readonly #pools: readonly string[] | undefined;

  constructor(tree: unknown, document: ConfigDocument, report: Report) {
    this.#tree = tree;
    this.#document = document;
    this.#report = report;
    const pools = valueAt(tree, ["pools"]) ?? [];
    const names = asList(pools).map((pool) => valueAt(pool, ["name"]));
    this.#pools = Array.isArray(pools) ? names.filter((name) => typeof name === "string") : undefined;
  }

  checkNames(list: "listeners" | "pools"): void {
    const seen = new Map<string, Path>();
    for (const index of asList(this.#at([list])).keys()) {
      const path = [list, index, "name"];
      const name = this.#at(path);
      if (typeof name !== "string") continue;
      const first = seen.get(name);
      if (first === undefined) seen.set(name, path);
      else this.#expect(path, `a name of its own; ${this.#whereIs(first)} has it too`);
    }
  }

  /** No two sockets at one place; a wildcard takes the port of every address. Port 0 never collides. */
  checkBinds(): void {
    const taken: { readonly address: SocketAddressConfig; readonly by: string }[] = [];
    for (const { path, text, by } of this.#binds()) {
      const parsed = parseBind(text);
      if (!parsed.ok) continue;
      const clash = parsed.value.flatMap((address) =>
        taken.filter((other) => collides(address, other.address)).map((other) => ({ address, by: other.by })),
      )[0];
      if (clash === undefined) taken.push(...parsed.value.map((address) => ({ address, by })));
      else
        this.#expect(path, `an address that is free; ${formatBind(clash.address)} is taken by ${clash.by}`);
    }
  }

  /** What is registered must be a listener, and one that has a port. */
  checkAdvertise(): void {
    const path: Path = ["service", "advertise", "listener"];
    const name = this.#at(path);
    const listeners = asList(this.#at(["listeners"]));
    const names = listeners.map((each) => valueAt(each, ["name"])).filter((each) => typeof each === "string");
    if (typeof name !== "string" || names.length === 0) return;
    const bind = valueAt(
      listeners.find((each) => valueAt(each, ["name"]) === name),
      ["bind"],
    );
    const binds = (Array.isArray(bind) ? bind : [bind]).map((each) => (isMap(each) ? each.address : each));
    if (!names.includes(name)) {
      this.#expect(path, `the name of a listener (${names.slice(0, 10).join(", ")})`, names);
    } else if (binds.every((each) => typeof each === "string" && each.startsWith("unix:"))) {
      this.#expect(path, "a listener with a port; others cannot connect to a unix socket");
    }
  }

  checkListener(path: Path): void {
    const listener = this.#at(path);
    if (!isMap(listener)) return;
    this.#checkPool([...path, "pool"]);
    const routes = asList(listener.routes);
    if (listener.protocol === "tcp") {
      if (listener.pool === undefined)
        this.#expect([...path, "pool"], "the pool that a tcp listener carries to");
      if (routes.length > 0) this.#expect([...path, "routes"], "no routes on a tcp listener");
      if (valueAt(listener.priority, ["header"]) !== undefined)
        this.#expect([...path, "priority", "header"], "no header on a tcp listener");
    }
    for (const [index, route] of routes.entries()) {
      if (isMap(route)) this.#checkRoute([...path, "routes", index], route);
    }
  }

  /** A pool that exists, and never in a circle. */
  checkFallback(path: Path): void {
    const fallback = this.#at([...path, "fallback"]);
    if (fallback === undefined) return;
    this.#checkPool([...path, "fallback"]);
    const pools = asList(this.#at(["pools"]));
    const name = this.#at([...path, "name"]);
    let next: unknown = fallback;
    for (let steps = 0; steps < pools.length && typeof next === "string"; steps++) {
      if (next === name) {
        this.#expect([...path, "fallback"], "a pool that does not fall back on this one");
        return;
      }
      next = valueAt(
        pools.find((pool) => valueAt(pool, ["name"]) === next),
        ["fallback"],
      );
    }
  }

  checkDiscovery(path: Path): void {
    const discovery = this.#at(path);
    if (!Array.isArray(discovery)) this.checkEndpoints(path);
    else for (const index of discovery.keys()) this.checkEndpoints([...path, index]);
  }

  /** Each watch holds a connection for good, and an agent refuses the ones above its limit, whoever comes last. */
  checkConsulConnections(): void {
    const limit = Number(this.#at(["consul", "maxConnections"]) ?? MAX_CONNECTIONS);
    let count = this.#at(["service"]) === undefined ? 0 : 1;
    for (const [index, pool] of asList(this.#at(["pools"])).entries()) {
      const discovery = valueAt(pool, ["discovery"]);
      for (const source of Array.isArray(discovery) ? discovery : [discovery]) {
        if (valueAt(source, ["type"]) !== "consul") continue;
        const before = count;
        count += 1 + asList(valueAt(source, ["failover"])).length;
        if (before > limit || count <= limit) continue;
        const path = ["pools", index, "discovery"];
        const message = `needs connection ${count} to Consul, expected at most ${limit} (consul.maxConnections)`;
        this.#report.add({ path, message, at: "value" });
      }
    }
  }

  /** Two endpoints of a source with one identity at one address would be one row. */
  checkEndpoints(source: Path): void {
    const seen = new Map<string, Path>();
    for (const [index, endpoint] of asList(this.#at([...source, "endpoints"])).entries()) {
      const path = [...source, "endpoints", index];
      const written = isMap(endpoint) ? endpoint.address : endpoint;
      const parsed = parseHostPort(written);
      if (!parsed.ok) continue;
      const address = `${parsed.value.host}:${parsed.value.port}`;
      const key = `${isMap(endpoint) && typeof endpoint.id === "string" ? endpoint.id : address} ${address}`;
      const first = seen.get(key);
      if (first === undefined) seen.set(key, path);
      else
        this.#expect(
          isMap(endpoint) ? [...path, "address"] : path,
          `no endpoint twice; ${this.#whereIs(first)} is the same`,
        );
    }
  }

  #checkRoute(path: Path, route: Readonly<Record<string, unknown>>): void {
    if (route.pool === undefined && route.pools === undefined)
      this.#expect([...path, "pool"], "pool or pools");
    if (route.pool !== undefined && route.pools !== undefined)
      this.#expect([...path, "pools"], "either pool or pools");
    this.#checkPool([...path, "pool"]);
    for (const index of asList(route.pools).keys()) this.#checkPool([...path, "pools", index, "pool"]);
  }

  #checkPool(path: Path): void {
    const name = this.#at(path);
    if (typeof name !== "string" || this.#pools === undefined || this.#pools.includes(name)) return;
    const known = this.#pools.slice(0, 10).join(", ");
    const expected =
      known === "" ? "the name of a pool, and there are none" : `the name of a pool (${known})`;
    this.#expect(path, expected, this.#pools);
  }

  /** Every scalar that names a socket to open; admin first, so that a listener is told of the clash. */
  #binds(): readonly { readonly path: Path; readonly text: unknown; readonly by: string }[] {
    const binds: { readonly path: Path; readonly text: unknown; readonly by: string }[] = [];
    const add = (at: Path, byDefault?: string) => {
      const path = isMap(this.#at(at)) ? [...at, "address"] : at;
      const text = this.#at(path);
      if (text !== undefined) binds.push({ path, text, by: this.#whereIs(path) });
      else if (byDefault !== undefined)
        binds.push({ path, text: byDefault, by: `${formatPath(path)} by default` });
    };
    add(["admin", "grpc"], ADMIN_DEFAULTS.grpc);
    add(["admin", "http"], ADMIN_DEFAULTS.http);
    add(["admin", "probe"]);
    for (const index of asList(this.#at(["listeners"])).keys()) {
      const bind: Path = ["listeners", index, "bind"];
      const entries = this.#at(bind);
      if (!Array.isArray(entries)) add(bind);
      else for (const entry of entries.keys()) add([...bind, entry]);
    }
    return binds;
  }

  #at(path: Path): unknown {
    return valueAt(this.#tree, path);
  }

  #expect(path: Path, expected: string, words: readonly string[] = []): void {
    this.#report.add({
      path,
      message: describe(path, this.#tree, this.#document, expected, words),
      at: "value",
    });
  }

  #whereIs(path: Path): string {
    return `${formatPath(path)} on line ${this.#document.locate(path, "value").line}`;
  }
}

function collides(a: SocketAddressConfig, b: SocketAddressConfig): boolean {
  if (a.kind === "tcp" && b.kind === "tcp") {
    if (a.port !== b.port || a.port === 0) return false;
    return (
      a.host.toLowerCase() === b.host.toLowerCase() ||
      isWildcardFor(a.host, b.host) ||
      isWildcardFor(b.host, a.host)
    );
  }
  if (a.kind === "unix" && b.kind === "unix") return a.path === b.path;
  return a.kind === "fd" && b.kind === "fd" && a.fd === b.fd;
}

/** `::` is bound for both families, `0.0.0.0` for IPv4 and for names that may be either. */
function isWildcardFor(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && !host.includes(":"));
}
