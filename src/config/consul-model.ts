/** What the configuration says of discovery by Consul, checked and complete as all of `model.ts`. */

/** The instances of a service in one datacenter of Consul, or what a prepared query finds. */
export interface ConsulDiscoveryConfig {
  readonly type: "consul";
  readonly subject: ConsulSubject;
  /** All of them must be present. */
  readonly tags: readonly string[];
  /** Worst status that still takes traffic. Applied here, never sent as `?passing`. */
  readonly minStatus: "passing" | "warning" | "any";
  readonly datacenter: string | undefined;
  /** What its instances are given: 0, or the place of the datacenter in the order of failover. */
  readonly priority: number;
  readonly namespace: string | undefined;
  readonly partition: string | undefined;
  /** Consul filter expression, passed through. */
  readonly filter: string | undefined;
  /** Node that the answer is ordered from, by round trip, `_agent` for the agent's own. */
  readonly near: string | undefined;
  /** Name of the tagged address to connect to, such as `wan`; undefined for the plain one. */
  readonly taggedAddress: string | undefined;
  /** Key of the node's meta, or else the service's, that says the zone. */
  readonly zoneKey: string;
  /** `all` makes each address of a name a backend, `one` takes the first. */
  readonly resolve: "all" | "one";
}

/** What is asked for. */
export type ConsulSubject =
  | { readonly kind: "service"; readonly name: string }
  /** By name or id. It cannot be waited on, so it is executed again and again. */
  | { readonly kind: "query"; readonly name: string; readonly intervalMs: number };
