import type { ConsulDiscoveryConfig, ConsulSubject } from "../../../config/consul-model.js";
import type { ConsulConfig } from "../../../config/model.js";
import type { Endpoint } from "../../../core/endpoint.js";
import type { Source, SourceDeps, SourceSink, SourceState, SourceStatus } from "../../source.js";
import { ResolvedList } from "../resolved-list.js";
import { StatusTeller } from "../status-teller.js";
import { type ConsulClient, createConsulClient } from "./client.js";
import { readHealthEntries, readQueryEntries } from "./health-entry.js";
import { type MappedList, mapHealthEntries } from "./mapping.js";
import { type Right, seeingWhatIsHidden } from "./rights.js";
import { ConsulWatch, type WatchedList } from "./watch.js";

/** One node that is hidden says enough. */
const nodesAskedMax = 10;

/**
 * Watches one service in Consul over `/v1/health/service/:name`, or repeats a prepared query, on a connection of its
 * own.
 *
 * @param client talks to the agent; one made from `consul` when left out. Closed with the source.
 * @throws TypeError when the agent's address is none of http, https and unix.
 */
export function createConsulSource(
  discovery: ConsulDiscoveryConfig,
  consul: ConsulConfig,
  deps: SourceDeps,
  client: ConsulClient = createConsulClient(consul, deps.clock),
): Source {
  return new ConsulSource(discovery, consul, deps, client);
}

class ConsulSource implements Source {
  readonly #deps: SourceDeps;
  readonly #what: string;
  readonly #service: string;
  readonly #target: string;
  readonly #client: ConsulClient;
  readonly #list: ResolvedList;
  readonly #teller: StatusTeller;
  readonly #watch: ConsulWatch<MappedList>;
  #skipped: MappedList["skipped"] = { noPort: 0, noAddress: 0, tags: 0 };
  #statuses: MappedList["statuses"] = { passing: 0, warning: 0, critical: 0, maintenance: 0 };
  /** Of the last list that was not empty. */
  #nodes: readonly string[] = [];
  #sink: SourceSink | undefined;

  constructor(
    discovery: ConsulDiscoveryConfig,
    consul: ConsulConfig,
    deps: SourceDeps,
    client: ConsulClient,
  ) {
    const { clock, random, resolver, log } = deps;
    const datacenter = discovery.datacenter ?? consul.datacenter;
    this.#deps = deps;
    this.#service = discovery.subject.name;
    this.#what = `${discovery.subject.kind} ${discovery.subject.name}`;
    this.#target = targetText(this.#what, datacenter, consul.address);
    this.#client = client;
    this.#teller = new StatusTeller(log);
    this.#list = new ResolvedList({
      resolver,
      clock,
      resolve: discovery.resolve,
      onEndpoints: (endpoints) => this.#deliver(endpoints),
      onState: () => this.#tell(),
      log,
    });
    const isService = discovery.subject.kind === "service";
    this.#watch = new ConsulWatch({
      path: pathOf(discovery.subject),
      query: queryOf(discovery, consul, datacenter),
      request: isService ? seeingWhatIsHidden(client.request, () => this.#rights()) : client.request,
      closings: client.closings,
      read: (body) => readList(body, discovery),
      needs: neededRights(discovery.subject),
      waitMs: consul.waitMs,
      pollMs: discovery.subject.kind === "query" ? discovery.subject.intervalMs : undefined,
      coalesceMs: consul.coalesceMs,
      emptyGraceMs: consul.emptyGraceMs,
      clock,
      random,
      onValue: (mapped) => this.#take(mapped),
      onState: () => this.#tell(),
    });
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    this.#watch.start();
  }

  stop(): void {
    this.#sink = undefined;
    this.#watch.stop();
    this.#list.close();
    this.#client.close();
  }

  status(): SourceStatus {
    const report = this.#watch.report();
    return {
      kind: "consul",
      target: this.#target,
      ...report,
      ...this.#stateOf(report.state, report.reason),
      endpoints: this.#list.count(),
      details: { ...report.details, ...this.#listDetails() },
    };
  }

  /** The watch may be well while no name in its list can be resolved. */
  #stateOf(state: SourceState, reason: string): { readonly state: SourceState; readonly reason: string } {
    if (state !== "live" || this.#list.isUpToDate()) return { state, reason };
    const trouble = this.#list.trouble();
    return {
      state: this.#list.isPublished() ? "stale" : "starting",
      reason: trouble === "" ? "" : `no address is known: ${trouble}`,
    };
  }

  #listDetails(): Readonly<Record<string, string>> {
    const trouble = this.#list.trouble();
    const { noPort, noAddress, tags } = this.#skipped;
    const counts = Object.entries(this.#statuses).filter(([, count]) => count > 0);
    return {
      ...Object.fromEntries(counts.map(([status, count]) => [status, String(count)])),
      ...(noPort > 0 && { skippedWithoutPort: String(noPort) }),
      ...(noAddress > 0 && { skippedWithoutAddress: String(noAddress) }),
      ...(tags > 0 && { skippedByTags: String(tags) }),
      ...(trouble !== "" && { unresolved: trouble }),
    };
  }

  /** As far as they are known: of nodes those that had instances. */
  #rights(): readonly Right[] {
    const nodes = this.#nodes.length === 0 ? [""] : this.#nodes;
    return [
      { resource: "service", segment: this.#service },
      ...nodes.map((segment) => ({ resource: "node", segment }) as const),
    ];
  }

  #take(mapped: MappedList): void {
    if (mapped.endpoints.length > 0)
      this.#nodes = [...new Set(mapped.endpoints.map(({ node }) => node ?? ""))].slice(0, nodesAskedMax);
    const { noPort, noAddress } = mapped.skipped;
    if (noPort + noAddress > this.#skipped.noPort + this.#skipped.noAddress) {
      this.#deps.log.warn(
        { what: this.#what, noPort, noAddress },
        "instances without port or address skipped",
      );
    }
    this.#skipped = mapped.skipped;
    this.#statuses = mapped.statuses;
    this.#list.set(mapped.endpoints);
  }

  #deliver(endpoints: readonly Endpoint[]): void {
    this.#deps.log.debug({ what: this.#what, endpoints: endpoints.length }, "endpoints changed");
    this.#sink?.onSnapshot({ endpoints });
  }

  #tell(): void {
    this.#teller.tell(this.#sink, this.status());
  }
}

function pathOf({ kind, name }: ConsulSubject): string {
  const encoded = encodeURIComponent(name);
  return kind === "service" ? `/health/service/${encoded}` : `/query/${encoded}/execute`;
}

/** In Consul's own words for rules. Executing a query takes no right of its own. */
function neededRights({ kind, name }: ConsulSubject): string {
  return kind === "service"
    ? `service:read on "${name}" and node:read on its nodes`
    : `service:read on the service of the query "${name}" and node:read on its nodes`;
}

function targetText(what: string, datacenter: string | undefined, address: string): string {
  // An address may carry a password.
  const shown = address.replace(/\/\/[^/@]*@/, "//");
  return `${what}${datacenter === undefined ? "" : ` in datacenter ${datacenter}`} at ${shown}`;
}

/** Any server may answer: a sidecar prefers old news to none. */
function queryOf(
  discovery: ConsulDiscoveryConfig,
  consul: ConsulConfig,
  datacenter: string | undefined,
): Readonly<Record<string, string>> {
  const namespace = discovery.namespace ?? consul.namespace;
  const partition = discovery.partition ?? consul.partition;
  return {
    stale: "1",
    ...(datacenter !== undefined && { dc: datacenter }),
    ...(namespace !== undefined && { ns: namespace }),
    ...(partition !== undefined && { partition }),
    ...(discovery.filter !== undefined && { filter: discovery.filter }),
    ...(discovery.near !== undefined && { near: discovery.near }),
  };
}

function readList(body: unknown, discovery: ConsulDiscoveryConfig): WatchedList<MappedList> | string {
  const isQuery = discovery.subject.kind === "query";
  const read = isQuery ? readQueryEntries(body) : readHealthEntries(body);
  if (!read.ok) return read.problem;
  const mapped = mapHealthEntries(read.entries, { ...discovery, isOrdered: discovery.near !== undefined });
  return { value: mapped, count: read.entries.length, digest: mapped.digest };
}
