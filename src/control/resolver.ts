import { Resolver as DnsResolver, lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock, Timer } from "../platform/clock.js";

/**
 * Turns host names into addresses, in the control plane only: nothing is looked up per connection. A name is
 * asked for while somebody follows it, again when its time to live has passed, and its last good answer stays
 * while the name server cannot be reached.
 */
export interface Resolver {
  /**
   * Follows a name until the returned handle is closed. An IP literal is answered at once and never changes.
   * `onChange` is called when the addresses changed and when the first attempt ended, either way; never before
   * `follow` has returned.
   */
  follow(name: string, onChange: () => void): NameHandle;
}

/** One follower's view of a name. */
export interface NameHandle {
  /** IP literals in the order of the last good answer; undefined before the first. Never empty. */
  addresses(): readonly string[] | undefined;
  /** Why the last attempt failed; undefined when it succeeded or none has ended yet. */
  failure(): string | undefined;
  /** Whether the first attempt is still under way. */
  isPending(): boolean;
  close(): void;
}

/** The two questions asked of the system, replaced in tests. */
export interface DnsFunctions {
  /** All addresses of a name, IPv4 and IPv6; rejects when there is none. */
  lookup(name: string): Promise<readonly string[]>;
  /** Smallest time to live of the name's records in seconds; undefined when no name server knows it. */
  ttlSeconds(name: string): Promise<number | undefined>;
}

/** What a resolver works with. */
export interface ResolverDeps {
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads retries. */
  readonly random: () => number;
  /** The system's own by default. */
  readonly dns?: DnsFunctions;
}

/** Bounds on how long an answer is believed, and the time for answers that carry none (/etc/hosts). */
export const ttlFloorMs = 1_000;
/** An answer is never kept for longer. */
export const ttlCeilingMs = 300_000;
/** Where the answer names no time to live. */
export const ttlDefaultMs = 30_000;

/** Delay before a failed lookup is repeated: doubles up to the maximum, 50 to 100 % of it by chance. */
const retryMinMs = 1_000;
const retryMaxMs = 30_000;

/** A lookup that takes longer counts as failed; the answer is taken if it comes after all. */
const lookupTimeoutMs = 10_000;

/** `getaddrinfo` holds one of libuv's four threads while it waits; file reads need the others. */
const lookupsInFlightMax = 2;

/** The machine's resolver: `getaddrinfo` for addresses, so that /etc/hosts counts, and DNS for their TTL. */
export const systemDns: DnsFunctions = {
  async lookup(name) {
    const found = await lookup(name, { all: true, verbatim: true });
    return found.map((entry) => entry.address);
  },
  async ttlSeconds(name) {
    const resolver = new DnsResolver({ timeout: 2_000, tries: 1 });
    const answers = await Promise.allSettled([
      resolver.resolve4(name, { ttl: true }),
      resolver.resolve6(name, { ttl: true }),
    ]);
    const ttls = answers.flatMap((a) =>
      a.status === "fulfilled" ? a.value.map((record) => record.ttl) : [],
    );
    return ttls.length === 0 ? undefined : Math.min(...ttls);
  },
};

/** Makes a resolver. It holds no socket or timer while no name is followed. */
export function createResolver(deps: ResolverDeps): Resolver {
  return new CachingResolver(deps.clock, deps.random, deps.dns ?? systemDns);
}

class LiteralHandle implements NameHandle {
  readonly #addresses: readonly string[];

  constructor(literal: string) {
    this.#addresses = [literal];
  }

  addresses(): readonly string[] {
    return this.#addresses;
  }

  failure(): undefined {
    return undefined;
  }

  isPending(): boolean {
    return false;
  }

  close(): void {}
}

class CachingResolver implements Resolver {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #dns: DnsFunctions;
  readonly #names = new Map<string, FollowedName>();
  /** Names whose turn has come; each at most once, so never longer than the map. */
  readonly #waiting: FollowedName[] = [];
  #inFlight = 0;

  constructor(clock: Clock, random: () => number, dns: DnsFunctions) {
    this.#clock = clock;
    this.#random = random;
    this.#dns = dns;
  }

  follow(name: string, onChange: () => void): NameHandle {
    const literal = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
    if (isIP(literal) !== 0) return new LiteralHandle(literal);
    const key = name.toLowerCase();
    let followed = this.#names.get(key);
    if (followed === undefined) {
      followed = new FollowedName(key);
      this.#names.set(key, followed);
      this.#enqueue(followed);
    }
    return this.#handle(followed, onChange);
  }

  #handle(followed: FollowedName, onChange: () => void): NameHandle {
    // A fresh object per follower: two followers may pass the same function.
    const follower = { onChange };
    followed.followers.add(follower);
    return {
      addresses: () => followed.addresses,
      failure: () => followed.failure,
      isPending: () => followed.isPending,
      close: () => {
        followed.followers.delete(follower);
        if (followed.followers.size === 0) this.#forget(followed);
      },
    };
  }

  #forget(followed: FollowedName): void {
    followed.timer?.cancel();
    followed.timer = undefined;
    if (this.#names.get(followed.name) === followed) this.#names.delete(followed.name);
    const at = this.#waiting.indexOf(followed);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  #enqueue(followed: FollowedName): void {
    this.#waiting.push(followed);
    this.#next();
  }

  #next(): void {
    while (this.#inFlight < lookupsInFlightMax) {
      const followed = this.#waiting.shift();
      if (followed === undefined) return;
      this.#inFlight += 1;
      void this.#ask(followed);
    }
  }

  async #ask(followed: FollowedName): Promise<void> {
    const patience = this.#clock.after(lookupTimeoutMs, () => {
      if (followed.fail(`no answer within ${lookupTimeoutMs / 1_000} s`)) followed.notify();
    });
    const isNews = await this.#dns.lookup(followed.name).then(
      (addresses) => followed.take(addresses),
      (cause: unknown) => followed.fail(failureText(cause)),
    );
    patience.cancel();
    this.#inFlight -= 1;
    this.#next();
    if (isNews) followed.notify();
    if (followed.failure === undefined) {
      const ttl = await this.#dns.ttlSeconds(followed.name).catch(() => undefined);
      this.#schedule(
        followed,
        ttl === undefined ? ttlDefaultMs : clamp(ttl * 1_000, ttlFloorMs, ttlCeilingMs),
      );
    } else {
      const full = Math.min(retryMaxMs, retryMinMs * 2 ** Math.min(followed.failures - 1, 10));
      this.#schedule(followed, full * (0.5 + this.#random() / 2));
    }
  }

  #schedule(followed: FollowedName, delayMs: number): void {
    if (this.#names.get(followed.name) !== followed) return;
    followed.timer = this.#clock.after(delayMs, () => {
      followed.timer = undefined;
      this.#enqueue(followed);
    });
  }
}

class FollowedName {
  readonly name: string;
  readonly followers = new Set<{ readonly onChange: () => void }>();
  addresses: readonly string[] | undefined;
  failure: string | undefined;
  failures = 0;
  isPending = true;
  timer: Timer | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** Takes an answer; says whether followers must know. The order of addresses means nothing in DNS. */
  take(addresses: readonly string[]): boolean {
    if (addresses.length === 0) return this.fail("the answer holds no address");
    const isNews = this.isPending || this.failure !== undefined || !isSameSet(this.addresses, addresses);
    this.addresses = [...new Set(addresses)];
    this.failure = undefined;
    this.failures = 0;
    this.isPending = false;
    return isNews;
  }

  fail(reason: string): boolean {
    const isNews = this.isPending || this.failure !== reason;
    this.failure = reason;
    this.failures += 1;
    this.isPending = false;
    return isNews;
  }

  notify(): void {
    for (const follower of [...this.followers]) {
      // A follower called earlier in this round may have closed a later one.
      if (this.followers.has(follower)) follower.onChange();
    }
  }
}

function isSameSet(a: readonly string[] | undefined, b: readonly string[]): boolean {
  if (a === undefined) return false;
  const left = new Set(a);
  const right = new Set(b);
  return left.size === right.size && [...left].every((address) => right.has(address));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

function failureText(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}
