import { hashText } from "./hash.js";

/** Longer keys are kept as a digest, so that an entry has a bounded size. */
const LONGEST_KEY = 128;

interface Entry {
  backend: string;
  sinceMs: number;
  expiresMs: number;
}

/** What a table may hold, and for how long. */
export interface StickTableOptions {
  /** Most entries; beyond it the one unused for longest goes. */
  readonly size: number;
  /** An entry unused for longer is forgotten. */
  readonly expireMs: number;
}

/** One entry as it stands. */
export interface StickEntry {
  /** As it is kept: of a long key its digest. */
  readonly key: string;
  /** Id of the backend, which may have left meanwhile. */
  readonly backend: string;
  /** Since when it leads to this backend. */
  readonly sinceMs: number;
  /** When it is forgotten, if nobody uses it before. */
  readonly expiresMs: number;
}

/** What became of entries since the start. */
export interface StickTableCounts {
  /** Made or moved to another backend. */
  readonly stored: number;
  /** Unused for their time. */
  readonly expired: number;
  /** Pushed out by newer ones. */
  readonly evicted: number;
  /** Taken out by operators. */
  readonly cleared: number;
}

/**
 * Request path. HAProxy's stick table with its `server_id`: which backend a key was served by. Every use begins an
 * entry's time anew, so entries stand in the order in which they expire, and both expiry and eviction take the first.
 */
export class StickTable {
  #options: StickTableOptions;
  readonly #entries = new Map<string, Entry>();
  /** Entries by backend; none is 0. */
  readonly #bound = new Map<string, number>();
  #stored = 0;
  #expired = 0;
  #evicted = 0;
  #cleared = 0;

  constructor(options: StickTableOptions) {
    this.#options = options;
  }

  get options(): StickTableOptions {
    return this.#options;
  }

  /** Entries, with those that expired since the last look at the table. */
  get size(): number {
    return this.#entries.size;
  }

  get counts(): StickTableCounts {
    return {
      stored: this.#stored,
      expired: this.#expired,
      evicted: this.#evicted,
      cleared: this.#cleared,
    };
  }

  /** Puts other limits in force; no entry may stay unused for longer from now on. */
  reconfigure(options: StickTableOptions, nowMs: number): void {
    const latestMs = nowMs + options.expireMs;
    if (options.expireMs < this.#options.expireMs) {
      for (const entry of this.#entries.values()) entry.expiresMs = Math.min(entry.expiresMs, latestMs);
    }
    this.#options = options;
    this.#evict();
  }

  /** Id of the backend that serves this key; its time begins anew. */
  find(key: string, nowMs: number): string | undefined {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    if (entry.expiresMs <= nowMs) {
      this.#count(entry.backend, -1);
      this.#expired++;
      return undefined;
    }
    entry.expiresMs = nowMs + this.#options.expireMs;
    this.#entries.set(name, entry);
    return entry.backend;
  }

  /** Remembers who served this key. */
  store(key: string, backend: string, nowMs: number): void {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    const expiresMs = nowMs + this.#options.expireMs;
    if (entry?.backend === backend) {
      this.#entries.delete(name);
      entry.expiresMs = expiresMs;
      this.#entries.set(name, entry);
    } else {
      this.#put({ key: name, backend, sinceMs: nowMs, expiresMs });
      this.#stored++;
    }
    this.forgetExpired(nowMs);
    this.#evict();
  }

  /** Drops what is over, so that size and counts are those of this moment. */
  forgetExpired(nowMs: number): void {
    for (const [oldest, { backend, expiresMs }] of this.#entries) {
      if (expiresMs > nowMs) break;
      this.#entries.delete(oldest);
      this.#count(backend, -1);
      this.#expired++;
    }
  }

  // ---------------------------------------------------------------- for operators, and other processes

  /** How many entries lead to a backend, as of the last `forgetExpired`. */
  boundTo(backend: string): number {
    return this.#bound.get(backend) ?? 0;
  }

  /** The entry of a key, which counts as no use. Also of a key as it is kept. */
  peek(key: string, nowMs: number): StickEntry | undefined {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    return entry === undefined || entry.expiresMs <= nowMs ? undefined : { key: name, ...entry };
  }

  /** All entries, the one unused for longest first. The table must not change on the way. */
  *entries(nowMs: number): Generator<StickEntry, void, void> {
    for (const [key, entry] of this.#entries) if (entry.expiresMs > nowMs) yield { key, ...entry };
  }

  /** Takes out the entry of one key; answers how many there were. */
  clearKey(key: string): number {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    if (entry === undefined) return 0;
    this.#entries.delete(name);
    this.#count(entry.backend, -1);
    this.#cleared++;
    return 1;
  }

  /** Takes out all entries that lead to a backend; answers how many there were. */
  clearBackend(backend: string): number {
    return this.boundTo(backend) === 0 ? 0 : this.#clear((entry) => entry.backend === backend);
  }

  /** Takes out everything; answers how much there was. */
  clearAll(): number {
    return this.#clear(() => true);
  }

  /** Takes in what another process remembered; keys that are known already stay as they are. */
  restore(entries: Iterable<StickEntry>, nowMs: number): void {
    const latestMs = nowMs + this.#options.expireMs;
    for (const entry of entries) {
      const key = nameOf(entry.key);
      const expiresMs = Math.min(entry.expiresMs, latestMs);
      if (expiresMs > nowMs && !this.#entries.has(key)) this.#put({ ...entry, key, expiresMs });
    }
    const all = [...this.#entries].sort(([, a], [, b]) => a.expiresMs - b.expiresMs);
    this.#entries.clear();
    for (const [name, entry] of all) this.#entries.set(name, entry);
    this.#evict();
  }

  #clear(isMeant: (entry: Entry) => boolean): number {
    const before = this.#entries.size;
    for (const [name, entry] of this.#entries) {
      if (!isMeant(entry)) continue;
      this.#entries.delete(name);
      this.#count(entry.backend, -1);
    }
    const cleared = before - this.#entries.size;
    this.#cleared += cleared;
    return cleared;
  }

  #put({ key, backend, sinceMs, expiresMs }: StickEntry): void {
    const previous = this.#entries.get(key);
    if (previous !== undefined) {
      this.#entries.delete(key);
      this.#count(previous.backend, -1);
    }
    this.#entries.set(key, { backend, sinceMs, expiresMs });
    this.#count(backend, 1);
  }

  #count(backend: string, change: 1 | -1): void {
    const count = (this.#bound.get(backend) ?? 0) + change;
    if (count === 0) this.#bound.delete(backend);
    else this.#bound.set(backend, count);
  }

  #evict(): void {
    for (const [oldest, { backend }] of this.#entries) {
      if (this.#entries.size <= this.#options.size) return;
      this.#entries.delete(oldest);
      this.#count(backend, -1);
      this.#evicted++;
    }
  }
}

function nameOf(key: string): string {
  if (key.length <= LONGEST_KEY) return key;
  return `#${hashText(key)}.${hashText(key, 1)}.${hashText(key, 2)}.${key.length}`;
}
