import { hashText } from "./hash.js";

/** Longer keys are kept as a digest, so that an entry has a bounded size. */
const LONGEST_KEY = 128;

interface Entry {
  readonly backend: string;
  expiresMs: number;
}

/** What a table may hold, and for how long. */
export interface StickTableOptions {
  /** Most entries; beyond it the one unused for longest goes. */
  readonly size: number;
  /** An entry unused for longer is forgotten. */
  readonly expireMs: number;
}

/**
 * Request path. HAProxy's stick table with its `server_id`: which backend a key was served by. Every use begins an
 * entry's time anew, so entries stand in the order in which they expire, and both expiry and eviction take the first.
 */
export class StickTable {
  #options: StickTableOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: StickTableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Puts other limits in force; entries keep the time they have. */
  reconfigure(options: StickTableOptions): void {
    this.#options = options;
    this.#evict();
  }

  /** Id of the backend that serves this key; its time begins anew. */
  find(key: string, nowMs: number): string | undefined {
    const name = nameOf(key);
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    this.#entries.delete(name);
    if (entry.expiresMs <= nowMs) return undefined;
    entry.expiresMs = nowMs + this.#options.expireMs;
    this.#entries.set(name, entry);
    return entry.backend;
  }

  /** Remembers who served this key. */
  store(key: string, backend: string, nowMs: number): void {
    const name = nameOf(key);
    this.#entries.delete(name);
    this.#entries.set(name, { backend, expiresMs: nowMs + this.#options.expireMs });
    for (const [oldest, { expiresMs }] of this.#entries) {
      if (expiresMs > nowMs) break;
      this.#entries.delete(oldest);
    }
    this.#evict();
  }

  #evict(): void {
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#options.size) return;
      this.#entries.delete(oldest);
    }
  }
}

function nameOf(key: string): string {
  if (key.length <= LONGEST_KEY) return key;
  return `#${hashText(key)}.${hashText(key, 1)}.${hashText(key, 2)}.${key.length}`;
}
