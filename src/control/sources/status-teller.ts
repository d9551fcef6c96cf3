import type { Log } from "../../platform/log.js";
import type { SourceSink, SourceState, SourceStatus } from "../source.js";

/**
 * Tells sink and log of a source's state, once per change of state or reason: inner steps on the way to the
 * same state are not told. A sink that throws is logged, since the source must live on.
 */
export class StatusTeller {
  readonly #log: Log;
  #state: SourceState = "starting";
  #reason = "";

  constructor(log: Log) {
    this.#log = log;
  }

  tell(sink: SourceSink | undefined, status: SourceStatus): void {
    const { kind, target, state, reason } = status;
    if (sink === undefined || (state === this.#state && reason === this.#reason)) return;
    this.#state = state;
    this.#reason = reason;
    if (reason === "") this.#log.info({ kind, target, state }, "source changed state");
    else this.#log.warn({ kind, target, state, reason }, "source changed state");
    try {
      sink.onStatus(status);
    } catch (cause) {
      this.#log.error({ err: cause, kind, target }, "source status was not taken");
    }
  }
}
