import type { Lease } from "../core/lease.js";
import { COUNTER } from "../core/scoreboard.js";
import type { AccessRecord } from "./access-record.js";
import type { DownstreamStream } from "./message.js";
import type { Tunnel } from "./tunnel.js";
import type { UpstreamService } from "./upstream-service.js";

/** Request path. Writes down what an exchange moved and what stood open at its end, its own lease included. */
export function closeRecord(
  record: AccessRecord,
  downstream: DownstreamStream,
  service: UpstreamService,
  lease: Lease | undefined,
): void {
  record.bytesIn = downstream.bytesIn;
  record.bytesOut = downstream.bytesOut;
  record.poolConnections = service.work.size + service.pool.queue.length;
  record.backendConnections = lease?.backend.inFlight ?? 0;
}

/** Request path. Adds what a finished exchange took to the counters of its backend. */
export function countExchange(record: AccessRecord, lease: Lease, tunnel: Tunnel | undefined): void {
  const { row } = lease.backend;
  lease.latencyMs = record.responseMs;
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
