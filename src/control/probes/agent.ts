import { connect } from "node:net";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { ProbeRun } from "../probe-run.js";

/** An agent's line is shorter. */
const LINE_MAX = 4_096;

/**
 * Asks an agent: connects, sends what it is to be sent, and reads up to the first CR or LF. Passes when there is a line,
 * whatever it says; the line is the result's text. What the connection ends within may have said something else, so it
 * is no line, as at HAProxy.
 */
export class AgentProbe implements Probe {
  readonly kind = "agent";
  readonly #send: string;
  readonly #clock: Clock;

  constructor(options: { readonly send: string }, clock: Clock) {
    this.#send = options.send;
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const socket = connect({ host: target.host, port: target.port });
    let isOpen = false;
    const check = new ProbeRun(
      this.#clock,
      timeoutMs,
      {
        close: () => {
          socket.resetAndDestroy();
        },
        timedOut: () =>
          isOpen
            ? { code: "L7TOUT", detail: `no line within ${timeoutMs} ms` }
            : { code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` },
      },
      done,
    );
    let said = "";
    const tell = () => {
      const line = /^[^\r\n]*/.exec(said)?.[0].trim() ?? "";
      if (line === "") check.settle(false, "L7RSP", "the agent said nothing");
      else check.settle(true, "L7OK", line, { text: line });
    };
    socket.setEncoding("latin1");
    socket.once("connect", () => {
      isOpen = true;
      if (this.#send !== "") socket.write(this.#send);
    });
    socket.on("data", (text) => {
      said += text;
      if (/[\r\n]/.test(said)) tell();
      else if (said.length > LINE_MAX) check.settle(false, "L7RSP", "the agent's line is too long");
    });
    socket.once("end", () => check.settle(false, "L7RSP", "the agent closed before the end of a line"));
    socket.on("error", (error) => check.settle(false, isOpen ? "L7RSP" : "L4CON", error.message));
    return check;
  }
}
