import type { Endpoint } from "../core/endpoint.js";
import type { PoolEvent } from "../core/events.js";
import type { Pool } from "../core/pool.js";

/** An event that happened, with its number. */
export interface JournalEntry {
  /** From 1, without holes. */
  readonly sequence: number;
  /** Monotonic. */
  readonly atMs: number;
  readonly pool: string;
  readonly event: PoolEvent;
  /** How discovery described the backend at that time; undefined when the event concerns the pool. */
  readonly endpoint: Endpoint | undefined;
}

/** What a reader gets: first what it missed, then what is kept. */
export interface JournalPage {
  /** Numbers that are no longer kept, first and last included. */
  readonly gap: { readonly first: number; readonly last: number } | undefined;
  readonly entries: readonly JournalEntry[];
}

/** Events kept when nothing else is said. */
const CAPACITY = 4096;

/**
 * The last events of all pools, numbered in the order in which they happened. Readers keep a number, not a
 * queue: one that is too slow finds a gap instead of filling memory.
 */
export class EventJournal {
  readonly #capacity: number;
  /** Entry n lies at n modulo the capacity. */
  readonly #ring: (JournalEntry | undefined)[];
  readonly #listeners = new Set<() => void>();
  #next = 1;

  constructor(options: { readonly capacity?: number } = {}) {
    this.#capacity = options.capacity ?? CAPACITY;
    this.#ring = new Array<JournalEntry | undefined>(this.#capacity).fill(undefined);
  }

  /** Number of the next event; those below have happened. */
  get nextSequence(): number {
    return this.#next;
  }

  /** The lowest number that is kept, or the next one when nothing is. */
  get oldestSequence(): number {
    return Math.max(1, this.#next - this.#capacity);
  }

  /** Takes down everything that happens in a pool from now on. Answers how to stop. */
  follow(pool: Pool): () => void {
    return pool.subscribe((event, nowMs) => this.#record(pool.name, event, nowMs));
  }

  /** Events from a number on, at most `limit`. */
  read(from: number, limit: number): JournalPage {
    const first = Math.max(from, this.oldestSequence);
    const gap = from < first ? { first: from, last: first - 1 } : undefined;
    const entries: JournalEntry[] = [];
    const end = Math.min(this.#next, first + limit);
    for (let sequence = first; sequence < end; sequence++) {
      const entry = this.#ring[sequence % this.#capacity];
      if (entry !== undefined) entries.push(entry);
    }
    return { gap, entries };
  }

  /** Calls after each event. Answers how to stop. */
  onAppend(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #record(pool: string, event: PoolEvent, nowMs: number): void {
    const sequence = this.#next++;
    const endpoint = "backend" in event ? event.backend.endpoint : undefined;
    this.#ring[sequence % this.#capacity] = { sequence, atMs: nowMs, pool, event, endpoint };
    for (const listener of this.#listeners) listener();
  }
}
