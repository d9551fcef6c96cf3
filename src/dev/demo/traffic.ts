import { Agent, type IncomingMessage, request } from "node:http";

/** How much is sent and where. */
export interface TrafficOptions {
  /** `host:port`. */
  readonly target: string;
  readonly perSecond: number;
  /** Most requests open at once; a slot that is due meanwhile is left out. */
  readonly maxOpen: number;
}

/** What came of the requests that ended between two moments. */
export interface TrafficCounts {
  readonly requests: number;
  readonly failed: number;
  /** Failures by what the client saw: `500 from web2`, `ECONNRESET`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Good answers, by backend. */
  readonly answered: Readonly<Record<string, number>>;
}

interface Sample {
  readonly atMs: number;
  readonly tookMs: number;
  readonly backend: string;
}

const TICK_MS = 5;
const WINDOW_MS = 2_000;
/** Beyond this, old samples are dropped even if nobody looks. */
const MOST_SAMPLES = 2_000;
const ANSWER_MS = 10_000;
/** Different reasons that are kept apart; the rest is counted together. */
const MOST_REASONS = 20;
/** Every so many-th request has a body and may not be sent twice. */
const POST_EVERY = 4;

/** A client that sends requests at a steady rate over keep-alive connections, retries nothing and counts all. */
export class Traffic {
  readonly #options: TrafficOptions;
  readonly #host: string;
  readonly #port: number;
  readonly #agent: Agent;
  readonly #reasons: Record<string, number> = {};
  readonly #answered: Record<string, number> = {};
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #sent = 0;
  #open = 0;
  #requests = 0;
  #failed = 0;
  #recent: Sample[] = [];
  #onIdle: (() => void) | undefined;
  #onFailure: ((reason: string, wallMs: number) => void) | undefined;

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#host = options.target.slice(0, options.target.lastIndexOf(":"));
    this.#port = Number(options.target.slice(options.target.lastIndexOf(":") + 1));
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.maxOpen });
  }

  start(): void {
    this.#dueMs = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends no more; resolves when what is open has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#open > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#agent.destroy();
  }

  /** Everything that has ended so far. */
  counts(): TrafficCounts {
    return {
      requests: this.#requests,
      failed: this.#failed,
      reasons: { ...this.#reasons },
      answered: { ...this.#answered },
    };
  }

  /** What has ended since those counts were taken. */
  since(before: TrafficCounts): TrafficCounts {
    return {
      requests: this.#requests - before.requests,
      failed: this.#failed - before.failed,
      reasons: subtract(this.#reasons, before.reasons),
      answered: subtract(this.#answered, before.answered),
    };
  }

  /** Answers per second over the last moments. */
  perSecond(): number {
    this.#forget(performance.now());
    return this.#recent.length / (WINDOW_MS / 1_000);
  }

  /** Time to the whole answer that this share (0 to 1) of the latest requests did not exceed; undefined without any. */
  latencyMs(share: number, backend?: string): number | undefined {
    this.#forget(performance.now());
    const times = this.#recent
      .filter((sample) => backend === undefined || sample.backend === backend)
      .map(({ tookMs }) => tookMs)
      .sort((a, b) => a - b);
    return times[Math.min(times.length - 1, Math.floor(times.length * share))];
  }

  /** Called with each failure; there is one listener at a time. */
  onFailure(listener: ((reason: string, wallMs: number) => void) | undefined): void {
    this.#onFailure = listener;
  }

  #tick(): void {
    const nowMs = performance.now();
    const gapMs = 1_000 / this.#options.perSecond;
    // After a pause of the whole machine nothing is made up for: that would be a burst, not steady traffic.
    if (nowMs - this.#dueMs > 250) this.#dueMs = nowMs;
    for (; this.#dueMs <= nowMs; this.#dueMs += gapMs) if (this.#open < this.#options.maxOpen) this.#send();
  }

  #send(): void {
    const number = this.#sent++;
    const isPost = number % POST_EVERY === 0;
    const body = isPost ? `{"order":${number}}` : "";
    const startedMs = performance.now();
    this.#open++;
    let isSettled = false;
    const settle = (failure: string, backend: string): void => {
      if (isSettled) return;
      isSettled = true;
      this.#settle(failure, backend, startedMs);
    };
    const outgoing = request({
      host: this.#host,
      port: this.#port,
      agent: this.#agent,
      method: isPost ? "POST" : "GET",
      path: isPost ? "/orders" : "/hello",
      headers: { "x-request-id": `demo-${number}`, ...(isPost && { "content-length": body.length }) },
    });
    outgoing.setTimeout(ANSWER_MS, () => outgoing.destroy(new Error("no answer in time")));
    outgoing.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message, ""));
    outgoing.on("response", (response) => take(response, settle));
    outgoing.end(body);
  }

  #settle(failure: string, backend: string, startedMs: number): void {
    const nowMs = performance.now();
    this.#open--;
    this.#requests++;
    this.#recent.push({ atMs: nowMs, tookMs: nowMs - startedMs, backend });
    if (this.#recent.length > MOST_SAMPLES) this.#forget(nowMs);
    if (failure === "") this.#answered[backend] = (this.#answered[backend] ?? 0) + 1;
    else this.#fail(failure);
    if (this.#open === 0) this.#onIdle?.();
  }

  #fail(failure: string): void {
    const isRoomy = failure in this.#reasons || Object.keys(this.#reasons).length < MOST_REASONS;
    const reason = isRoomy ? failure : "other";
    this.#failed++;
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    this.#onFailure?.(reason, Date.now());
  }

  #forget(nowMs: number): void {
    const first = this.#recent.findIndex(({ atMs }) => atMs > nowMs - WINDOW_MS);
    this.#recent = first < 0 ? [] : this.#recent.slice(first);
  }
}

function take(response: IncomingMessage, settle: (failure: string, backend: string) => void): void {
  const backend = String(response.headers["x-backend"] ?? "");
  const status = response.statusCode ?? 0;
  let text = "";
  response.setEncoding("latin1");
  response.on("data", (chunk: string) => {
    text = (text + chunk).slice(0, 200);
  });
  response.on("error", (error: NodeJS.ErrnoException) => settle(error.code ?? error.message, backend));
  response.on("end", () => {
    if (status === 200) settle("", backend);
    else
      settle(
        backend === "" ? `${status} from the sidecar: ${text.trim()}` : `${status} from ${backend}`,
        backend,
      );
  });
}

function subtract(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const grown = Object.entries(now).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}
