import { Resolver as SystemResolver } from "node:dns";
import type { DnsDiscoveryConfig } from "../../../config/dns-model.js";
import type { Timer } from "../../../platform/clock.js";
import type { Source, SourceDeps, SourceSink, SourceState, SourceStatus } from "../../source.js";
import { StatusTeller } from "../status-teller.js";
import { DnsClient, formatServer } from "./client.js";
import { HeldList } from "./held-list.js";
import { DnsLookup, type LookupResult } from "./lookup.js";
import { mapInstances } from "./mapping.js";
import { createDnsTransport, type DnsServer, type DnsTransport } from "./transport.js";

/** Delay before a failed lookup is repeated: doubles up to the maximum, 50 to 100 % of it by chance. */
const retryMinMs = 1_000;
const retryMaxMs = 30_000;
/** "There is none" is asked again at least this often, whatever its time to live says. */
const noneMaxMs = 30_000;
/** Lookups come up to this share late, so that a fleet does not ask as one. */
const lateShare = 0.05;
const dnsPort = 53;

/**
 * Instances behind a DNS name, asked for again whenever their time to live has passed.
 *
 * @param transport real sockets when left out.
 */
export function createDnsSource(
  discovery: DnsDiscoveryConfig,
  deps: SourceDeps,
  transport: DnsTransport = createDnsTransport(deps.clock),
): Source {
  return new DnsSource(discovery, deps, transport);
}

class DnsSource implements Source {
  readonly #discovery: DnsDiscoveryConfig;
  readonly #deps: SourceDeps;
  readonly #client: DnsClient;
  readonly #lookup: DnsLookup;
  readonly #held: HeldList;
  readonly #teller: StatusTeller;
  #sink: SourceSink | undefined;
  #next: Timer | undefined;
  #heldChange: Timer | undefined;
  #published: string | undefined;
  #endpoints = 0;
  #problem = "";
  #isNone = false;
  #trouble = "";
  #ttlMs: number | undefined;
  #lastSuccessMs: number | undefined;
  #lastChangeMs: number | undefined;
  #lookups = 0;
  #failures = 0;
  #consecutiveFailures = 0;

  constructor(discovery: DnsDiscoveryConfig, deps: SourceDeps, transport: DnsTransport) {
    this.#discovery = discovery;
    this.#deps = deps;
    this.#client = new DnsClient({
      transport,
      servers: discovery.resolvers === undefined ? systemServers : () => discovery.resolvers ?? [],
      timeoutMs: discovery.timeoutMs,
      retries: discovery.retries,
    });
    this.#lookup = new DnsLookup(this.#client);
    this.#held = new HeldList(discovery.hold);
    this.#teller = new StatusTeller(deps.log);
  }

  start(sink: SourceSink): void {
    this.#sink = sink;
    void this.#ask();
  }

  stop(): void {
    this.#sink = undefined;
    this.#next?.cancel();
    this.#heldChange?.cancel();
    this.#client.close();
  }

  status(): SourceStatus {
    const { name, record, resolvers } = this.#discovery;
    const at = resolvers === undefined ? "the system's name servers" : resolvers.map(formatServer).join(", ");
    return {
      kind: "dns",
      target: `${record.toUpperCase()} ${name} at ${at}`,
      ...this.#stateNow(),
      lastSuccessMs: this.#lastSuccessMs,
      lastChangeMs: this.#lastChangeMs,
      consecutiveFailures: this.#consecutiveFailures,
      queries: this.#lookups,
      failures: this.#failures,
      endpoints: this.#endpoints,
      details: {
        messages: String(this.#client.queries),
        ...(this.#ttlMs !== undefined && { ttlMs: String(this.#ttlMs) }),
        ...(this.#trouble !== "" && { unresolved: this.#trouble }),
      },
    };
  }

  #stateNow(): { readonly state: SourceState; readonly reason: string } {
    const isPublished = this.#published !== undefined;
    if (this.#problem === "") return { state: isPublished ? "live" : "starting", reason: "" };
    if (!isPublished) return { state: "starting", reason: this.#problem };
    if (this.#held.isExpired(this.#deps.clock.nowMs())) {
      return { state: "stale", reason: this.#expiredReason() };
    }
    return { state: this.#isNone ? "suspect" : "stale", reason: this.#problem };
  }

  #expiredReason(): string {
    return `no good answer for longer than its hold time: ${this.#problem}`;
  }

  async #ask(): Promise<void> {
    const { record, name, port } = this.#discovery;
    this.#lookups += 1;
    const result =
      record === "srv" ? await this.#lookup.srv(name) : await this.#lookup.addresses(name, port ?? 0);
    if (this.#sink === undefined) return;
    if (result.kind === "found") this.#take(result);
    else this.#fail(result);
    const isTaken = this.#publish();
    this.#next = this.#deps.clock.after(isTaken ? this.#delayAfter(result) : retryMinMs, () => {
      void this.#ask();
    });
    this.#teller.tell(this.#sink, this.status());
  }

  #take(result: Extract<LookupResult, { readonly kind: "found" }>): void {
    const { clock } = this.#deps;
    const nowMs = clock.nowMs();
    const previous = this.#held.current("", nowMs) ?? [];
    this.#held.accept(mapInstances(result.instances, this.#discovery, previous), nowMs);
    this.#problem = "";
    this.#isNone = false;
    this.#trouble = result.trouble;
    this.#ttlMs = result.ttlMs;
    this.#lastSuccessMs = nowMs;
    this.#consecutiveFailures = 0;
  }

  #fail(result: Exclude<LookupResult, { readonly kind: "found" }>): void {
    this.#held.refuse(result.kind);
    this.#problem = result.reason;
    this.#isNone = result.kind === "nx";
    this.#failures += 1;
    this.#consecutiveFailures += 1;
  }

  /** Puts what is held in force; false when the pool did not take it. */
  #publish(): boolean {
    const { clock, log } = this.#deps;
    const nowMs = clock.nowMs();
    this.#heldChange?.cancel();
    const changeMs = this.#held.nextChangeMs(nowMs);
    if (changeMs !== Number.POSITIVE_INFINITY) {
      this.#heldChange = clock.after(changeMs - nowMs, () => {
        this.#publish();
        this.#teller.tell(this.#sink, this.status());
      });
    }
    const endpoints = this.#held.current(this.#expiredReason(), nowMs);
    if (endpoints === undefined || this.#sink === undefined) return true;
    const text = JSON.stringify(endpoints);
    if (text === this.#published) return true;
    try {
      this.#sink.onSnapshot({ endpoints });
    } catch (cause) {
      log.error({ err: cause }, "endpoints were not taken");
      return false;
    }
    this.#published = text;
    this.#endpoints = endpoints.length;
    this.#lastChangeMs = nowMs;
    log.debug({ name: this.#discovery.name, endpoints: endpoints.length }, "endpoints changed");
    return true;
  }

  #delayAfter(result: LookupResult): number {
    const { minTtlMs, maxTtlMs } = this.#discovery;
    const random = this.#deps.random();
    switch (result.kind) {
      case "found":
        return clamp(result.ttlMs, minTtlMs, maxTtlMs) * (1 + random * lateShare);
      case "nx": {
        const ceilingMs = Math.min(maxTtlMs, noneMaxMs);
        return (
          clamp(result.negativeTtlMs ?? 0, Math.min(minTtlMs, ceilingMs), ceilingMs) *
          (1 + random * lateShare)
        );
      }
      default: {
        const doublings = Math.min(this.#consecutiveFailures - 1, 10);
        return Math.min(retryMaxMs, retryMinMs * 2 ** doublings) * (0.5 + random / 2);
      }
    }
  }
}

/** As the system has them at this moment; a resolver that was made before would keep the old ones. */
function systemServers(): readonly DnsServer[] {
  return new SystemResolver().getServers().map((text) => {
    const bracketed = /^\[([^\]]+)\]:(\d+)$/.exec(text);
    if (bracketed !== null) return { host: bracketed[1] ?? "", port: Number(bracketed[2]) };
    const plain = /^([\d.]+):(\d+)$/.exec(text);
    if (plain !== null) return { host: plain[1] ?? "", port: Number(plain[2]) };
    return { host: text, port: dnsPort };
  });
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
