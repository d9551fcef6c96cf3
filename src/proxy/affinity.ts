import type { AffinityConfig } from "../config/affinity-model.js";
import type { BalanceConfig, KeyConfig } from "../config/balance-model.js";
import type { Backend } from "../core/backend.js";
import type { AffinityClaim } from "../core/explain-affinity.js";
import { hashText } from "../core/hash.js";
import type { Lease } from "../core/lease.js";
import type { Pool } from "../core/pool.js";
import { countSession } from "../core/session-fate.js";
import { StickTable } from "../core/stick-table.js";
import { takesBoundWork, type Wish } from "../core/wish.js";
import type { Clock } from "../platform/clock.js";
import type { AccessRecord } from "./access-record.js";
import { type Claim, CookieAffinity } from "./affinity-cookie.js";
import { affinityWords, type TracedRequest, traceAffinity } from "./affinity-trace.js";
import type { ClientFacts, FieldList, RequestHead, ResponseHead } from "./message.js";
import { keyOf } from "./request-key.js";

/** A wish that is still being made. */
export interface OpenWish extends Wish {
  hash: number | undefined;
  bound: Backend | undefined;
}

/** What becomes of one request's affinity. */
export interface Stick {
  /** The request's fields as the application is to see them. */
  fieldsOf(head: RequestHead): FieldList;
  /** The answer as the client is to see it; what is to be remembered of it is. */
  answered(answer: ResponseHead, backend: Backend): ResponseHead;
}

/** Request path. What of a request decides where it goes, and how its client is kept there. */
export class Affinity {
  readonly #balance: BalanceConfig;
  readonly #config: AffinityConfig | undefined;
  readonly #hashKey: KeyConfig | undefined;
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #table: StickTable | undefined;
  readonly #cookie: CookieAffinity | undefined;

  /** @param previous what was in force before: a table that goes by the same key is kept */
  constructor(
    balance: BalanceConfig,
    config: AffinityConfig | undefined,
    pool: Pool,
    clock: Clock,
    previous?: Affinity,
  ) {
    this.#balance = balance;
    this.#config = config;
    this.#hashKey = config?.type === "hash" ? config : "on" in balance ? balance : undefined;
    this.#pool = pool;
    this.#clock = clock;
    if (config?.type === "cookie") this.#cookie = new CookieAffinity(config, pool);
    if (config?.type === "table") {
      this.#table = previous?.tableFor(config) ?? new StickTable(config);
      this.#table.reconfigure(config, clock.nowMs());
    }
  }

  /** Whether it does what another configuration says. */
  isAs(balance: BalanceConfig, config: AffinityConfig | undefined): boolean {
    return JSON.stringify([this.#balance, this.#config]) === JSON.stringify([balance, config]);
  }

  /** Its table, if that goes by this key. */
  tableFor({ on, name }: KeyConfig): StickTable | undefined {
    const own = this.tableKey;
    return own?.on === on && own.name === name ? this.#table : undefined;
  }

  /** Membership or descriptions of backends changed. */
  membershipChanged(): void {
    this.#cookie?.forget();
  }

  get kind(): "cookie" | "table" | "hash" {
    return this.#config?.type ?? "hash";
  }

  /** What it goes by, in words. */
  get words(): string {
    return affinityWords(this.#config, this.#hashKey);
  }

  /** Undefined where it keeps none. */
  get table(): StickTable | undefined {
    return this.#table;
  }

  /** What its table goes by; undefined where it keeps none. */
  get tableKey(): KeyConfig | undefined {
    return this.#config?.type === "table" ? this.#config : undefined;
  }

  /** What a request would say of its backend. Nothing is counted, and no entry is used. */
  trace(request: TracedRequest): AffinityClaim {
    const parts = {
      config: this.#config,
      hashKey: this.#hashKey,
      pool: this.#pool,
      table: this.#table,
      cookie: this.#cookie,
    };
    return traceAffinity(parts, request, this.#clock);
  }

  /**
   * Whether a cookie or a table binds a request to a backend that serves it. Counts as no use.
   *
   * @param head undefined for a connection of which nothing but its client is known
   */
  binds(head: RequestHead | undefined, client: Pick<ClientFacts, "remoteAddress">): boolean {
    if (head === undefined) return this.#isKept(this.#tunnelKey(client.remoteAddress));
    if (this.#cookie !== undefined)
      return this.#cookie.claim(head.fields, { cookieState: "--" }, this.#clock.wallMs()).bound !== undefined;
    return this.#isKept(this.tableKey && keyOf(this.tableKey, head, client));
  }

  /** Whether the table's entry of a key names a backend that serves it. */
  #isKept(key: string | undefined): boolean {
    const entry = key === undefined ? undefined : this.#table?.peek(key, this.#clock.nowMs());
    const backend = entry && this.#pool.backend(entry.backend);
    return backend !== undefined && takesBoundWork(backend, this.#pool.options.persist === true);
  }

  /** Puts into the wish what a request says of its backend; answers what is left to do, if anything. */
  begin(wish: OpenWish, head: RequestHead, client: ClientFacts, record: AccessRecord): Stick | undefined {
    if (this.#hashKey !== undefined) {
      const key = keyOf(this.#hashKey, head, client);
      if (key !== undefined) wish.hash = hashText(key);
    }
    if (this.#cookie !== undefined) {
      const claim = this.#cookie.claim(head.fields, record, this.#clock.wallMs());
      wish.bound = claim.bound;
      return new CookieStick(this.#cookie, claim, head.method, record, this.#clock);
    }
    if (this.#config?.type !== "table") return undefined;
    const key = keyOf(this.#config, head, client);
    return key === undefined ? undefined : this.#lookUp(wish, key);
  }

  /**
   * As `begin`, for a connection of which nothing but its client is known; the answer is to be told of the backend
   * that took it.
   */
  beginTunnel(wish: OpenWish, clientAddress: string): TableStick | undefined {
    if (clientAddress === "") return undefined;
    if (this.#hashKey?.on === "source") wish.hash = hashText(clientAddress);
    const key = this.#tunnelKey(clientAddress);
    return key === undefined ? undefined : this.#lookUp(wish, key);
  }

  /** The table's key of a connection: the table goes by addresses, or there is none. */
  #tunnelKey(clientAddress: string): string | undefined {
    return this.tableKey?.on === "source" ? clientAddress || undefined : undefined;
  }

  #lookUp(wish: OpenWish, key: string): TableStick | undefined {
    if (this.#table === undefined) return undefined;
    const id = this.#table.find(key, this.#clock.nowMs());
    const backend = id === undefined ? undefined : this.#pool.backend(id);
    const isPersistent = this.#pool.options.persist === true;
    if (backend !== undefined && takesBoundWork(backend, isPersistent)) wish.bound = backend;
    return new TableStick(this.#table, key, id, this.#clock);
  }
}

class CookieStick implements Stick {
  readonly #cookie: CookieAffinity;
  readonly #claim: Claim;
  readonly #method: string;
  readonly #record: AccessRecord;
  readonly #clock: Clock;

  constructor(cookie: CookieAffinity, claim: Claim, method: string, record: AccessRecord, clock: Clock) {
    this.#cookie = cookie;
    this.#claim = claim;
    this.#method = method;
    this.#record = record;
    this.#clock = clock;
  }

  fieldsOf(head: RequestHead): FieldList {
    return this.#cookie.requestFields(head.fields);
  }

  answered(answer: ResponseHead, backend: Backend): ResponseHead {
    const claim = this.#claim;
    const record = this.#record;
    const head = this.#cookie.answered(answer, this.#method, backend, claim, record, this.#clock.wallMs());
    const nowMs = this.#clock.nowMs();
    if (backend === claim.bound) countSession(backend, "kept", nowMs);
    else if (claim.named !== undefined) countSession(backend, "moved", nowMs);
    else if (head !== answer && this.#cookie.valueOf(backend) !== undefined)
      countSession(backend, "new", nowMs);
    return head;
  }
}

/** An entry of the stick table that is made or moved once somebody served its key. */
export class TableStick implements Stick {
  readonly #table: StickTable;
  readonly #key: string;
  /** Id of the backend that the entry named, if there was one. */
  readonly #named: string | undefined;
  readonly #clock: Clock;

  constructor(table: StickTable, key: string, named: string | undefined, clock: Clock) {
    this.#table = table;
    this.#key = key;
    this.#named = named;
    this.#clock = clock;
  }

  fieldsOf(head: RequestHead): FieldList {
    return head.fields;
  }

  answered(answer: ResponseHead, backend: Backend): ResponseHead {
    if (answer.status < 500) this.servedBy(backend);
    return answer;
  }

  /** Only who served is remembered. */
  servedBy(backend: Backend): void {
    const nowMs = this.#clock.nowMs();
    this.#table.store(this.#key, backend.id, nowMs);
    const named = this.#named;
    countSession(backend, named === undefined ? "new" : named === backend.id ? "kept" : "moved", nowMs);
  }
}

/** An answer's head as the client is to see it, from the backend that holds the lease. */
export function answeredHead(
  stick: Stick | undefined,
  answer: ResponseHead,
  lease: Lease | undefined,
): ResponseHead {
  return stick === undefined || lease === undefined ? answer : stick.answered(answer, lease.backend);
}
