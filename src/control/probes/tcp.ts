import { connect } from "node:net";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { ProbeRun } from "../probe-run.js";

/** Passes when a connection is accepted; it is reset at once, so that no closing handshake lingers. */
export class TcpProbe implements Probe {
  readonly kind = "tcp";
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const socket = connect({ host: target.host, port: target.port });
    const connection = {
      close: () => {
        socket.resetAndDestroy();
      },
      timedOut: () => ({ code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` }) as const,
    };
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    socket.once("connect", () => check.settle(true, "L4OK", "connected"));
    socket.on("error", (error) => check.settle(false, "L4CON", error.message));
    return check;
  }
}
