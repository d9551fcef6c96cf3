import { connect, type Socket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock } from "../../platform/clock.js";
import { HttpAnswer } from "../http-answer.js";
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
const READ_SIZE = 16_384;
/** Methods whose requests are expected to have a body: one without says so (RFC 9110 section 8.6). */
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

/**
 * Passes on an expected status and, where one is asked for, a body that matches. Writes and reads HTTP/1.1 by itself:
 * Node's client costs more than the connection does, and of an answer no more is read here than is judged.
 */
export class HttpProbe implements Probe {
  readonly kind = "http";
  readonly #options: HttpProbeOptions;
  readonly #clock: Clock;
  readonly #tls: ProbeTls | undefined;
  readonly #pattern: RegExp | undefined;
  /** The request around the backend's address. */
  readonly #request: readonly [before: string, after: string];
  /** Shared by all connections: what is read is taken out before the next one is read. */
  readonly #buffer = Buffer.alloc(READ_SIZE);

  constructor(options: HttpProbeOptions, clock: Clock, tls?: ProbeTls) {
    this.#options = options;
    this.#clock = clock;
    this.#tls = tls;
    this.#pattern = options.expectBody === undefined ? undefined : new RegExp(options.expectBody);
    this.#request = requestOf(options);
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const answer = new HttpAnswer(this.#options.method);
    const onread = {
      buffer: this.#buffer,
      callback: (size: number, bytes: Uint8Array): boolean => {
        answer.take((bytes as Buffer).toString("latin1", 0, size));
        this.#judge(answer, check);
        return true;
      },
    };
    const { host, port } = target;
    const way = { host, port, onread };
    const socket =
      this.#tls === undefined ? connect(way) : connectSecurely({ ...way, ...this.#tls.optionsFor(host) });
    const connection = new HttpConnection(socket, this.#tls !== undefined, () => {
      const [before, after] = this.#request;
      socket.write(after === "" ? before : `${before}${formatAddress(host, port)}${after}`);
    });
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    const end = () => {
      answer.end();
      if (connection.isOpen) this.#judge(answer, check);
      else check.settle(false, connection.brokenCode(), "connection closed");
    };
    socket.once("end", end);
    socket.once("close", end);
    socket.on("error", (error) => check.settle(false, connection.brokenCode(), error.message));
    return check;
  }

  /** Ends the check as soon as what came decides it. */
  #judge(answer: HttpAnswer, check: ProbeRun): void {
    const { state, status } = answer;
    if (state === "head") return;
    if (status === 0) {
      check.settle(false, "L7RSP", answer.problem);
      return;
    }
    const isExpected = (this.#options.expectStatus ?? WELL).some(
      ({ from, to }) => status >= from && status <= to,
    );
    const pattern = this.#pattern;
    if (!isExpected || pattern === undefined)
      check.settle(isExpected, isExpected ? "L7OK" : "L7STS", `status ${status}`, { status });
    else if (state === "broken") check.settle(false, "L7RSP", answer.problem, { status });
    else if (state === "whole") {
      const passed = pattern.test(answer.body);
      const detail = `status ${status}, body ${passed ? "matches" : `does not match ${pattern}`}`;
      check.settle(passed, passed ? "L7OK" : "L7RSP", detail, { status });
    }
  }
}

/** The whole request, cut where the backend's address belongs; the second part is empty where a host is given. */
function requestOf(options: HttpProbeOptions): readonly [before: string, after: string] {
  const { method, path, body } = options;
  const fields = new Map([
    ["user-agent", ["user-agent", "pilotfish-check"]],
    ["connection", ["connection", "close"]],
  ]);
  if (body !== undefined || WITH_BODY.has(method))
    fields.set("content-length", ["content-length", `${Buffer.byteLength(body ?? "")}`]);
  if (options.host !== undefined) fields.set("host", ["host", options.host]);
  for (const [name, value] of Object.entries(options.headers ?? {}))
    fields.set(name.toLowerCase(), [name, value]);
  const host = fields.get("host")?.join(": ");
  fields.delete("host");
  const rest = [...fields.values()].map((field) => `${field.join(": ")}\r\n`).join("");
  const end = `\r\n${rest}\r\n${body ?? ""}`;
  const start = `${method} ${path} HTTP/1.1\r\n`;
  return host === undefined ? [`${start}host: `, end] : [`${start}${host}${end}`, ""];
}

/** The connection of one check, and how far it came. */
class HttpConnection implements ProbeConnection {
  readonly #socket: Socket;
  #layer: 4 | 6 | 7 = 4;

  /** @param opened called once the backend can be asked */
  constructor(socket: Socket, isSecure: boolean, opened: () => void) {
    this.#socket = socket;
    const open = () => {
      this.#layer = 7;
      opened();
    };
    if (!isSecure) {
      socket.once("connect", open);
      return;
    }
    socket.once("connect", () => {
      this.#layer = 6;
    });
    socket.once("secureConnect", open);
  }

  get isOpen(): boolean {
    return this.#layer === 7;
  }

  /** How a connection that broke is reported. */
  brokenCode(): "L4CON" | "L6RSP" | "L7RSP" {
    return this.#layer === 4 ? "L4CON" : this.#layer === 6 ? "L6RSP" : "L7RSP";
  }

  close(): void {
    this.#socket.destroy();
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
