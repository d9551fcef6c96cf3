import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { BackendNews, BackendOrder } from "./backend-messages.js";
import { Child } from "./child.js";
import { within } from "./deadline.js";

const PROGRAM = fileURLToPath(new URL("./backend-main.js", import.meta.url));
const START_MS = 10_000;
const END_MS = 3_000;

/** How a backend is started. */
export interface BackendOptions {
  /** Service id in the catalog. */
  readonly id: string;
  readonly service: string;
  readonly catalogUrl: string;
  /** Mean time of one request. */
  readonly workMs: number;
}

/** A backend in a process of its own, as the demo steers it. */
export class BackendProcess {
  readonly id: string;
  readonly workMs: number;
  readonly #child: Child;
  readonly #waiting = new Map<BackendNews["news"], (news: BackendNews) => void>();
  #isEnding = false;
  #firstRequestAfterMs: number | undefined;

  private constructor(child: Child, { id, workMs }: BackendOptions) {
    this.#child = child;
    this.id = id;
    this.workMs = workMs;
    child.process.on("message", (news: BackendNews) => this.#take(news));
  }

  /**
   * Resolves once the catalog has confirmed the registration; rejects with what went wrong.
   * @param onUnexpectedEnd called when it ends by itself after that
   */
  static async start(
    options: BackendOptions,
    onUnexpectedEnd: (reason: string) => void,
  ): Promise<BackendProcess> {
    const { id, service, catalogUrl, workMs } = options;
    const child = fork(PROGRAM, [id, service, catalogUrl, String(workMs)], {
      execArgv: [],
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    const backend = new BackendProcess(new Child(child), options);
    let hasStarted = false;
    const ended = backend.#child.ended.then((code) => {
      const reason = `backend ${id} ended by itself with ${code ?? "a signal"}`;
      if (hasStarted && !backend.#isEnding) onUnexpectedEnd(reason);
      throw new Error(reason);
    });
    ended.catch(() => {});
    const failed = backend.#next("failed").then((news) => {
      throw new Error(news.news === "failed" ? news.reason : "");
    });
    failed.catch(() => {});
    try {
      await within(
        Promise.race([backend.#next("registered"), failed, ended]),
        START_MS,
        `sign of backend ${id}`,
      );
      hasStarted = true;
      return backend;
    } catch (error) {
      backend.#isEnding = true;
      backend.#child.kill();
      throw error;
    }
  }

  /** Time from the moment it asked the catalog to be listed to its first request; undefined before that. */
  get firstRequestAfterMs(): number | undefined {
    return this.#firstRequestAfterMs;
  }

  /** From now on every request is answered with this status. */
  answerWith(status: number): void {
    this.#order({ order: "answer", status });
  }

  /** Leaves the catalog and serves on; resolves when the catalog has confirmed. */
  async leave(): Promise<void> {
    const left = this.#next("left");
    this.#order({ order: "leave" });
    await within(left, END_MS, `farewell of ${this.id}`);
  }

  /** Leaves the catalog if it has not, finishes what is open, ends. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#order({ order: "end" });
    await this.#child.endWithin(END_MS);
  }

  #order(order: BackendOrder): void {
    this.#child.send(order);
  }

  #next(news: BackendNews["news"]): Promise<BackendNews> {
    return new Promise((resolve) => this.#waiting.set(news, resolve));
  }

  #take(news: BackendNews): void {
    if (news.news === "first-request") this.#firstRequestAfterMs = news.afterRegistrationMs;
    this.#waiting.get(news.news)?.(news);
    this.#waiting.delete(news.news);
  }
}
