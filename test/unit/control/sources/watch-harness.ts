import type { ConsulAnswer } from "../../../../src/control/sources/consul/answer.js";
import type { ConsulRequest } from "../../../../src/control/sources/consul/client.js";
import { ConsulWatch } from "../../../../src/control/sources/consul/watch.js";
import { ManualClock, settled } from "../../../support/manual-clock.js";

/** A request the watch has sent and that was not answered yet. */
interface Pending {
  readonly request: ConsulRequest;
  readonly atMs: number;
  readonly answer: (answer: ConsulAnswer) => void;
}

export interface HarnessOptions {
  readonly waitMs?: number;
  readonly coalesceMs?: number;
  readonly pollMs?: number;
  readonly emptyGraceMs?: number;
  readonly random?: () => number;
  readonly onValue?: (value: readonly string[]) => void;
}

/** A good answer: a list of names, an index, further headers. */
export function list(
  names: readonly string[],
  index: string | bigint,
  headers: Record<string, string> = {},
): ConsulAnswer {
  return { kind: "ok", status: 200, headers: { "x-consul-index": String(index), ...headers }, body: names };
}

export function refusal(status: number, text = "", retryAfterMs?: number): ConsulAnswer {
  return { kind: "status", status, text, retryAfterMs, message: `Consul answered ${status}: ${text}` };
}

export const cut: ConsulAnswer = { kind: "cut-short", message: "connection closed inside the answer" };

/** A watch over a request function whose every answer the test gives by hand, on a clock moved by hand. */
export class WatchHarness {
  readonly clock = new ManualClock();
  readonly sent: Pending[] = [];
  readonly values: (readonly string[])[] = [];
  readonly states: string[] = [];
  readonly watch: ConsulWatch<readonly string[]>;
  inFlightMax = 0;
  aborts = 0;
  /** Connections that closed. */
  closings = 0;
  #open = 0;

  constructor(options: HarnessOptions = {}) {
    this.watch = new ConsulWatch<readonly string[]>({
      path: "/health/service/web",
      query: { stale: "1" },
      needs: 'service:read on "web" and node:read on its nodes',
      waitMs: options.waitMs ?? 60_000,
      pollMs: options.pollMs,
      coalesceMs: options.coalesceMs ?? 100,
      emptyGraceMs: options.emptyGraceMs ?? 10_000,
      clock: this.clock,
      closings: () => this.closings,
      random: options.random ?? (() => 1),
      request: (request) => this.#accept(request),
      read: (body) => {
        if (!Array.isArray(body)) return "answer is no list";
        const names = body as string[];
        return { value: names, count: names.length, digest: names.join("|") };
      },
      onValue: (value) => {
        options.onValue?.(value);
        this.values.push(value);
      },
      onState: () => this.states.push(this.watch.report().state),
    });
  }

  #accept(request: ConsulRequest): Promise<ConsulAnswer> {
    this.#open += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.#open);
    return new Promise((resolve) => {
      const answer = (given: ConsulAnswer) => {
        this.#open -= 1;
        resolve(given);
      };
      request.signal.addEventListener("abort", () => {
        this.aborts += 1;
      });
      this.sent.push({ request, atMs: this.clock.nowMs(), answer });
    });
  }

  /** The request in flight; fails when there is none. */
  last(): Pending {
    const last = this.sent.at(-1);
    if (last === undefined) throw new Error("nothing was sent");
    return last;
  }

  async answer(given: ConsulAnswer): Promise<void> {
    this.last().answer(given);
    await settled();
  }

  /** Answers, then waits until the watch asks again; returns after how many milliseconds it did. */
  async answerAndAwaitNext(given: ConsulAnswer, limitMs = 120_000): Promise<number> {
    const before = this.sent.length;
    const startMs = this.clock.nowMs();
    await this.answer(given);
    while (this.sent.length === before) {
      if (this.clock.nowMs() - startMs > limitMs) throw new Error(`no new request within ${limitMs} ms`);
      await this.clock.advance(1);
    }
    return this.last().atMs - startMs;
  }
}

/** A watch that has the list `names` at index 10 and blocks on it. */
export async function liveWatch(
  names: readonly string[],
  options: HarnessOptions = {},
): Promise<WatchHarness> {
  const harness = new WatchHarness(options);
  harness.watch.start();
  await harness.answerAndAwaitNext(list(names, 10n));
  return harness;
}
