import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { type ProbeConnection, ProbeRun } from "../probe-run.js";
import type { ProbeTls } from "../probe-tls.js";

/** What is asked of the backend, and what it must answer. */
export interface HttpProbeOptions {
  readonly method: string;
  readonly path: string;
  /** Host field; undefined means the backend's address. */
  readonly host: string | undefined;
  /** Further fields, laid over ours. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  /** Both ends belong to a range; 200 to 399 without it (HAProxy's `option httpchk`). */
  readonly expectStatus?: readonly { readonly from: number; readonly to: number }[];
  /** Regular expression the body must match; without it the body is not read. */
  readonly expectBody?: string | undefined;
}

const WELL = [{ from: 200, to: 399 }];
/** HAProxy looks at one buffer (16 KiB) of a body; what lies beyond is not searched here either. */
const BODY_MAX = 65_536;

/** Passes on an expected status and, where one is asked for, a body that matches. */
export class HttpProbe implements Probe {
  readonly kind = "http";
  readonly #options: HttpProbeOptions;
  readonly #clock: Clock;
  readonly #tls: ProbeTls | undefined;
  readonly #body: RegExp | undefined;

  constructor(options: HttpProbeOptions, clock: Clock, tls?: ProbeTls) {
    this.#options = options;
    this.#clock = clock;
    this.#tls = tls;
    this.#body = options.expectBody === undefined ? undefined : new RegExp(options.expectBody);
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const sent = this.#send(target);
    const connection = new RequestConnection(sent, this.#tls !== undefined);
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    sent.on("response", (response) => this.#judge(response, check));
    sent.on("error", (error) => check.settle(false, connection.brokenCode(), error.message));
    sent.end(this.#options.body);
    return check;
  }

  #send({ host, port }: ProbeTarget): ClientRequest {
    const { method, path, body, headers } = this.#options;
    const options = {
      host,
      port,
      method,
      path,
      agent: false,
      headers: {
        host: this.#options.host ?? formatAddress(host, port),
        "user-agent": "pilotfish-check",
        connection: "close",
        ...(body !== undefined && { "content-length": Buffer.byteLength(body) }),
        ...headers,
      },
    } as const;
    return this.#tls === undefined
      ? request(options)
      : secureRequest({ ...options, ...this.#tls.optionsFor(host) });
  }

  #judge(response: IncomingMessage, check: ProbeRun): void {
    const status = response.statusCode ?? 0;
    const isExpected = (this.#options.expectStatus ?? WELL).some(
      ({ from, to }) => status >= from && status <= to,
    );
    const pattern = this.#body;
    if (!isExpected || pattern === undefined) {
      check.settle(isExpected, isExpected ? "L7OK" : "L7STS", `status ${status}`, { status });
      return;
    }
    let body = "";
    const judge = () => {
      const detail = `status ${status}, body ${pattern.test(body) ? "matches" : `does not match ${pattern}`}`;
      const passed = pattern.test(body);
      check.settle(passed, passed ? "L7OK" : "L7RSP", detail, { status });
    };
    response.setEncoding("utf8");
    response.on("data", (text: string) => {
      body += text;
      if (body.length >= BODY_MAX) judge();
    });
    response.once("end", judge);
    response.once("error", (error) => check.settle(false, "L7RSP", error.message, { status }));
  }
}

/** The connection of one request, told apart from the answer that may come over it. */
class RequestConnection implements ProbeConnection {
  readonly #request: ClientRequest;
  #layer: 4 | 6 | 7 = 4;

  constructor(sent: ClientRequest, isSecure: boolean) {
    this.#request = sent;
    sent.on("socket", (socket) => {
      socket.once("connect", () => {
        this.#layer = isSecure ? 6 : 7;
      });
      socket.once("secureConnect", () => {
        this.#layer = 7;
      });
    });
  }

  /** How a connection that broke is reported. */
  brokenCode(): "L4CON" | "L6RSP" | "L7RSP" {
    return this.#layer === 4 ? "L4CON" : this.#layer === 6 ? "L6RSP" : "L7RSP";
  }

  close(): void {
    this.#request.destroy();
  }

  timedOut(timeoutMs: number): { readonly code: "L7TOUT" | "L6TOUT" | "L4TOUT"; readonly detail: string } {
    switch (this.#layer) {
      case 4:
        return { code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` };
      case 6:
        return { code: "L6TOUT", detail: `no handshake within ${timeoutMs} ms` };
      case 7:
        return { code: "L7TOUT", detail: `no answer within ${timeoutMs} ms` };
    }
  }
}
