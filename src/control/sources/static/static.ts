import type { StaticDiscoveryConfig } from "../../../config/model.js";
import type { Source, SourceDeps, SourceSink, SourceStatus } from "../../source.js";
import { findDuplicateId, mapGivenEndpoints } from "../given-endpoint.js";
import { ResolvedList } from "../resolved-list.js";
import { StatusTeller } from "../status-teller.js";

/**
 * The endpoints of the configuration; what changes is only what their names resolve to.
 *
 * @throws TypeError when two endpoints have the same id (host:port where none is given).
 */
export function createStaticSource(discovery: StaticDiscoveryConfig, deps: SourceDeps): Source {
  const duplicate = findDuplicateId(discovery.endpoints);
  if (duplicate !== undefined) {
    throw new TypeError(
      `endpoints ${duplicate.first} and ${duplicate.second} are both ${duplicate.id}: give one of them an id of its own`,
    );
  }
  return new StaticSource(discovery, deps);
}

class StaticSource implements Source {
  readonly #discovery: StaticDiscoveryConfig;
  readonly #deps: SourceDeps;
  readonly #list: ResolvedList;
  readonly #teller: StatusTeller;
  #sink: SourceSink | undefined;
  #publishedMs: number | undefined;
  #changedMs: number | undefined;

  constructor(discovery: StaticDiscoveryConfig, deps: SourceDeps) {
    this.#discovery = discovery;
    this.#deps = deps;
    this.#teller = new StatusTeller(deps.log);
    this.#list = new ResolvedList({
      resolver: deps.resolver,
      clock: deps.clock,
      resolve: discovery.resolve,
      onEndpoints: (endpoints) => {
        this.#changedMs = deps.clock.nowMs();
        this.#publishedMs ??= this.#changedMs;
        this.#sink?.onSnapshot({ endpoints });
      },
      onState: () => this.#tell(),
      log: deps.log,
    });
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#publish());
  }

  stop(): void {
    this.#sink = undefined;
    this.#list.close();
  }

  status(): SourceStatus {
    const trouble = this.#list.trouble();
    const isLive = this.#list.isUpToDate();
    return {
      kind: "static",
      target: `${this.#discovery.endpoints.length} endpoints of the configuration`,
      state: isLive ? "live" : this.#list.isPublished() ? "stale" : "starting",
      reason: isLive || trouble === "" ? "" : `no address is known: ${trouble}`,
      lastSuccessMs: this.#publishedMs,
      lastChangeMs: this.#changedMs,
      consecutiveFailures: 0,
      queries: 0,
      failures: 0,
      endpoints: this.#list.count(),
      details: trouble === "" ? {} : { unresolved: trouble },
    };
  }

  #publish(): void {
    if (this.#sink === undefined) return;
    try {
      this.#list.set(mapGivenEndpoints("static", this.#discovery.endpoints));
    } catch (cause) {
      this.#deps.log.error({ err: cause }, "endpoints were not taken");
    }
  }

  #tell(): void {
    this.#teller.tell(this.#sink, this.status());
  }
}
