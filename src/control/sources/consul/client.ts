import { EventEmitter } from "node:events";
import { readFile } from "node:fs/promises";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import Consul from "consul";
import type { ConsulConfig } from "../../../config/model.js";
import type { Clock } from "../../../platform/clock.js";
import type { ConsulAnswer, ConsulFailure, ConsulHeaders } from "./answer.js";

/** One call of Consul's HTTP API. */
export interface ConsulRequest {
  /** Default GET. */
  readonly method?: "GET" | "PUT" | "POST";
  /** Below `/v1`, already percent-encoded. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Sent as JSON; none when left out. */
  readonly body?: object;
  /** From the call to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Sends one request. Never rejects; settles exactly once, at the latest at the timeout. */
export type ConsulRequestFunction = (request: ConsulRequest) => Promise<ConsulAnswer>;

/** Asks one agent. */
export interface ConsulClient {
  readonly request: ConsulRequestFunction;
  /**
   * How often the token has differed from that of the request before. What an agent was told is bound to the token
   * that came with it, so whoever told it something tells it anew when this moved.
   */
  tokenChanges(): number;
  /**
   * How many connections have closed. Who comes back on another one may speak with another agent, or with one that
   * has restarted, whose indexes mean something else.
   */
  closings(): number;
  /** Closes the connections it holds. */
  close(): void;
}

/** A list of 10,000 instances with checks takes about 15 MB. */
const bodyBytesMax = 64 * 1024 * 1024;
const failureTextMax = 300;

/** What is used of the package; its own types leave its documented request method out. */
interface PapiClient {
  _get(options: object): Promise<PapiResponse>;
  _put(options: object): Promise<PapiResponse>;
  _post(options: object): Promise<PapiResponse>;
  _ext(event: "onRequest", hook: (request: PapiRequest, next: () => void) => void): void;
  destroy(): void;
}

interface PapiResponse {
  readonly statusCode: number;
  readonly headers: ConsulHeaders;
  readonly body?: Buffer;
}

interface PapiRequest {
  readonly req: { hostname?: string };
  transport: PapiTransport;
}

interface PapiTransport {
  request(options: object): ClientRequest;
}

class TokenHistory {
  changes = 0;
  #last: string | undefined;

  note(token: string): void {
    if (this.#last !== undefined && this.#last !== token) this.changes += 1;
    this.#last = token;
  }
}

/** Counts the closings of connections, each once however many requests it carried. */
class ClosingCount {
  count = 0;
  readonly #followed = new WeakSet<Socket>();

  follow(socket: Socket): void {
    if (this.#followed.has(socket)) return;
    this.#followed.add(socket);
    socket.once("close", () => {
      this.count += 1;
    });
  }
}

class CutShortError extends Error {}
class TooLargeError extends Error {}

/**
 * A client of the Consul agent on the `consul` package: address, TLS, encoding and connections are the
 * package's, what it leaves open is closed here. It holds one connection, kept alive; the token and TLS files
 * are read anew for each request, so that a rotation needs nothing else.
 *
 * @throws TypeError when the address is none of http, https and unix.
 */
export function createConsulClient(config: ConsulConfig, clock: Clock): ConsulClient {
  const papi = openPapi(config);
  const closings = new ClosingCount();
  harden(papi, closings);
  const token = new TokenHistory();
  return {
    request: (request) => send(papi, config, token, clock, request),
    tokenChanges: () => token.changes,
    closings: () => closings.count,
    close: () => papi.destroy(),
  };
}

function openPapi(config: ConsulConfig): PapiClient {
  const url = new URL(config.address);
  // One request in flight per watch needs one socket; LIFO and one make reuse certain.
  const pooling = { keepAlive: true, maxSockets: 1 };
  let place: object;
  if (url.protocol === "unix:") {
    place = {
      baseUrl: "http://localhost/v1",
      socketPath: decodeURIComponent(url.pathname),
      agent: new HttpAgent(pooling),
    };
  } else if (url.protocol === "http:" || url.protocol === "https:") {
    const agent = url.protocol === "https:" ? new HttpsAgent(pooling) : new HttpAgent(pooling);
    url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1`;
    place = { baseUrl: url, agent };
  } else {
    throw new TypeError(`consul address ${config.address}: expected http://, https:// or unix://`);
  }
  return new Consul(place) as unknown as PapiClient;
}

/**
 * The package listens only for the end of a body, so one that is cut short would wait for the timeout; it sets
 * no bound on a body; and it hands IPv6 literals to the resolver in their brackets.
 */
function harden(papi: PapiClient, closings: ClosingCount): void {
  papi._ext("onRequest", (request, next) => {
    const { transport } = request;
    if (request.req.hostname !== undefined)
      request.req.hostname = request.req.hostname.replace(/^\[|\]$/g, "");
    request.transport = {
      request(options) {
        const outgoing = transport.request(options);
        outgoing.once("socket", (socket) => closings.follow(socket));
        outgoing.prependOnceListener("response", (response) => guardBody(outgoing, response));
        return outgoing;
      },
    };
    next();
  });
}

function guardBody(outgoing: ClientRequest, response: IncomingMessage): void {
  let received = 0;
  response.on("data", (chunk: Buffer) => {
    received += chunk.length;
    if (received > bodyBytesMax) {
      outgoing.emit("error", new TooLargeError(`answer larger than ${bodyBytesMax} bytes`));
      outgoing.destroy();
    }
  });
  // A reset inside the body is an `error` of the response alone; unheard it would end the process.
  response.on("error", () => {});
  response.once("close", () => {
    if (!response.complete) outgoing.emit("error", new CutShortError("connection closed inside the answer"));
  });
}

async function send(
  papi: PapiClient,
  config: ConsulConfig,
  token: TokenHistory,
  clock: Clock,
  request: ConsulRequest,
): Promise<ConsulAnswer> {
  const cancel = new EventEmitter();
  let ended: "timeout" | "aborted" | undefined;
  const end = (why: "timeout" | "aborted") => {
    ended ??= why;
    cancel.emit("cancel");
  };
  const abort = () => end("aborted");
  const timer = clock.after(request.timeoutMs, () => end("timeout"));
  request.signal.addEventListener("abort", abort, { once: true });
  try {
    const credentials = await readCredentials(config);
    if ("kind" in credentials) return credentials;
    token.note(credentials.headers["x-consul-token"] ?? "");
    if (request.signal.aborted) abort();
    if (ended !== undefined) return endedAnswer(ended, request.timeoutMs);
    const options = {
      path: request.path,
      query: { ...request.query },
      ctx: cancel,
      // The body comes as bytes, whatever its type: what it is gets decided here, not by a header.
      buffer: true,
      ...(request.body !== undefined && { type: "json", body: Buffer.from(JSON.stringify(request.body)) }),
      ...credentials,
    };
    // What is written is answered with nothing.
    if (request.method === "PUT") return acknowledgement(await papi._put(options));
    return readBody(await (request.method === "POST" ? papi._post(options) : papi._get(options)));
  } catch (cause) {
    if (ended !== undefined) return endedAnswer(ended, request.timeoutMs);
    return readFailure(cause, clock.wallMs());
  } finally {
    timer.cancel();
    request.signal.removeEventListener("abort", abort);
  }
}

function endedAnswer(ended: "timeout" | "aborted", timeoutMs: number): ConsulFailure {
  return {
    kind: ended,
    message: ended === "timeout" ? `no complete answer within ${timeoutMs} ms` : "aborted",
  };
}

interface Credentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

async function readCredentials(config: ConsulConfig): Promise<Credentials | ConsulFailure> {
  const { tls } = config;
  try {
    const [token, ca, cert, key] = await Promise.all([
      config.tokenFile === undefined ? config.token : readFile(config.tokenFile, "utf8"),
      tls.caFile === undefined ? undefined : readFile(tls.caFile),
      tls.certFile === undefined ? undefined : readFile(tls.certFile),
      tls.keyFile === undefined ? undefined : readFile(tls.keyFile),
    ]);
    const headers: Record<string, string> = {};
    const trimmed = token?.trim() ?? "";
    if (trimmed !== "") headers["x-consul-token"] = trimmed;
    if (config.auth !== undefined)
      headers.authorization = `Basic ${Buffer.from(config.auth).toString("base64")}`;
    if (!config.address.startsWith("https:")) return { headers };
    return {
      headers,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(tls.serverName !== undefined && { servername: tls.serverName }),
      rejectUnauthorized: tls.verify,
    };
  } catch (cause) {
    return { kind: "credentials", message: `credentials could not be read: ${messageOf(cause)}` };
  }
}

function acknowledgement({ statusCode, headers }: PapiResponse): ConsulAnswer {
  return { kind: "ok", status: statusCode, headers, body: undefined };
}

function readBody(response: PapiResponse): ConsulAnswer {
  const text = response.body?.toString("utf8") ?? "";
  try {
    const body: unknown = JSON.parse(text);
    return { kind: "ok", status: response.statusCode, headers: response.headers, body };
  } catch {
    const type = response.headers["content-type"] ?? "no content type";
    const what = text === "" ? "empty" : `not JSON (${type}): ${excerpt(text, 80)}`;
    return { kind: "not-json", message: `answer ${response.statusCode} is ${what}` };
  }
}

function readFailure(cause: unknown, wallMs: number): ConsulFailure {
  if (cause instanceof CutShortError) return { kind: "cut-short", message: messageOf(cause) };
  if (cause instanceof TooLargeError) return { kind: "too-large", message: messageOf(cause) };
  const response = responseOf(cause);
  if (response === undefined) return { kind: "network", message: messageOf(cause) };
  const text = excerpt(response.body?.toString("utf8") ?? "", failureTextMax);
  return {
    kind: "status",
    status: response.statusCode,
    text,
    retryAfterMs: readRetryAfter(response.headers["retry-after"], wallMs),
    message: `Consul answered ${response.statusCode}${text === "" ? "" : `: ${text}`}`,
  };
}

function responseOf(cause: unknown): PapiResponse | undefined {
  if (!(cause instanceof Error) || !("response" in cause)) return undefined;
  return cause.response as PapiResponse;
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function readRetryAfter(value: string | undefined, wallMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1_000;
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - wallMs);
}

function excerpt(text: string, lengthMax: number): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > lengthMax ? `${line.slice(0, lengthMax)}...` : line;
}

function messageOf(cause: unknown): string {
  // A name with several addresses fails with one error that says nothing and holds one per address.
  if (cause instanceof AggregateError && cause.errors.length > 0) return messageOf(cause.errors[0]);
  if (!(cause instanceof Error)) return String(cause);
  return cause.message.replace(/^consul: /, "");
}
