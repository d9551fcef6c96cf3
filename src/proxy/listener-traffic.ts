import type { AccessRecord, AccessSink } from "./access-record.js";

/** Request path. Counts what one listener served, and passes the records on. */
export class ListenerTraffic implements AccessSink {
  /** Exchanges and tunnels that ended. */
  served = 0;
  /** From and to clients. */
  bytesIn = 0;
  bytesOut = 0;
  readonly #next: AccessSink;

  constructor(next: AccessSink) {
    this.#next = next;
  }

  write(record: AccessRecord): void {
    this.served++;
    this.bytesIn += record.bytesIn;
    this.bytesOut += record.bytesOut;
    this.#next.write(record);
  }
}
