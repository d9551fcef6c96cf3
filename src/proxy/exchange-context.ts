import type { AccessSink } from "./access-record.js";
import type { TriesContext } from "./tries.js";

/** What all exchanges of a listener share. */
export interface ExchangeContext extends TriesContext {
  readonly accessLog: AccessSink;
}
