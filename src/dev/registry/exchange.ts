import type { IncomingMessage } from "node:http";
import { parseGoBool, parseGoDuration } from "./go-duration.js";
import { decodeFirstValue, JsonProblem } from "./go-json.js";
import { HttpProblem } from "./http-problem.js";
import type { WaitList } from "./wait-list.js";

const defaultWaitMs = 5 * 60_000;
const maxWaitMs = 10 * 60_000;

/** What a handler answers: a value as JSON, raw bytes, or nothing at all. */
export interface Reply {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string | Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** One request with what its query says, and the ways to answer it. */
export class Exchange {
  readonly query: URLSearchParams;
  /** What follows the route's prefix, percent-decoded. */
  readonly rest: string;
  readonly signal: AbortSignal;
  readonly #message: IncomingMessage;
  readonly #waits: WaitList;
  readonly #datacenter: string;
  readonly #random: () => number;

  constructor(
    message: IncomingMessage,
    query: URLSearchParams,
    rest: string,
    surroundings: {
      readonly signal: AbortSignal;
      readonly waits: WaitList;
      readonly datacenter: string;
      readonly random: () => number;
    },
  ) {
    this.#message = message;
    this.query = query;
    this.rest = rest;
    this.signal = surroundings.signal;
    this.#waits = surroundings.waits;
    this.#datacenter = surroundings.datacenter;
    this.#random = surroundings.random;
  }

  /** The part of the path that must not be empty. @throws HttpProblem with `missing` when it is. */
  required(missing: string): string {
    if (this.rest === "") throw new HttpProblem(400, missing);
    return this.rest;
  }

  /** A flag of the query: present and empty is true. @throws HttpProblem when it is no boolean. */
  flag(name: string): boolean {
    const value = this.query.get(name);
    if (value === null) return false;
    if (value === "") return true;
    const parsed = parseGoBool(value);
    if (parsed === undefined) throw new HttpProblem(400, `Invalid value for ?${name}`);
    return parsed;
  }

  /** The whole body. @throws HttpProblem when it is longer than `maxBytes`. */
  async bytes(maxBytes: number): Promise<Buffer> {
    const tooLarge = (size: number | string) =>
      new HttpProblem(
        413,
        `Request body(${size} bytes) too large, max size: ${maxBytes} bytes. See https://www.consul.io/docs/agent/options.html#kv_max_value_size.`,
      );
    const announced = Number(this.#message.headers["content-length"] ?? 0);
    if (announced > maxBytes) throw tooLarge(announced);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#message) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > maxBytes) throw tooLarge(size);
    }
    return Buffer.concat(chunks);
  }

  /** The body read from JSON by `read`. @throws HttpProblem 400 for anything that is not what was expected. */
  async decode<T>(read: (value: unknown) => T): Promise<T> {
    const text = (await this.bytes(maxJsonBytes)).toString();
    try {
      return read(decodeFirstValue(text));
    } catch (error) {
      if (error instanceof JsonProblem) throw new HttpProblem(400, `Request decode failed: ${error.message}`);
      throw error;
    }
  }

  /** Refuses a question about another datacenter. */
  requireOwnDatacenter(): void {
    const wanted = this.query.get("dc") ?? "";
    if (wanted !== "" && wanted !== this.#datacenter) throw new HttpProblem(500, "No path to datacenter");
  }

  /** A value as JSON. */
  json(value: unknown, headers: Readonly<Record<string, string>> = {}, status = 200): Reply {
    const isPretty = this.query.has("pretty");
    const body = isPretty ? `${JSON.stringify(value, undefined, 4)}\n` : JSON.stringify(value);
    return { status, contentType: "application/json", body, headers };
  }

  /** Success without a body. */
  done(): Reply {
    return { status: 200, body: "", headers: {} };
  }

  /**
   * Answers a blocking query: at once when `index` in the query is absent, 0 or older than the list's, otherwise
   * when the list's index moves past it or the wait (default 5 minutes, at most 10, plus up to a sixteenth)
   * is over.
   * @param indexOf the list's present index.
   * @param answer makes the answer from the headers every list carries.
   * @param list keys are answered with fewer headers.
   */
  async blocking(
    indexOf: () => number,
    answer: (headers: Readonly<Record<string, string>>) => Reply,
    list: "catalog" | "keys" = "catalog",
  ): Promise<Reply> {
    const { minIndex, waitMs } = this.#blockingOptions();
    const consistency = this.#consistency();
    try {
      this.requireOwnDatacenter();
      if (minIndex > 0) await this.wait(() => indexOf() > minIndex, waitMs);
      return answer({
        "X-Consul-Index": String(Math.max(indexOf(), 1)),
        "X-Consul-KnownLeader": "true",
        "X-Consul-LastContact": "0",
        ...(list === "catalog" && { "X-Consul-Effective-Consistency": consistency }),
      });
    } catch (error) {
      if (error instanceof HttpProblem && list === "catalog")
        throw new HttpProblem(error.status, error.message, unansweredHeaders);
      throw error;
    }
  }

  /** Waits for a condition, with the jitter Consul adds. @throws HttpProblem 429 when too many wait already. */
  async wait(isDue: () => boolean, waitMs: number): Promise<void> {
    if (isDue()) return;
    if (this.#waits.isFull) {
      throw new HttpProblem(
        429,
        "Your IP is issuing too many concurrent connections, please rate limit your calls",
      );
    }
    await this.#waits.wait(isDue, waitMs + this.#random() * (waitMs / 16), this.signal);
  }

  /** Longest wait the query asks for, within Consul's limits. */
  waitMs(): number {
    return this.#blockingOptions().waitMs;
  }

  #blockingOptions(): { readonly minIndex: number; readonly waitMs: number } {
    const wait = this.query.get("wait") ?? "";
    const waitMs = wait === "" ? defaultWaitMs : parseGoDuration(wait);
    if (waitMs === undefined) throw new HttpProblem(400, "Invalid wait time");
    const index = this.query.get("index") ?? "";
    if (!/^[0-9]*$/.test(index)) throw new HttpProblem(400, "Invalid index");
    return { minIndex: Number(index), waitMs: waitMs <= 0 ? defaultWaitMs : Math.min(waitMs, maxWaitMs) };
  }

  #consistency(): "stale" | "consistent" | "leader" {
    const isStale = this.query.has("stale");
    const isConsistent = this.query.has("consistent");
    for (const other of ["stale", "cached"]) {
      if (isConsistent && this.query.has(other)) {
        const text = `Cannot specify ?${other} with ?consistent, conflicting semantics.`;
        throw new HttpProblem(400, text);
      }
    }
    const namespace = this.query.get("ns");
    if (namespace !== null && namespace !== "") {
      const text = `Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature`;
      throw new HttpProblem(400, `Bad request: ${text}`);
    }
    return isStale ? "stale" : isConsistent ? "consistent" : "leader";
  }
}

/** A list that could not be made carries these, as an answer of Consul that was never filled in. */
const unansweredHeaders = {
  "X-Consul-Index": "1",
  "X-Consul-KnownLeader": "false",
  "X-Consul-LastContact": "0",
};

/** Longest body of a registration. */
const maxJsonBytes = 1024 * 1024;
