import { isConsulMissing, type RunningRegistry, startConsul } from "../../support/consul.js";
import { startEmbedded } from "../../support/registry.js";

/** One of the two catalogs the contract is run against. */
export interface Target {
  readonly name: string;
  readonly isMissing: boolean;
  readonly start: () => Promise<RunningRegistry>;
}

/** The embedded catalog and a real Consul; the second is skipped where no binary is found. */
export const targets: readonly Target[] = [
  { name: "the embedded catalog", isMissing: false, start: () => startEmbedded() },
  {
    name: isConsulMissing() ? "a real Consul (not found: run .ci/consul)" : "a real Consul",
    isMissing: isConsulMissing(),
    start: () => startConsul(),
  },
];
