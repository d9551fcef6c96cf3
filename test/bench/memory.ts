import { setTimeout as sleep } from "node:timers/promises";
import { stopChild } from "./children.js";
import type { Harness } from "./harness.js";
import { LAST_ANSWER_MS } from "./load/job.js";
import type { Peer } from "./peers/peer.js";
import { residentKib } from "./process-cost.js";
import type { Sample } from "./result.js";
import type { MemoryRow } from "./rows.js";

/** Enough exchanges to load and compile the code, too few to grow a heap. */
const FIRST_CONNECTIONS = 32;
const REST_MS = 2_000;

/**
 * One round of the memory row: fresh proxies, read after the rest, then again with the row's connections open and
 * idle after one request on each. A few connections come and go before, so that code loaded at first use is
 * not put down to the connections.
 */
export async function measureMemory(
  harness: Harness,
  row: MemoryRow,
  peers: readonly Peer[],
  settleMs: number,
  round: number,
): Promise<Map<string, Sample>> {
  const started = [];
  for (const peer of peers) started.push({ peer, running: await harness.startPeer(peer, false) });
  await sleep(settleMs);
  const samples = new Map<string, Sample>();
  for (const { peer, running } of started) {
    const { pid } = running.child;
    if (pid === undefined) continue;
    const idleKib = residentKib(pid);
    const hold = {
      kind: "hold",
      traffic: row.traffic,
      port: running.httpPort,
      lastAnswerMs: LAST_ANSWER_MS,
    } as const;
    await harness.load({ ...hold, connections: FIRST_CONNECTIONS });
    await harness.load({ kind: "drop" });
    await sleep(REST_MS);
    const beforeKib = residentKib(pid);
    const answer = await harness.load({ ...hold, connections: row.connections });
    await sleep(REST_MS);
    const heldKib = residentKib(pid);
    await harness.load({ kind: "drop" });
    await stopChild(running.child);
    samples.set(peer.name, {
      round,
      values: { idleMib: idleKib / 1024, connectionKib: (heldKib - beforeKib) / row.connections },
      errors: answer?.errors ?? 0,
      firstError: answer?.firstError,
      foreignCores: 0,
      note: undefined,
    });
  }
  return samples;
}
