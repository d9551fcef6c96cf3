import type { KeyConfig } from "./balance-model.js";

/** What keeps a client at its backend. */
export type AffinityConfig = CookieAffinityConfig | HashAffinityConfig | TableAffinityConfig;

/** HAProxy's `cookie`. */
export interface CookieAffinityConfig {
  readonly type: "cookie";
  readonly name: string;
  /** Ours beside the application's; the application's in ours' place; ours before the application's value. */
  readonly mode: "insert" | "rewrite" | "prefix";
  /** The cookie is taken out of the request. */
  readonly indirect: boolean;
  /** A cacheable answer with the cookie is marked private. */
  readonly nocache: boolean;
  /** A cookie of that name that the application sets stays. */
  readonly preserve: boolean;
  readonly httpOnly: boolean;
  readonly secure: boolean;
  readonly domain: string | undefined;
  /** Appended as they are. */
  readonly attr: readonly string[];
  /** 0 for no limit. */
  readonly maxIdleMs: number;
  readonly maxLifeMs: number;
  /** What names a backend: a digest of its address with the secret, its id, or a field of its metadata. */
  readonly value: "dynamic" | "id" | "meta";
  readonly secret: string;
  readonly meta: string;
}

/** Consistent hashing with bounded load over the pool's balancer. */
export interface HashAffinityConfig extends KeyConfig {
  readonly type: "hash";
  readonly loadFactor: number;
}

/** A stick table. */
export interface TableAffinityConfig extends KeyConfig {
  readonly type: "table";
  readonly size: number;
  readonly expireMs: number;
}
