import { connect } from "node:tls";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { ProbeRun } from "../probe-run.js";
import type { ProbeTls } from "../probe-tls.js";

/** Passes when a TLS handshake is done, with the certificate verified unless that is switched off. */
export class TlsProbe implements Probe {
  readonly kind = "tls";
  readonly #tls: ProbeTls;
  readonly #clock: Clock;

  constructor(tls: ProbeTls, clock: Clock) {
    this.#tls = tls;
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const { host, port } = target;
    const socket = connect({ host, port, ...this.#tls.optionsFor(host) });
    let isOpen = false;
    const connection = {
      close: () => {
        socket.destroy();
      },
      timedOut: () =>
        isOpen
          ? ({ code: "L6TOUT", detail: `no handshake within ${timeoutMs} ms` } as const)
          : ({ code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` } as const),
    };
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    socket.once("connect", () => {
      isOpen = true;
    });
    socket.once("secureConnect", () =>
      check.settle(true, "L6OK", `${socket.getProtocol() ?? "TLS"} handshake done`),
    );
    socket.once("close", () => check.settle(false, isOpen ? "L6RSP" : "L4CON", "connection closed"));
    socket.on("error", (error) => check.settle(false, isOpen ? "L6RSP" : "L4CON", error.message));
    return check;
  }
}
