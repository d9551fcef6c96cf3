import type { Clock, Timer } from "../platform/clock.js";
import type { ProbeCode, ProbeResult, RunningProbe } from "./probe.js";

/** What one kind of check does with the connection it holds. */
export interface ProbeConnection {
  /** Gives the connection up, whatever its state. */
  close(): void;
  /** How a check that ran out of time is reported. */
  timedOut(timeoutMs: number): { readonly code: ProbeCode; readonly detail: string };
}

/** One check under way: keeps its time limit, measures it, and tells its result once. */
export class ProbeRun implements RunningProbe {
  readonly #clock: Clock;
  readonly #connection: ProbeConnection;
  readonly #startedMs: number;
  readonly #deadline: Timer;
  #done: ((result: ProbeResult) => void) | undefined;

  constructor(
    clock: Clock,
    timeoutMs: number,
    connection: ProbeConnection,
    done: (result: ProbeResult) => void,
  ) {
    this.#clock = clock;
    this.#connection = connection;
    this.#startedMs = clock.nowMs();
    this.#done = done;
    this.#deadline = clock.after(timeoutMs, () => {
      const { code, detail } = connection.timedOut(timeoutMs);
      this.settle(false, code, detail);
    });
  }

  cancel(): void {
    this.#end();
  }

  /** Ends the check; what comes after the first call is ignored. */
  settle(
    passed: boolean,
    code: ProbeCode,
    detail: string,
    answer: Pick<ProbeResult, "status" | "text"> = {},
  ): void {
    const durationMs = this.#clock.nowMs() - this.#startedMs;
    this.#end()?.({ passed, code, detail, durationMs, ...answer });
  }

  #end(): ((result: ProbeResult) => void) | undefined {
    const done = this.#done;
    this.#done = undefined;
    this.#deadline.cancel();
    this.#connection.close();
    return done;
  }
}
