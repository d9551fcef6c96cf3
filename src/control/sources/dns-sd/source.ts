import type { DnsSdDiscoveryConfig } from "../../../config/dns-model.js";
import type { Endpoint } from "../../../core/endpoint.js";
import type { Timer } from "../../../platform/clock.js";
import type { Source, SourceDeps, SourceSink, SourceState, SourceStatus } from "../../source.js";
import { StatusTeller } from "../status-teller.js";
import { Browser } from "./browser.js";
import { mapLinkInstances } from "./mapping.js";
import type { RefusedCounts, WorkerReport } from "./messages.js";
import { type StartWorker, startWorker, WorkerHost } from "./worker-host.js";

/** The port of multicast DNS (RFC 6762 section 3). */
const multicastDnsPort = 5353;
/** With nobody there, an empty list is the truth after the first questions had time to be answered. */
const firstAnswersMs = 4_500;
/** When a list that the pool did not take is offered again. */
const offerAgainMs = 1_000;

/** What tests replace. */
export interface DnsSdParts {
  /** The thread that listens; the real one when left out. */
  readonly start?: StartWorker;
  /** 5353 when left out. */
  readonly port?: number;
}

/** Instances of a service type that announce themselves on the local network by multicast DNS. */
export function createDnsSdSource(
  discovery: DnsSdDiscoveryConfig,
  deps: SourceDeps,
  parts: DnsSdParts = {},
): Source {
  return new DnsSdSource(discovery, deps, parts);
}

class DnsSdSource implements Source {
  readonly #discovery: DnsSdDiscoveryConfig;
  readonly #deps: SourceDeps;
  readonly #browser: Browser;
  readonly #host: WorkerHost;
  readonly #teller: StatusTeller;
  #sink: SourceSink | undefined;
  #offering: Timer | undefined;
  #problem = "";
  #addresses: readonly string[] = [];
  #refused: RefusedCounts = { malformed: 0, foreign: 0, flooded: 0 };
  #endpoints: readonly Endpoint[] = [];
  #published: string | undefined;
  #lastChangeMs: number | undefined;
  #lastListeningMs: number | undefined;
  #consecutiveFailures = 0;

  constructor(discovery: DnsSdDiscoveryConfig, deps: SourceDeps, parts: DnsSdParts) {
    const { clock, random, log } = deps;
    this.#discovery = discovery;
    this.#deps = deps;
    this.#teller = new StatusTeller(log);
    this.#browser = new Browser({
      service: discovery.service,
      clock,
      random,
      send: (query) => this.#host.send(query),
      onChange: () => this.#publish(),
    });
    this.#host = new WorkerHost({
      settings: { port: parts.port ?? multicastDnsPort, interfaces: discovery.interfaces },
      start: parts.start ?? startWorker,
      clock,
      random,
      log,
      onReport: (report) => this.#onReport(report),
      onDeath: (reason) => this.#goDeaf(`the listener died: ${reason}`),
    });
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    this.#host.start();
  }

  stop(): void {
    this.#sink = undefined;
    this.#offering?.cancel();
    this.#browser.stop();
    this.#host.stop();
  }

  status(): SourceStatus {
    const { interfaces, service } = this.#discovery;
    return {
      kind: "dns-sd",
      target: `${service} on ${interfaces === undefined ? "every interface" : interfaces.join(", ")}`,
      ...this.#stateNow(),
      lastSuccessMs: this.#browser.lastHeardMs,
      lastChangeMs: this.#lastChangeMs,
      consecutiveFailures: this.#consecutiveFailures,
      queries: this.#browser.queries,
      failures: this.#host.deaths,
      endpoints: this.#endpoints.length,
      details: {
        addresses: this.#addresses.join(", "),
        records: String(this.#browser.records),
        malformedPackets: String(this.#refused.malformed),
        foreignPackets: String(this.#refused.foreign),
        floodedPackets: String(this.#refused.flooded),
        ...(this.#browser.refused > 0 && { recordsOverLimit: String(this.#browser.refused) }),
      },
    };
  }

  #stateNow(): { readonly state: SourceState; readonly reason: string } {
    const isPublished = this.#published !== undefined;
    if (this.#problem !== "") return { state: isPublished ? "stale" : "starting", reason: this.#problem };
    if (!isPublished) return { state: "starting", reason: "" };
    if (this.#browser.isSilent) {
      return { state: "suspect", reason: "nobody answers any more; the last instances stay" };
    }
    return { state: "live", reason: "" };
  }

  #onReport(report: WorkerReport): void {
    switch (report.kind) {
      case "heard":
        this.#browser.take(report.records, report.sender);
        return;
      case "counts":
        this.#refused = report.counts;
        return;
      case "problem":
        this.#deps.log.debug({ reason: report.reason }, "multicast dns question was not sent");
        return;
      case "listening":
        this.#onListening(report.addresses);
    }
  }

  #onListening(addresses: readonly string[]): void {
    this.#addresses = addresses;
    if (addresses.length === 0) {
      this.#goDeaf("there is no interface to listen on");
      return;
    }
    this.#deps.log.debug({ addresses }, "listening to multicast dns");
    this.#problem = "";
    this.#consecutiveFailures = 0;
    this.#lastListeningMs = this.#deps.clock.nowMs();
    this.#browser.hear();
    this.#teller.tell(this.#sink, this.status());
  }

  #goDeaf(reason: string): void {
    this.#problem = reason;
    this.#consecutiveFailures += 1;
    this.#browser.goDeaf();
    this.#teller.tell(this.#sink, this.status());
  }

  #publish(): void {
    const { clock, log } = this.#deps;
    const endpoints = mapLinkInstances(this.#browser.instances(), this.#discovery.resolve, this.#endpoints);
    const listenedMs = clock.nowMs() - (this.#lastListeningMs ?? clock.nowMs());
    const isKnown = endpoints.length > 0 || this.#published !== undefined || listenedMs >= firstAnswersMs;
    const text = JSON.stringify(endpoints);
    if (this.#sink !== undefined && isKnown && text !== this.#published) {
      try {
        this.#sink.onSnapshot({ endpoints });
        this.#published = text;
        this.#endpoints = endpoints;
        this.#lastChangeMs = clock.nowMs();
        log.debug({ service: this.#discovery.service, endpoints: endpoints.length }, "endpoints changed");
      } catch (cause) {
        log.error({ err: cause }, "endpoints were not taken");
        this.#offering?.cancel();
        this.#offering = clock.after(offerAgainMs, () => this.#publish());
      }
    }
    this.#teller.tell(this.#sink, this.status());
  }
}
