import type { DnsClient, DnsFailureKind, DnsResult } from "./client.js";
import { type DnsQuestion, type DnsRecord, foldName } from "./message.js";

/** One SRV record with the addresses of its target, or the one instance of a name asked for addresses. */
export interface FoundInstance {
  readonly target: string;
  readonly port: number;
  /** Lower ones first (RFC 2782). */
  readonly priority: number;
  readonly weight: number;
  /** IP literals, sorted, at least one. */
  readonly addresses: readonly string[];
}

/** What became of one lookup. */
export type LookupResult =
  | {
      readonly kind: "found";
      /** At least one. */
      readonly instances: readonly FoundInstance[];
      /** The shortest of all records used. */
      readonly ttlMs: number;
      /** Targets that were left out, and why; empty when there is none. */
      readonly trouble: string;
    }
  | {
      readonly kind: DnsFailureKind;
      readonly reason: string;
      readonly negativeTtlMs: number | undefined;
    };

type SrvRecord = Extract<DnsRecord, { readonly type: "SRV" }>;
type Found = Extract<DnsResult, { readonly kind: "found" }>;

/** Records of one answer that are used; Consul itself gives no more. */
const recordsMax = 4_096;
const aliasesMax = 8;
const questionsAtOnce = 8;
/** When so many targets could not be asked for, the name servers are away and the others need not be tried. */
const silentTargetsMax = 4;

/**
 * Finds the instances behind a name, SRV or A and AAAA. The last known address of a target is kept for as long
 * as the target is named and cannot be asked for.
 */
export class DnsLookup {
  readonly #client: DnsClient;
  /** By `type name`; only what the last lookup used. */
  #known = new Map<string, readonly string[]>();

  constructor(client: DnsClient) {
    this.#client = client;
  }

  /** Instances of an SRV name. Never rejects. */
  async srv(name: string): Promise<LookupResult> {
    const result = await this.#ask(name, "SRV");
    if (result.kind !== "found") return result;
    const services = result.records.slice(0, recordsMax).filter((record) => record.type === "SRV");
    const usable = services.filter((record) => record.target !== "" && record.port > 0);
    if (usable.length === 0) {
      return none(`${foldName(name)}: the answer says that there is no such service`, result.ttlMs);
    }
    return this.#withAddresses(usable, result);
  }

  /** The addresses of a name, as instances of weight 1. Never rejects. */
  async addresses(name: string, port: number): Promise<LookupResult> {
    const book = new Map<string, readonly string[]>();
    const host = await this.#host(foldName(name), book);
    if (host.kind !== "found") return host;
    this.#known = book;
    return {
      kind: "found",
      instances: [{ target: foldName(name), port, priority: 0, weight: 1, addresses: host.addresses }],
      ttlMs: host.ttlMs,
      trouble: "",
    };
  }

  async #withAddresses(
    services: readonly SrvRecord[],
    result: { readonly ttlMs: number; readonly additionals: readonly DnsRecord[] },
  ): Promise<LookupResult> {
    const book = new Map<string, readonly string[]>();
    const hosts = new Map<string, HostResult>();
    const toAsk: string[] = [];
    for (const target of new Set(services.map((record) => record.target))) {
      const given = this.#given(target, result.additionals, book);
      if (given !== undefined) hosts.set(target, given);
      else toAsk.push(target);
    }
    await this.#askTargets(toAsk, hosts, book);
    this.#known = book;
    const instances: FoundInstance[] = [];
    const trouble: string[] = [];
    let ttlMs = result.ttlMs;
    for (const record of services) {
      const host = hosts.get(record.target);
      if (host?.kind !== "found") {
        trouble.push(`${record.target}: ${host?.reason ?? "not asked"}`);
        continue;
      }
      ttlMs = Math.min(ttlMs, host.ttlMs);
      const { target, port, priority, weight } = record;
      instances.push({ target, port, priority, weight, addresses: host.addresses });
    }
    if (instances.length === 0) {
      return failed("other", `no target has an address: ${summary(trouble)}`);
    }
    return { kind: "found", instances, ttlMs, trouble: summary(trouble) };
  }

  /** Addresses that came with the answer, which spares the questions. */
  #given(
    target: string,
    additionals: readonly DnsRecord[],
    book: Map<string, readonly string[]>,
  ): HostResult | undefined {
    const found = followAliases(target, additionals);
    const addresses: string[] = [];
    for (const type of ["A", "AAAA"] as const) {
      const values = found.records.flatMap((record) => (record.type === type ? [record.value] : []));
      if (values.length > 0) book.set(`${type} ${target}`, values);
      addresses.push(...values);
    }
    if (addresses.length === 0) return undefined;
    return { kind: "found", addresses: sorted(addresses), ttlMs: found.ttlMs };
  }

  async #askTargets(
    targets: readonly string[],
    hosts: Map<string, HostResult>,
    book: Map<string, readonly string[]>,
  ): Promise<void> {
    let silent = 0;
    const queue = [...targets];
    const work = async (): Promise<void> => {
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        const host =
          silent < silentTargetsMax
            ? await this.#host(target, book)
            : failed("timeout", "not asked, the name servers are silent");
        if (host.kind === "timeout") silent += 1;
        const isAnswer = host.kind === "found" || host.kind === "nx";
        hosts.set(target, isAnswer ? host : this.#remembered(target, book, host));
      }
    };
    await Promise.all(Array.from({ length: Math.min(questionsAtOnce, queue.length) }, work));
  }

  /**
   * Both families of a host. That one of them cannot be asked for takes no address away: what was known of it
   * stays, and where nothing was, the other one does.
   */
  async #host(name: string, book: Map<string, readonly string[]>): Promise<HostResult> {
    const [v4, v6] = await Promise.all([this.#ask(name, "A"), this.#ask(name, "AAAA")]);
    const addresses: string[] = [];
    let ttlMs = Number.POSITIVE_INFINITY;
    if (v4.kind !== "found" && v6.kind !== "found") return v4.kind === "nx" ? v6 : v4;
    for (const [type, result] of [
      ["A", v4],
      ["AAAA", v6],
    ] as const) {
      const key = `${type} ${name}`;
      let values: readonly string[] = [];
      if (result.kind === "found") {
        values = result.records.flatMap((record) => (record.type === type ? [record.value] : []));
        ttlMs = Math.min(ttlMs, result.ttlMs);
      } else if (result.kind !== "nx") {
        values = this.#known.get(key) ?? [];
      }
      if (values.length > 0) book.set(key, values);
      addresses.push(...values);
    }
    return { kind: "found", addresses: sorted(addresses), ttlMs };
  }

  #remembered(name: string, book: Map<string, readonly string[]>, failure: Failure): HostResult {
    const addresses: string[] = [];
    for (const type of ["A", "AAAA"] as const) {
      const values = this.#known.get(`${type} ${name}`) ?? [];
      if (values.length > 0) book.set(`${type} ${name}`, values);
      addresses.push(...values);
    }
    if (addresses.length === 0) return failure;
    return { kind: "found", addresses: sorted(addresses), ttlMs: 0 };
  }

  /** Asks, and asks again where an answer ends in an alias without what it stands for. */
  async #ask(name: string, type: DnsQuestion["type"]): Promise<Records | Failure> {
    let asked = foldName(name);
    let ttlMs = Number.POSITIVE_INFINITY;
    for (let aliases = 0; aliases <= aliasesMax; aliases += 1) {
      const result = await this.#client.ask({ name: asked, type });
      if (result.kind !== "found") return result;
      const found = recordsOf(result, asked, type);
      ttlMs = Math.min(ttlMs, found.ttlMs);
      if (found.records.length > 0) {
        return { kind: "found", records: found.records, ttlMs, additionals: result.message.additionals };
      }
      if (found.name === asked) {
        return none(`${asked}: no ${type} records`, result.message.negativeTtlMs);
      }
      asked = found.name;
    }
    return failed("other", `${foldName(name)}: too many aliases`);
  }
}

interface Records {
  readonly kind: "found";
  readonly records: readonly DnsRecord[];
  readonly ttlMs: number;
  readonly additionals: readonly DnsRecord[];
}

type Failure = Exclude<LookupResult, { readonly kind: "found" }>;

type HostResult =
  | { readonly kind: "found"; readonly addresses: readonly string[]; readonly ttlMs: number }
  | Failure;

function recordsOf(result: Found, name: string, type: DnsQuestion["type"]): Chain {
  const chain = followAliases(name, result.message.answers);
  return { ...chain, records: chain.records.filter((record) => record.type === type) };
}

interface Chain {
  /** Where the aliases end. */
  readonly name: string;
  readonly records: readonly DnsRecord[];
  readonly ttlMs: number;
}

function followAliases(name: string, records: readonly DnsRecord[]): Chain {
  let at = name;
  let ttlMs = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= aliasesMax; aliases += 1) {
    const own = records.filter((record) => record.name === at);
    const alias = own.find((record) => record.type === "CNAME");
    const others = own.filter((record) => record.type !== "CNAME");
    for (const record of own) ttlMs = Math.min(ttlMs, record.ttlMs);
    if (alias?.type !== "CNAME" || others.length > 0) return { name: at, records: others, ttlMs };
    at = alias.value;
  }
  return { name: at, records: [], ttlMs };
}

function sorted(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses)].sort();
}

function summary(trouble: readonly string[]): string {
  const shown = [...new Set(trouble)];
  return shown.length > 3 ? `${shown.slice(0, 3).join(", ")} and ${shown.length - 3} more` : shown.join(", ");
}

function none(reason: string, negativeTtlMs: number | undefined): Failure {
  return { kind: "nx", reason, negativeTtlMs };
}

function failed(kind: DnsFailureKind, reason: string): Failure {
  return { kind, reason, negativeTtlMs: undefined };
}
