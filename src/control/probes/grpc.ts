import { type ClientHttp2Session, connect, constants } from "node:http2";
import { formatAddress } from "../../core/endpoint.js";
import type { Clock } from "../../platform/clock.js";
import type { Probe, ProbeResult, ProbeTarget, RunningProbe } from "../probe.js";
import { ProbeRun } from "../probe-run.js";
import type { ProbeTls } from "../probe-tls.js";

const METHOD = "/grpc.health.v1.Health/Check";
/** `HealthCheckResponse.ServingStatus`. */
const SERVING_STATUS = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING = 1;
/** A health answer has a handful of bytes. */
const ANSWER_MAX = 16_384;

/** Calls grpc.health.v1.Health/Check; passes on SERVING. */
export class GrpcProbe implements Probe {
  readonly kind = "grpc";
  readonly #question: Buffer;
  readonly #clock: Clock;
  readonly #tls: ProbeTls | undefined;

  /** @param options an empty service asks for the server as a whole */
  constructor(options: { readonly service: string }, clock: Clock, tls?: ProbeTls) {
    this.#question = frame(options.service);
    this.#clock = clock;
    this.#tls = tls;
  }

  run(target: ProbeTarget, timeoutMs: number, done: (result: ProbeResult) => void): RunningProbe {
    const address = formatAddress(target.host, target.port);
    const session =
      this.#tls === undefined
        ? connect(`http://${address}`)
        : connect(`https://${address}`, this.#tls.optionsFor(target.host));
    let isOpen = false;
    const connection = {
      close: () => session.destroy(),
      timedOut: () =>
        isOpen
          ? ({ code: "L7TOUT", detail: `no answer within ${timeoutMs} ms` } as const)
          : ({ code: "L4TOUT", detail: `no connection within ${timeoutMs} ms` } as const),
    };
    const check = new ProbeRun(this.#clock, timeoutMs, connection, done);
    let isConnected = false;
    session.socket.once("connect", () => {
      isConnected = true;
    });
    const early = () => (isConnected && this.#tls !== undefined ? "L6RSP" : "L4CON");
    const broken = (why: string) => check.settle(false, isOpen ? "L7RSP" : early(), why);
    session.once("connect", () => {
      isOpen = true;
      this.#ask(session, check);
    });
    session.on("error", (error) => broken(error.message));
    session.once("close", () => broken("connection closed"));
    return check;
  }

  #ask(session: ClientHttp2Session, check: ProbeRun): void {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: METHOD,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      [constants.HTTP2_HEADER_TE]: "trailers",
      [constants.HTTP2_HEADER_USER_AGENT]: "pilotfish-check",
    });
    const parts: Buffer[] = [];
    let bytes = 0;
    let httpStatus = 0;
    let grpcStatus: unknown;
    let grpcMessage: unknown;
    const read = (fields: Readonly<Record<string, unknown>>) => {
      grpcStatus ??= fields["grpc-status"];
      grpcMessage ??= fields["grpc-message"];
    };
    stream.on("response", (fields) => {
      httpStatus = Number(fields[constants.HTTP2_HEADER_STATUS]);
      // An answer that is all trailers has its status here.
      read(fields);
    });
    stream.on("trailers", read);
    stream.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > ANSWER_MAX) check.settle(false, "L7RSP", "the answer is too long");
      else parts.push(part);
    });
    stream.on("error", (error) => check.settle(false, "L7RSP", error.message));
    stream.once("end", () => {
      if (httpStatus !== 200) {
        check.settle(false, "L7STS", `HTTP status ${httpStatus}`, { status: httpStatus });
      } else if (grpcStatus !== "0") {
        const words = typeof grpcMessage === "string" && grpcMessage !== "" ? ` (${grpcMessage})` : "";
        check.settle(false, "L7STS", `grpc-status ${String(grpcStatus ?? "missing")}${words}`);
      } else {
        const status = servingStatus(Buffer.concat(parts));
        const isServing = status === SERVING;
        check.settle(isServing, isServing ? "L7OK" : "L7STS", SERVING_STATUS[status] ?? "no health answer");
      }
    });
    stream.end(this.#question);
  }
}

/** A length-prefixed `HealthCheckRequest`; field 1 is the service. */
function frame(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}

/** Field 1 of a length-prefixed `HealthCheckResponse`; a default of 0 is not written. -1 for anything else. */
function servingStatus(answer: Buffer): number {
  if (answer.length < 5 || answer[0] !== 0 || answer.readUInt32BE(1) !== answer.length - 5) return -1;
  if (answer.length === 5) return 0;
  return answer[5] === 0x08 && answer.length >= 7 ? (answer[6] ?? -1) : -1;
}
