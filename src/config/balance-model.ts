/** Which part of a request its key is taken from. */
export type KeySource = "source" | "header" | "cookie" | "path" | "query";

/** The key of a request, for balancers and affinity that go by one. */
export interface KeyConfig {
  /** `source` is the client's address. */
  readonly on: KeySource;
  /** Of the field (in lower case), cookie or parameter; empty for `source` and `path`. */
  readonly name: string;
}

/** Most load of one backend relative to its share; 0 for no bound. */
interface HashConfig extends KeyConfig {
  readonly loadFactor: number;
}

/** Which balancer, and its options. */
export type BalanceConfig =
  | { readonly algorithm: "leastconn"; readonly idle: "weighted" | "haproxy" }
  | { readonly algorithm: "roundrobin" }
  | { readonly algorithm: "random"; readonly draws: number }
  | { readonly algorithm: "first" }
  | (HashConfig & { readonly algorithm: "consistent-hash"; readonly virtualNodes: number })
  | (HashConfig & { readonly algorithm: "maglev"; readonly tableSize: number })
  | { readonly algorithm: "ewma"; readonly decayMs: number; readonly defaultRttMs: number };
