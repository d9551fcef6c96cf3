import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { CheckDefinition, CheckMethod } from "./check-definition.js";

/** Told of every verdict. */
export type CheckSink = (status: string, output: string) => void;

/** A running check. */
export interface CheckRunner {
  stop(): void;
}

/** Cuts an output to the size kept, saying so. */
export function capOutput(output: string, maxBytes: number): string {
  const total = Buffer.byteLength(output);
  if (total <= maxBytes) return output;
  const kept = Buffer.from(output).subarray(0, maxBytes).toString();
  return `${kept} ... (captured ${maxBytes} of ${total} bytes)`;
}

/** A check that turns critical unless it is heard of in time. */
export class TtlRunner implements CheckRunner {
  readonly #ttlMs: number;
  readonly #sink: CheckSink;
  readonly #maxOutputBytes: number;
  #timer: NodeJS.Timeout;
  #lastOutput = "";

  constructor(ttlMs: number, maxOutputBytes: number, sink: CheckSink) {
    this.#ttlMs = ttlMs;
    this.#maxOutputBytes = maxOutputBytes;
    this.#sink = sink;
    this.#timer = this.#arm();
  }

  /** A sign of life with its verdict; the time to live starts anew. */
  report(status: string, output: string): void {
    clearTimeout(this.#timer);
    this.#timer = this.#arm();
    this.#lastOutput = capOutput(output, this.#maxOutputBytes);
    this.#sink(status, this.#lastOutput);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    return setTimeout(() => {
      const last = this.#lastOutput;
      const suffix = last === "" ? "" : ` (last output before timeout follows): ${last}`;
      this.#sink("critical", `TTL expired${suffix}`);
    }, this.#ttlMs).unref();
  }
}

interface Verdict {
  readonly status: "passing" | "warning" | "critical";
  readonly output: string;
}

/** A check that asks its target at an interval. */
export class ProbeRunner implements CheckRunner {
  readonly #definition: CheckDefinition;
  readonly #method: Exclude<CheckMethod, { type: "ttl" }>;
  readonly #sink: CheckSink;
  readonly #stopped = new AbortController();
  #timer: NodeJS.Timeout;
  #successes = 0;
  #failures = 0;

  /** The first probe comes at a random moment of the interval, so that many checks do not run as one. */
  constructor(
    definition: CheckDefinition,
    method: Exclude<CheckMethod, { type: "ttl" }>,
    random: () => number,
    sink: CheckSink,
  ) {
    this.#definition = definition;
    this.#method = method;
    this.#sink = sink;
    this.#timer = this.#schedule(random() * method.intervalMs);
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => void this.#run(), delayMs).unref();
  }

  async #run(): Promise<void> {
    const method = this.#method;
    const signal = this.#stopped.signal;
    const verdict =
      method.type === "tcp"
        ? await probeTcp(method.address, method.timeoutMs, signal)
        : await probeHttp(method, this.#definition.maxOutputBytes, signal);
    if (signal.aborted) return;
    this.#judge(verdict);
    this.#timer = this.#schedule(method.intervalMs);
  }

  #judge(verdict: Verdict): void {
    const isFailure = verdict.status === "critical";
    this.#failures = isFailure ? this.#failures + 1 : 0;
    this.#successes = isFailure ? 0 : this.#successes + 1;
    const isEnough = isFailure
      ? this.#failures >= this.#definition.failuresBeforeCritical
      : this.#successes >= this.#definition.successesBeforePassing;
    if (isEnough) this.#sink(verdict.status, capOutput(verdict.output, this.#definition.maxOutputBytes));
  }
}

function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** Words a dial failure as Go does, since people grep for it. */
function describeDial(error: NodeJS.ErrnoException, address: string): string {
  if (error.code === "ECONNREFUSED") return `dial tcp ${address}: connect: connection refused`;
  return `dial tcp ${address}: ${error.message}`;
}

function probeTcp(address: string, timeoutMs: number, signal: AbortSignal): Promise<Verdict> {
  return new Promise((resolve) => {
    const { host, port } = splitAddress(address);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      resolve({ status: "critical", output: `dial tcp: address ${address}: invalid port` });
      return;
    }
    const socket = connect({ host, port });
    const settle = (verdict: Verdict) => {
      signal.removeEventListener("abort", abort);
      socket.destroy();
      resolve(verdict);
    };
    const abort = () => settle({ status: "critical", output: "stopped" });
    signal.addEventListener("abort", abort);
    socket.setTimeout(timeoutMs, () =>
      settle({ status: "critical", output: `dial tcp ${address}: i/o timeout` }),
    );
    socket.on("connect", () => settle({ status: "passing", output: `TCP connect ${address}: Success` }));
    socket.on("error", (error) => settle({ status: "critical", output: describeDial(error, address) }));
  });
}

function statusOf(code: number): Verdict["status"] {
  if (code >= 200 && code <= 299) return "passing";
  return code === 429 ? "warning" : "critical";
}

type HttpMethod = Extract<CheckMethod, { type: "http" }>;

async function probeHttp(method: HttpMethod, maxBytes: number, stopped: AbortSignal): Promise<Verdict> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(method.timeoutMs)]);
  try {
    const response = await requestOnce(method, signal);
    const code = response.statusCode ?? 0;
    const output = `HTTP ${method.method} ${method.url}: ${code} ${response.statusMessage} Output: `;
    return { status: statusOf(code), output: output + (await readSome(response, maxBytes)) };
  } catch (error) {
    return { status: "critical", output: describeHttpFailure(method, error, signal) };
  }
}

function requestOnce(method: HttpMethod, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = method.url.startsWith("https:") ? httpsRequest : httpRequest;
    const headers: Record<string, string | string[]> = {
      "User-Agent": "Consul Health Check",
      Accept: "text/plain, text/*, */*",
    };
    for (const [name, values] of Object.entries(method.header)) headers[name] = [...values];
    const request = send(
      method.url,
      { method: method.method, headers, agent: false, signal, rejectUnauthorized: !method.skipsVerify },
      resolve,
    );
    request.on("error", reject);
    request.end(method.body);
  });
}

async function readSome(response: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    chunks.push(Buffer.from(chunk));
    size += chunk.length;
    if (size > maxBytes) break;
  }
  response.destroy();
  return Buffer.concat(chunks).toString();
}

function describeHttpFailure(method: HttpMethod, error: unknown, signal: AbortSignal): string {
  const verb = method.method.charAt(0) + method.method.slice(1).toLowerCase();
  if (signal.aborted) return `${verb} "${method.url}": context deadline exceeded`;
  if (!(error instanceof Error)) return `${verb} "${method.url}": ${String(error)}`;
  const host = URL.canParse(method.url) ? new URL(method.url).host : method.url;
  return `${verb} "${method.url}": ${describeDial(error, host)}`;
}
