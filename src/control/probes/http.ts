import { type ClientRequest, request } from "node:http";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock, Timer } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";

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
    return new RunningHttpProbe(this.#options, this.#clock, target, timeoutMs, done);
  }
}

class RunningHttpProbe implements RunningProbe {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #request: ClientRequest;
  readonly #deadline: Timer;
  #isConnected = false;
  #done: ((result: ProbeResult) => void) | undefined;

  constructor(
    options: HttpProbeOptions,
    clock: Clock,
    target: ProbeTarget,
    timeoutMs: number,
    done: (result: ProbeResult) => void,
  ) {
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
    this.#done = done;
    this.#request = request({
      host: target.host,
      port: target.port,
      method: options.method,
      path: options.path,
      agent: false,
      headers: {
        host: options.host ?? formatAddress(target.host, target.port),
        "user-agent": "pilotfish-check",
        connection: "close",
      },
    });
    this.#request.on("socket", (socket) => {
      socket.once("connect", () => {
        this.#isConnected = true;
      });
    });
    this.#request.on("response", (response) => {
      const status = response.statusCode ?? 0;
      const passed = status >= 200 && status < 400;
      this.#settle(passed, passed ? "L7OK" : "L7STS", `status ${status}`, status);
    });
    this.#request.on("error", (error) =>
      this.#settle(false, this.#isConnected ? "L7RSP" : "L4CON", error.message),
    );
    this.#request.end();
    this.#deadline = clock.after(timeoutMs, () => {
      const what = this.#isConnected ? "no answer" : "no connection";
      this.#settle(false, this.#isConnected ? "L7TOUT" : "L4TOUT", `${what} within ${timeoutMs} ms`);
    });
  }

  cancel(): void {
    this.#done = undefined;
    this.#close();
  }

  #settle(passed: boolean, code: ProbeResult["code"], detail: string, status?: number): void {
    const done = this.#done;
    this.#done = undefined;
    this.#close();
    const durationMs = this.#clock.nowMs() - this.#startedMs;
    done?.({ passed, code, detail, durationMs, ...(status !== undefined && { status }) });
  }

  #close(): void {
    this.#deadline.cancel();
    this.#request.destroy();
  }
}
