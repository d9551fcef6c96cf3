import type { AffinityConfig } from "./affinity-model.js";
import { compileKey } from "./compile-balance.js";
import type { ParsedConfig } from "./schema/config.js";

type ParsedAffinity = ParsedConfig["pools"][number]["affinity"];

/** Affinity as the program reads it. */
export function compileAffinity(affinity: ParsedAffinity): AffinityConfig | undefined {
  if (affinity === undefined) return undefined;
  switch (affinity.type) {
    case "cookie": {
      const { maxIdle, maxLife, domain, ...rest } = affinity;
      return { ...rest, domain, maxIdleMs: maxIdle, maxLifeMs: maxLife };
    }
    case "table":
      return { type: "table", ...compileKey(affinity), size: affinity.size, expireMs: affinity.expire };
    case "header":
      return {
        type: "hash",
        ...compileKey({ on: "header", name: affinity.name }),
        loadFactor: affinity.loadFactor,
      };
    default:
      return { type: "hash", on: affinity.type, name: "", loadFactor: affinity.loadFactor };
  }
}
