import { connect, type Socket } from "node:net";
import type { Clock, Timer } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";

/** Passes when a connection is accepted; it is reset at once, so that no closing handshake lingers. */
export class TcpProbe implements Probe {
  readonly kind = "tcp";
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    return new RunningTcpProbe(this.#clock, target, timeoutMs, done);
  }
}

class RunningTcpProbe implements RunningProbe {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #socket: Socket;
  readonly #deadline: Timer;
  #done: ((result: ProbeResult) => void) | undefined;

  constructor(clock: Clock, target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void) {
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    this.#done = done;
    this.#socket = connect({ host: target.host, port: target.port });
    this.#socket.once("connect", () => this.#settle(true, "L4OK", "connected"));
    this.#socket.on("error", (error) => this.#settle(false, "L4CON", error.message));
    this.#deadline = clock.after(timeoutMs, () =>
      this.#settle(false, "L4TOUT", `no connection within ${timeoutMs} ms`),
    );
  }

  cancel(): void {
    this.#done = undefined;
    this.#close();
  }

  #settle(passed: boolean, code: ProbeResult["code"], detail: string): void {
    const done = this.#done;
    this.#done = undefined;
    this.#close();
    done?.({ passed, code, detail, durationMs: this.#clock.nowMs() - this.#startedMs });
  }

  #close(): void {
    this.#deadline.cancel();
    this.#socket.resetAndDestroy();
  }
}
