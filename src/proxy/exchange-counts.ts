import type { Lease } from "../core/lease.js";
import { COUNTER } from "../core/scoreboard.js";
import type { AccessRecord } from "./access-record.js";
import type { Tunnel } from "./tunnel.js";

/** Request path. Adds what a finished exchange took to the counters of its backend. */
export function countExchange(record: AccessRecord, lease: Lease, tunnel: Tunnel | undefined): void {
  const { row } = lease.backend;
  // A tunnel counted its own already.
  row.add(COUNTER.bytesIn, lease.writer, record.bytesIn - (tunnel?.bytesIn ?? 0));
  row.add(COUNTER.bytesOut, lease.writer, record.bytesOut - (tunnel?.bytesOut ?? 0));
  if (record.responseMs < 0) return;
  row.add(COUNTER.timed, lease.writer, 1);
  row.add(COUNTER.queueMs, lease.writer, Math.max(record.queueMs, 0));
  row.add(COUNTER.connectMs, lease.writer, Math.max(record.connectMs, 0));
  row.add(COUNTER.responseMs, lease.writer, record.responseMs);
  row.add(COUNTER.totalMs, lease.writer, record.totalMs);
}
