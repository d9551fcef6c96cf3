import { type ClientRequest, request } from "node:http";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { type ProbeConnection, ProbeRun } from "../probe-run.js";

/** What is asked of the backend. */
export interface HttpProbeOptions {
  readonly method: string;
  readonly path: string;
  /** Host field; undefined means the backend's address. */
  readonly host: string | undefined;
}

/** Passes on a status of 200 to 399 (HAProxy's `option httpchk`). The body is not read. */
export class HttpProbe implements Probe {
  readonly kind = "http";
  readonly #options: HttpProbeOptions;
  readonly #clock: Clock;

  constructor(options: HttpProbeOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const sent = request({
      host: target.host,
      port: target.port,
      method: this.#options.method,
      path: this.#options.path,
      agent: false,
      headers: {
        host: this.#options.host ?? formatAddress(target.host, target.port),
        "user-agent": "pilotfish-check",
        connection: "close",
      },
    });
    const connection = new RequestConnection(sent);
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    sent.on("response", (response) => {
      const status = response.statusCode ?? 0;
      const passed = status >= 200 && status < 400;
      check.settle(passed, passed ? "L7OK" : "L7STS", `status ${status}`, status);
    });
    sent.on("error", (error) => check.settle(false, connection.isOpen ? "L7RSP" : "L4CON", error.message));
    sent.end();
    return check;
  }
}

/** The connection of one request, told apart from the answer that may come over it. */
class RequestConnection implements ProbeConnection {
  readonly #request: ClientRequest;
  #isOpen = false;

  constructor(sent: ClientRequest) {
    this.#request = sent;
    sent.on("socket", (socket) => {
      socket.once("connect", () => {
        this.#isOpen = true;
      });
    });
  }

  /** Whether it was ever established. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  close(): void {
    this.#request.destroy();
  }

  timedOut(timeoutMs: number): { readonly code: "L7TOUT" | "L4TOUT"; readonly detail: string } {
    return this.#isOpen
      ? { code: "L7TOUT", detail: `no answer within ${timeoutMs} ms` }
      : { code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` };
  }
}
