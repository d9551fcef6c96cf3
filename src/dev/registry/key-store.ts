import type { RaftIndex } from "./raft-index.js";

/** One entry under `/v1/kv`. */
export interface KeyEntry {
  readonly Key: string;
  readonly Value: Buffer;
  /** Opaque number of the writer. Numbers above 2^53 lose their last digits here, unlike in Consul. */
  readonly Flags: number;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

/** Deleted keys that are remembered, so that a watched prefix sees the deletion. Consul keeps them 15 minutes. */
const maxTombstones = 4096;

/** The key-value part of the catalog: pure, sharing the catalog's write counter. */
export class KeyStore {
  readonly #raft: RaftIndex;
  readonly #changed: () => void;
  readonly #entries = new Map<string, KeyEntry>();
  readonly #tombstones = new Map<string, number>();
  #tableIndex = 0;

  /** @param changed called after every write. */
  constructor(raft: RaftIndex, changed: () => void) {
    this.#raft = raft;
    this.#changed = changed;
  }

  /** One entry, or undefined. */
  get(key: string): KeyEntry | undefined {
    return this.#entries.get(key);
  }

  /** Index of one key: its own, or the table's while it is missing. */
  keyIndex(key: string): number {
    return this.#entries.get(key)?.ModifyIndex ?? this.#tableIndex;
  }

  /** Entries below a prefix, ordered by key. */
  list(prefix: string): KeyEntry[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.Key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a.Key), Buffer.from(b.Key)));
  }

  /** Index of a prefix: the newest write or deletion below it, else the table's. */
  prefixIndex(prefix: string): number {
    if (prefix === "") return this.#tableIndex;
    let newest = 0;
    for (const entry of this.#entries.values()) {
      if (entry.Key.startsWith(prefix)) newest = Math.max(newest, entry.ModifyIndex);
    }
    for (const [key, index] of this.#tombstones) if (key.startsWith(prefix)) newest = Math.max(newest, index);
    return newest === 0 ? this.#tableIndex : newest;
  }

  /** Writes unless `cas` names another index than the entry's (0: only if missing). False when it did not. */
  put(key: string, value: Buffer, flags: number, cas?: number): boolean {
    const index = this.#raft.next();
    const existing = this.#entries.get(key);
    if (cas !== undefined && cas !== (existing?.ModifyIndex ?? 0)) return false;
    if (existing !== undefined && existing.Flags === flags && existing.Value.equals(value)) return true;
    this.#entries.set(key, {
      Key: key,
      Value: value,
      Flags: flags,
      CreateIndex: existing?.CreateIndex ?? index,
      ModifyIndex: index,
    });
    this.#tableIndex = index;
    this.#changed();
    return true;
  }

  /** Deletes one key, unless `cas` names another index than the entry's. A missing key counts as deleted. */
  delete(key: string, cas?: number): boolean {
    const index = this.#raft.next();
    const existing = this.#entries.get(key);
    if (existing === undefined) return true;
    if (cas !== undefined && cas !== existing.ModifyIndex) return false;
    this.#bury([key], index);
    return true;
  }

  /** Deletes everything below a prefix. */
  deleteTree(prefix: string): void {
    const index = this.#raft.next();
    const keys = [...this.#entries.keys()].filter((key) => key.startsWith(prefix));
    if (keys.length > 0) this.#bury(keys, index);
  }

  #bury(keys: readonly string[], index: number): void {
    for (const key of keys) {
      this.#entries.delete(key);
      this.#tombstones.delete(key);
      this.#tombstones.set(key, index);
    }
    for (const oldest of this.#tombstones.keys()) {
      if (this.#tombstones.size <= maxTombstones) break;
      this.#tombstones.delete(oldest);
    }
    this.#tableIndex = index;
    this.#changed();
  }
}
