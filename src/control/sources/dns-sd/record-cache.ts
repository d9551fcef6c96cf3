import type { HeardRecord } from "./messages.js";

/** A record held in the cache. */
export interface CachedRecord {
  readonly record: HeardRecord;
  /** Who said it last. */
  readonly sender: Sender;
  readonly heardMs: number;
  readonly ttlMs: number;
  readonly expiresMs: number;
  /** It was taken back or outdated by its sender, not merely heard no more. */
  readonly isRevoked: boolean;
  /** When it is asked for next, before it expires; infinite when it is not any more. */
  readonly refreshMs: number;
  readonly refreshes: number;
}

/** Who said something, and on which interface. */
export interface Sender {
  readonly address: string;
  readonly link: string;
}

/** Limits of a cache, so that a flood of names ends here and not in memory. */
export interface CacheLimits {
  readonly recordsMax: number;
  readonly recordsPerSenderMax: number;
}

/** A goodbye, and what is outdated by a flush, counts after a second (RFC 6762 sections 10.1 and 10.2). */
const revokedMs = 1_000;
/** When a record is asked for again, as shares of its time to live, each up to 2 % later (section 5.2). */
const refreshShares = [0.8, 0.85, 0.9, 0.95];
const refreshSpread = 0.02;
/** Longer times to live are cut: nobody who is alive says nothing for a day. */
const ttlMaxMs = 24 * 3_600_000;

/**
 * What was heard on the link and is still true: records by name and type, names in any case. Pure; time and
 * chance are arguments.
 */
export class RecordCache {
  readonly #limits: CacheLimits;
  readonly #sets = new Map<string, Map<string, CachedRecord>>();
  readonly #bySender = new Map<string, number>();
  #size = 0;
  #refused = 0;
  #version = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** Another number whenever records came, went or were taken back; not when they were said again. */
  get version(): number {
    return this.#version;
  }

  /** Records not taken because a limit was reached. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Takes what was heard.
   *
   * @param random uniform in [0, 1), spreads the questions.
   */
  take(record: HeardRecord, sender: Sender, nowMs: number, random: number): void {
    const setKey = cacheKey(record.type, record.name);
    const dataKey = dataKeyOf(record);
    const held = this.#sets.get(setKey)?.get(dataKey);
    if (record.ttlSeconds === 0) {
      if (held !== undefined && !held.isRevoked) this.#put(setKey, dataKey, revoke(held, nowMs));
      return;
    }
    // Many may have a pointer of one name: none of them can know all (RFC 6762 section 10.2).
    if (record.isFlush && record.type !== "PTR") this.#outdate(setKey, dataKey, sender, nowMs);
    if (held === undefined && !this.#hasRoom(sender)) {
      this.#refused += 1;
      return;
    }
    const ttlMs = Math.min(record.ttlSeconds * 1_000, ttlMaxMs);
    this.#put(setKey, dataKey, {
      record,
      sender,
      heardMs: nowMs,
      ttlMs,
      expiresMs: nowMs + ttlMs,
      isRevoked: false,
      refreshMs: refreshAt(nowMs, ttlMs, 0, random),
      refreshes: 0,
    });
  }

  /** Records of one name and type, the newest first. */
  find(type: HeardRecord["type"], name: string): readonly CachedRecord[] {
    const set = this.#sets.get(cacheKey(type, name));
    if (set === undefined) return [];
    const found = [...set.values()];
    return found.length === 1 ? found : found.sort((a, b) => b.heardMs - a.heardMs);
  }

  /** Every record, in no order. */
  *all(): IterableIterator<CachedRecord> {
    for (const set of this.#sets.values()) yield* set.values();
  }

  /** Whether anything has expired that was not forgotten yet. */
  hasExpired(nowMs: number): boolean {
    for (const { expiresMs } of this.all()) if (expiresMs <= nowMs) return true;
    return false;
  }

  /** Forgets what has expired, except for what `keeps` says. */
  expire(nowMs: number, keeps: (cached: CachedRecord) => boolean): void {
    for (const [setKey, set] of this.#sets) {
      for (const [dataKey, cached] of set) {
        if (cached.expiresMs > nowMs || (!cached.isRevoked && keeps(cached))) continue;
        this.#remove(setKey, dataKey);
      }
    }
  }

  /** Records whose turn to be asked for has come; the next turn is set. */
  takeDue(nowMs: number, random: () => number): readonly CachedRecord[] {
    const due: CachedRecord[] = [];
    for (const [setKey, set] of this.#sets) {
      for (const [dataKey, cached] of set) {
        if (cached.refreshMs > nowMs) continue;
        const refreshes = cached.refreshes + 1;
        const refreshMs = refreshAt(cached.heardMs, cached.ttlMs, refreshes, random());
        this.#put(setKey, dataKey, { ...cached, refreshes, refreshMs });
        due.push(cached);
      }
    }
    return due;
  }

  /** When something expires or is to be asked for; infinite for an empty cache. Past times are left out. */
  nextMs(nowMs: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { expiresMs, refreshMs } of this.all()) {
      if (expiresMs > nowMs) next = Math.min(next, expiresMs);
      if (refreshMs > nowMs) next = Math.min(next, refreshMs);
    }
    return next;
  }

  /** Only what was heard on the same link: a host has other addresses on others. */
  #outdate(setKey: string, exceptData: string, sender: Sender, nowMs: number): void {
    for (const [dataKey, cached] of this.#sets.get(setKey) ?? []) {
      const isOther = dataKey !== exceptData && cached.sender.link === sender.link;
      // What was said within this second belongs to the same announcement.
      if (!isOther || cached.isRevoked || nowMs - cached.heardMs <= revokedMs) continue;
      this.#put(setKey, dataKey, revoke(cached, nowMs));
    }
  }

  #hasRoom({ address }: Sender): boolean {
    return (
      this.#size < this.#limits.recordsMax &&
      (this.#bySender.get(address) ?? 0) < this.#limits.recordsPerSenderMax
    );
  }

  #put(setKey: string, dataKey: string, cached: CachedRecord): void {
    const set = this.#sets.get(setKey) ?? new Map<string, CachedRecord>();
    this.#sets.set(setKey, set);
    const before = set.get(dataKey);
    if (before === undefined) this.#size += 1;
    else this.#count(before.sender, -1);
    if (before?.isRevoked !== cached.isRevoked) this.#version += 1;
    this.#count(cached.sender, 1);
    set.set(dataKey, cached);
  }

  #remove(setKey: string, dataKey: string): void {
    const set = this.#sets.get(setKey);
    const cached = set?.get(dataKey);
    if (set === undefined || cached === undefined) return;
    set.delete(dataKey);
    if (set.size === 0) this.#sets.delete(setKey);
    this.#size -= 1;
    this.#version += 1;
    this.#count(cached.sender, -1);
  }

  #count({ address }: Sender, change: number): void {
    const records = (this.#bySender.get(address) ?? 0) + change;
    if (records > 0) this.#bySender.set(address, records);
    else this.#bySender.delete(address);
  }
}

/** A name as it is compared: the letters of ASCII in lower case, no others (RFC 6762 section 16). */
export function foldLabel(name: string): string {
  // Most names need no change, and looking is much cheaper than replacing.
  return /[A-Z]/.test(name) ? name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : name;
}

function cacheKey(type: HeardRecord["type"], name: string): string {
  return `${type} ${foldLabel(name)}`;
}

function dataKeyOf(record: HeardRecord): string {
  switch (record.type) {
    case "PTR":
      return foldLabel(record.target);
    case "SRV":
      return `${record.priority} ${record.weight} ${record.port} ${foldLabel(record.target)}`;
    case "TXT":
      return JSON.stringify(record.entries);
    case "A":
    case "AAAA":
      return record.address;
  }
}

function revoke(cached: CachedRecord, nowMs: number): CachedRecord {
  return {
    ...cached,
    isRevoked: true,
    expiresMs: Math.min(cached.expiresMs, nowMs + revokedMs),
    refreshMs: Number.POSITIVE_INFINITY,
  };
}

function refreshAt(heardMs: number, ttlMs: number, refreshes: number, random: number): number {
  const share = refreshShares[refreshes];
  if (share === undefined) return Number.POSITIVE_INFINITY;
  return heardMs + ttlMs * (share + random * refreshSpread);
}
