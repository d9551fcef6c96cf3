import type { Backend } from "./backend.js";
import {
  type KeyOverrides,
  NO_OVERRIDES,
  OverrideBook,
  type OverrideOrigin,
  type OverrideTerms,
  overrideOf,
} from "./override.js";

/** What overrides need of their pool. */
export interface OverridesHost {
  backends(): Iterable<Backend>;
  /** Something may be due earlier than `nextExpiryMs` said. */
  dueMoved(): void;
}

/** One thing said of a key by one origin, as it is kept beyond the process. */
export type KeptOverrides = readonly [key: string, origin: OverrideOrigin, held: KeyOverrides];

/** What was said of the backends of a pool, by whom and for how long. The pool puts it in force. */
export class Overrides {
  readonly book = new OverrideBook();
  readonly #host: OverridesHost;
  #onChanged: (() => void) | undefined;

  constructor(host: OverridesHost) {
    this.#host = host;
  }

  /** What is in force of what was said of a key: of weight, admin state and limit the strongest each. */
  of(key: string): KeyOverrides {
    return this.book.of(key);
  }

  /** What each origin says of a key, strongest first, hidden or not. */
  layers(key: string): readonly (readonly [origin: OverrideOrigin, held: KeyOverrides])[] {
    return this.book.layers(key);
  }

  /** What each origin says of every key that is overridden, present or not. */
  list(): readonly (readonly [key: string, held: KeyOverrides])[] {
    return this.book.keys().flatMap((key) => this.layers(key).map(([, held]) => [key, held] as const));
  }

  /** Whether one more key may be overridden. */
  canHold(key: string): boolean {
    return this.layers(key).length > 0 || !this.book.isFull;
  }

  /** Whoever keeps overrides beyond this process learns here that they changed. */
  onChanged(callback: () => void): void {
    this.#onChanged = callback;
  }

  /** Says one thing of a key; undefined takes back what this origin said. */
  say<Name extends keyof KeyOverrides>(
    key: string,
    field: Name,
    value: NonNullable<KeyOverrides[Name]>["value"] | undefined,
    terms: OverrideTerms,
    nowMs: number,
  ): void {
    const override = value === undefined ? undefined : overrideOf(value, terms, nowMs);
    this.#set(key, terms.origin, { [field]: override }, nowMs);
  }

  /**
   * Puts what `origins` said before in place of all they say now. Answers the keys of which something else is said.
   */
  restore(
    origins: readonly OverrideOrigin[],
    kept: readonly KeptOverrides[],
    nowMs: number,
  ): ReadonlySet<string> {
    const touched = new Set(kept.map(([key]) => key));
    for (const key of this.book.keys()) {
      for (const origin of origins) {
        if (this.book.said(key, origin) === NO_OVERRIDES) continue;
        this.#set(key, origin, NO_OVERRIDES, nowMs);
        touched.add(key);
      }
    }
    for (const [key, origin, held] of kept) this.#set(key, origin, held, nowMs);
    return touched;
  }

  /** Drops what has expired; answers the keys that lost something. */
  expire(nowMs: number): readonly string[] {
    const changed = this.book.expire(nowMs);
    if (changed.length > 0) this.#onChanged?.();
    return changed;
  }

  /** When `expire` next has something to do; infinite when nothing will expire. */
  nextExpiryMs(): number {
    return this.book.nextExpiryMs();
  }

  /** Backends came or went: what is said of those that are away is kept for a time only. */
  markPresence(nowMs: number): void {
    const keys = this.book.keys();
    if (keys.length === 0) return;
    const present = new Set<string>();
    for (const backend of this.#host.backends()) if (!backend.isGone) present.add(backend.endpoint.key);
    for (const key of keys) this.book.seen(key, present.has(key), nowMs);
  }

  #set(key: string, origin: OverrideOrigin, change: Partial<KeyOverrides>, nowMs: number): void {
    this.book.set(key, origin, change);
    this.markPresence(nowMs);
    this.#host.dueMoved();
    this.#onChanged?.();
  }
}
