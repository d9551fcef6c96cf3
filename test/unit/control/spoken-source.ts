import type { Source, SourceSink, SourceStatus } from "../../../src/control/source.js";
import type { Endpoint } from "../../../src/core/endpoint.js";

/** A source that says what the test says. */
export class SpokenSource implements Source {
  sink: SourceSink | undefined;
  isStopped = false;
  #status: SourceStatus;

  constructor(target = "a test") {
    this.#status = {
      kind: "spoken",
      target,
      state: "starting",
      reason: "",
      lastSuccessMs: undefined,
      lastChangeMs: undefined,
      consecutiveFailures: 0,
      queries: 0,
      failures: 0,
      endpoints: 0,
      details: {},
    };
  }

  start(sink: SourceSink): void {
    this.sink = sink;
  }

  stop(): void {
    this.isStopped = true;
  }

  status(): SourceStatus {
    return this.#status;
  }

  /** It has this list. */
  say(...endpoints: readonly Endpoint[]): void {
    this.#status = { ...this.#status, state: "live", reason: "", endpoints: endpoints.length };
    this.sink?.onSnapshot({ endpoints });
  }

  /** It is in trouble. */
  fail(reason: string): void {
    const state = this.#status.state === "starting" ? "starting" : "stale";
    this.#status = { ...this.#status, state, reason };
    this.sink?.onStatus(this.#status);
  }
}
