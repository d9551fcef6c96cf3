import { Agent, request } from "node:http";

/** One request of a load, as its client saw it. */
export interface LoadResult {
  readonly id: string;
  readonly method: string;
  /** By `performance.now`. */
  readonly startedMs: number;
  readonly endedMs: number;
  /** 0 where there was no whole answer. */
  readonly status: number;
  /** Who answered, by its own word; empty when the proxy did. */
  readonly backend: string;
  /** Of the answer where the status is not 200, otherwise what went wrong. */
  readonly problem: string;
}

export interface LoadOptions {
  readonly port: number;
  /** Requests open at any time, each on a keep-alive connection. */
  readonly open: number;
  /** Whether every request has a connection of its own instead. Default false. */
  readonly isFresh?: boolean;
  /** Ends by itself after so many; without it only when stopped. */
  readonly total?: number;
  /** Default: GET only. */
  readonly methods?: readonly ("GET" | "POST")[];
  /** One, or several in turn. Default `/work`. */
  readonly path?: string | readonly string[];
  /** A body is sent in two halves, with this pause between them. Default: at once. */
  readonly halfPauseMs?: number;
  /** Whether each of the open lanes keeps the cookie it was given, as a browser does. Default false. */
  readonly isSticky?: boolean;
}

/** What one lane remembers from request to request. */
interface Lane {
  cookie: string | undefined;
}

/** Longest wait for one answer. */
const ANSWER_MS = 20_000;
const BODY = "a".repeat(500);

/**
 * A closed loop of requests through a proxy. Retries nothing, and counts everything that is not a whole answer of
 * status 200 to this very request as failed.
 */
export class Load {
  readonly results: LoadResult[] = [];
  readonly #options: LoadOptions;
  readonly #agent: Agent;
  readonly #prefix: string;
  readonly #lanes: Promise<unknown>;
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  #sent = 0;
  #isStopped = false;

  constructor(name: string, options: LoadOptions) {
    this.#options = options;
    this.#prefix = name;
    this.#agent = new Agent({ keepAlive: options.isFresh !== true, maxSockets: options.open });
    this.#lanes = Promise.all(Array.from({ length: options.open }, () => this.#lane()));
  }

  get sent(): number {
    return this.#sent;
  }

  /** Resolves when so many more have been answered from now on, well or not. */
  async more(count: number): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push({ count: this.results.length + count, resolve }));
  }

  /** Resolves when all have been answered; only where there is a total. */
  async finish(): Promise<LoadReport> {
    await this.#lanes;
    this.#agent.destroy();
    return new LoadReport(this.results);
  }

  /** Sends no more, waits for what is open. */
  async stop(): Promise<LoadReport> {
    this.#isStopped = true;
    return this.finish();
  }

  async #lane(): Promise<void> {
    const { total = Number.POSITIVE_INFINITY, methods = ["GET"], path = "/work" } = this.#options;
    const paths = typeof path === "string" ? [path] : path;
    const lane: Lane = { cookie: undefined };
    while (!this.#isStopped && this.#sent < total) {
      const number = this.#sent++;
      const method = methods[number % methods.length] ?? "GET";
      // Each path in turn, and on each of them each method.
      const target = paths[Math.floor(number / methods.length) % paths.length] ?? "/work";
      this.results.push(await this.#exchange(`${this.#prefix}-${number}`, method, target, lane));
      this.#wake();
    }
  }

  #wake(): void {
    for (const waiting of [...this.#waiting]) {
      if (this.results.length < waiting.count) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve();
    }
  }

  #exchange(id: string, method: string, path: string, lane: Lane): Promise<LoadResult> {
    const startedMs = performance.now();
    const sent = method === "POST" ? BODY : "";
    return new Promise((resolve) => {
      let status = 0;
      let backend = "";
      const end = (problem: string): void => {
        const whole = problem === "" || status >= 400 ? status : 0;
        resolve({ id, method, startedMs, endedMs: performance.now(), status: whole, backend, problem });
      };
      const outgoing = request({
        host: "127.0.0.1",
        port: this.#options.port,
        path,
        method,
        agent: this.#agent,
        headers: {
          "x-request-id": id,
          ...(lane.cookie !== undefined && { cookie: lane.cookie }),
          ...(sent !== "" && { "content-length": sent.length }),
        },
      });
      outgoing.setTimeout(ANSWER_MS, () => outgoing.destroy(new Error("no answer")));
      outgoing.on("error", (error) => end(error.message));
      outgoing.on("response", (response) => {
        let text = "";
        status = response.statusCode ?? 0;
        backend = String(response.headers["x-backend"] ?? "");
        const given = response.headers["set-cookie"]?.[0];
        if (this.#options.isSticky === true && given !== undefined) lane.cookie = given.split(";")[0];
        response.setEncoding("latin1");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", (error) => end(`in the body: ${error.message}`));
        response.on("end", () => {
          if (!response.complete) end("cut short");
          else if (status !== 200) end(text.trim());
          else if (Number(response.headers["grpc-status"] ?? 0) !== 0)
            end(`grpc-status ${response.headers["grpc-status"]}`);
          else end(text === `${id} ${sent.length}` ? "" : `somebody else's answer: ${text.slice(0, 80)}`);
        });
      });
      const { halfPauseMs } = this.#options;
      if (halfPauseMs === undefined || sent === "") {
        outgoing.end(sent);
        return;
      }
      outgoing.write(sent.slice(0, sent.length / 2));
      setTimeout(() => outgoing.end(sent.slice(sent.length / 2)), halfPauseMs);
    });
  }
}

/** What came of a load. */
export class LoadReport {
  readonly results: readonly LoadResult[];

  constructor(results: readonly LoadResult[]) {
    this.results = results;
  }

  get failed(): readonly LoadResult[] {
    return this.results.filter(({ status, problem }) => status !== 200 || problem !== "");
  }

  /** Answered well, by backend. */
  shares(): ReadonlyMap<string, number> {
    const shares = new Map<string, number>();
    for (const { backend, status } of this.results) {
      if (status === 200) shares.set(backend, (shares.get(backend) ?? 0) + 1);
    }
    return shares;
  }

  /** The number of failures by what the client was told: empty when nothing failed. */
  problems(): Readonly<Record<string, number>> {
    const problems: Record<string, number> = {};
    for (const { method, status, problem } of this.failed) {
      const key = `${method} ${status} ${problem}`;
      problems[key] = (problems[key] ?? 0) + 1;
    }
    return problems;
  }

  /** Time from request to answer in ms, at a share from 0 to 1. */
  latency(share: number): number {
    const sorted = this.results.map(({ startedMs, endedMs }) => endedMs - startedMs).sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }
}

/** One request; its answer. Rejects when there is none. */
export function ask(
  port: number,
  path = "/work",
  options: { method?: string; body?: string } = {},
): Promise<{ status: number; body: string; backend: string }> {
  const { method = "GET", body = "" } = options;
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, path, method, agent: false }, (response) => {
      let text = "";
      response.setEncoding("latin1");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: text,
          backend: String(response.headers["x-backend"] ?? ""),
        }),
      );
    });
    outgoing.setTimeout(ANSWER_MS, () => outgoing.destroy(new Error("no answer")));
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
