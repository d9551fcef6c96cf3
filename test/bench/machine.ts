import { availableParallelism, cpus, release, type as systemName, totalmem } from "node:os";
import { isPinned } from "./children.js";
import type { Peer } from "./peers/peer.js";

/** What the numbers were measured on, for the head of the table. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly node: string;
  readonly pinned: boolean;
  /** Version of each proxy; undefined when it is not installed. */
  readonly versions: Readonly<Record<string, string | undefined>>;
}

export function describeMachine(peers: readonly Peer[]): Machine {
  return {
    processor: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryMib: Math.round(totalmem() / 1024 / 1024),
    kernel: `${systemName()} ${release()}`,
    node: process.version,
    pinned: isPinned,
    versions: Object.fromEntries(peers.map((peer) => [peer.name, peer.version()])),
  };
}

/** The same in a few lines. */
export function renderMachine(machine: Machine): string {
  const versions = Object.entries(machine.versions).map(
    ([name, version]) => `${name} ${version ?? "(not installed)"}`,
  );
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.memoryMib} MiB, ${machine.kernel}, Node ${machine.node}`,
    machine.pinned
      ? "proxy alone on core 0; load generator, backends and log receiver on the other cores"
      : "processes NOT bound to cores (needs taskset and two cores): do not trust small differences",
    versions.join(", "),
  ].join("\n");
}
