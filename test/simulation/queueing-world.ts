import type { AdaptiveLimitOptions } from "../../src/core/adaptive-limit.js";
import type { Backend } from "../../src/core/backend.js";
import type { Lease } from "../../src/core/lease.js";
import type { Pool } from "../../src/core/pool.js";
import type { PoolOptions } from "../../src/core/pool-options.js";
import { ADAPTIVE_LIMIT } from "../support/adaptive-limit.js";
import { apply, endpoint, newPool, waiter } from "../support/pool-fixture.js";
import { seededRandom } from "../support/seeded-random.js";

/** A server that works on so many requests at once; the others wait in it, first come, first served. */
export interface Server {
  workers: number;
  /** Mean time of one request. */
  serviceMs: number;
  /** Whether times are exponential rather than all within a tenth of the mean. */
  isErratic: boolean;
}

interface Job {
  readonly lease: Lease;
  readonly cameMs: number;
  readonly takenMs: number;
}

/** What happened since the last look. */
export interface Told {
  /** By the server's time alone, in order of their ends. */
  readonly latencies: number[];
  /** From the client's coming to the end of its answer. */
  readonly waits: number[];
  readonly limits: number[];
  came: number;
  refused: number;
  measurements: number;
}

/**
 * A pool with a limit that follows latency, before servers with queues of their own: open-loop load by chance that depends on
 * the seed alone. Every event is held against what must hold whatever happens; whatever does not throws.
 */
export class QueueingWorld {
  readonly pool: Pool;
  /** Requests per second. */
  rate = 0;
  told: Told = blank();
  readonly #random: () => number;
  readonly #servers = new Map<string, Server>();
  readonly #busy = new Map<string, number>();
  readonly #lines = new Map<string, Job[]>();
  readonly #events: { readonly atMs: number; readonly act: () => void }[] = [];
  readonly #adaptive: AdaptiveLimitOptions;
  #nowMs = 0;
  #dueMs = Number.POSITIVE_INFINITY;
  #wasMeasuring = new Set<Backend>();

  constructor(seed: number, servers: readonly Server[], changes: Partial<PoolOptions> = {}) {
    this.#random = seededRandom(seed);
    const adaptiveLimit = changes.adaptiveLimit ?? ADAPTIVE_LIMIT;
    this.#adaptive = adaptiveLimit;
    this.pool = newPool({ maxQueue: 1_000, random: this.#random, ...changes, adaptiveLimit });
    this.pool.onDueChanged(() => {
      this.#dueMs = Math.min(this.#dueMs, this.#nowMs);
    });
    apply(
      this.pool,
      servers.map((server, index) => {
        this.#servers.set(`s${index}`, server);
        return endpoint(`s${index}`);
      }),
    );
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets time pass, with requests at the rate in force. Answers what happened in it. */
  pass(ms: number): Told {
    this.told = blank();
    const endMs = this.#nowMs + ms;
    let nextMs = this.#nowMs + this.#gapMs();
    for (;;) {
      const event = this.#events[0];
      const atMs = Math.min(nextMs, event?.atMs ?? Number.POSITIVE_INFINITY, this.#dueMs);
      if (atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, atMs);
      if (this.#dueMs <= atMs) {
        this.#dueMs = Number.POSITIVE_INFINITY;
        this.#dueMs = this.pool.tick(this.#nowMs);
      } else if (event !== undefined && event.atMs <= nextMs) {
        this.#events.shift();
        event.act();
      } else {
        this.#come();
        nextMs = this.#nowMs + this.#gapMs();
      }
      this.#check();
    }
    this.#nowMs = endMs;
    return this.told;
  }

  #gapMs(): number {
    return this.rate === 0 ? Number.POSITIVE_INFINITY : (-Math.log(1 - this.#random()) * 1_000) / this.rate;
  }

  #come(): void {
    const cameMs = this.#nowMs;
    this.told.came++;
    const lease = this.pool.acquire([], cameMs);
    if (lease !== undefined) {
      this.#serve(lease, cameMs);
      return;
    }
    const ticket = this.pool.enqueue(
      waiter((granted) => this.#serve(granted, cameMs)),
      cameMs,
    );
    if (ticket === undefined) this.told.refused++;
  }

  #serve(lease: Lease, cameMs: number): void {
    const { id } = lease.backend.endpoint;
    const line = this.#lines.get(id) ?? [];
    this.#lines.set(id, line);
    line.push({ lease, cameMs, takenMs: this.#nowMs });
    this.#work(id);
  }

  #work(id: string): void {
    const server = this.#servers.get(id);
    const line = this.#lines.get(id) ?? [];
    const busy = this.#busy.get(id) ?? 0;
    if (server === undefined || busy >= server.workers) return;
    const job = line.shift();
    if (job === undefined) return;
    this.#busy.set(id, busy + 1);
    const spread = server.isErratic ? -Math.log(1 - this.#random()) : 0.9 + this.#random() * 0.2;
    this.#at(this.#nowMs + server.serviceMs * spread, () => this.#end(id, job));
  }

  #end(id: string, { lease, cameMs, takenMs }: Job): void {
    this.#busy.set(id, (this.#busy.get(id) ?? 1) - 1);
    this.told.latencies.push(this.#nowMs - takenMs);
    this.told.waits.push(this.#nowMs - cameMs);
    this.told.limits.push(lease.backend.row.limit);
    lease.latencyMs = this.#nowMs - takenMs;
    lease.release("success", 200, this.#nowMs);
    this.#work(id);
  }

  #at(atMs: number, act: () => void): void {
    let place = this.#events.length;
    while (place > 0 && (this.#events[place - 1]?.atMs ?? 0) > atMs) place--;
    this.#events.splice(place, 0, { atMs, act });
  }

  /** Limits keep their bounds, nobody is given more than a limit that did not fall meanwhile, and nobody waits for nothing. */
  #check(): void {
    const { minLimit, maxLimit } = this.#adaptive;
    const { maxInFlightPerBackend: most } = this.pool.options;
    for (const backend of this.pool.backends()) {
      const { limit, inFlight } = backend.row;
      const least = most === 0 ? minLimit : Math.min(minLimit, most);
      if (limit < least || limit > (most === 0 ? maxLimit : Math.min(maxLimit, most)))
        throw new Error(`limit ${limit}`);
      if (this.pool.queue.length > 0 && inFlight < limit)
        throw new Error(`waits though ${inFlight} of ${limit}`);
      const isMeasuring = backend.adaptive?.isMeasuring === true;
      if (isMeasuring && !this.#wasMeasuring.has(backend)) this.told.measurements++;
      if (isMeasuring) this.#wasMeasuring.add(backend);
      else this.#wasMeasuring.delete(backend);
    }
  }
}

function blank(): Told {
  return { latencies: [], waits: [], limits: [], came: 0, refused: 0, measurements: 0 };
}

/** The value that this share of them does not exceed; 0 of none. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
