import type { ConsulDiscoveryConfig } from "../../../../src/config/consul-model.js";
import type { ConsulConfig } from "../../../../src/config/model.js";
import type { Log } from "../../../../src/platform/log.js";

/** A complete configuration of the agent at `address`. */
export function consulConfig(address: string, changes: Partial<ConsulConfig> = {}): ConsulConfig {
  return {
    address,
    token: undefined,
    tokenFile: undefined,
    datacenter: undefined,
    namespace: undefined,
    partition: undefined,
    tls: { caFile: undefined, certFile: undefined, keyFile: undefined, serverName: undefined, verify: true },
    auth: undefined,
    waitMs: 60_000,
    emptyGraceMs: 10_000,
    coalesceMs: 100,
    ...changes,
  };
}

export function consulDiscovery(changes: Partial<ConsulDiscoveryConfig> = {}): ConsulDiscoveryConfig {
  return {
    type: "consul",
    subject: { kind: "service", name: "web" },
    tags: [],
    minStatus: "passing",
    datacenter: undefined,
    priority: 0,
    namespace: undefined,
    partition: undefined,
    filter: undefined,
    near: undefined,
    taggedAddress: undefined,
    zoneKey: "zone",
    resolve: "all",
    ...changes,
  };
}

/** A log that keeps what it is told. */
export class RecordingLog implements Log {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];

  debug(fields: object, message: string): void {
    this.lines.push({ level: "debug", fields, message });
  }

  info(fields: object, message: string): void {
    this.lines.push({ level: "info", fields, message });
  }

  warn(fields: object, message: string): void {
    this.lines.push({ level: "warn", fields, message });
  }

  error(fields: object, message: string): void {
    this.lines.push({ level: "error", fields, message });
  }
}
