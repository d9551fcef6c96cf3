import type { Clock } from "../platform/clock.js";
import type { Log } from "../platform/log.js";
import type { HandedSocket, Learnt } from "./message.js";
import { Successor } from "./successor.js";
import { notifySystemd } from "./systemd.js";

/** The running program, as far as another process takes its place. */
export interface Restartable {
  /** In words why it cannot be replaced now; undefined where it can. */
  readonly obstacle: () => string | undefined;
  readonly sockets: () => readonly HandedSocket[];
  /** What the other process is told of what this one learnt; of large things only what changed since it was told before. */
  readonly learnt: (toldMs?: number) => Learnt;
  /** Longest wait for the other process. */
  readonly deadlineMs: () => number;
  /** Takes calls on the admin addresses no more. */
  readonly release: () => Promise<void>;
  /** It came to nothing after `release`. */
  readonly resume: () => Promise<void>;
  /** The other process serves: finish what is open and end. */
  readonly succeeded: () => void;
}

/** Puts another process in this one's place, once. Whatever goes wrong, this one serves on. */
export class Restarter {
  readonly #program: Restartable;
  readonly #clock: Clock;
  readonly #log: Log;
  #isUnderWay = false;
  #isReleased = false;

  constructor(program: Restartable, clock: Clock, log: Log) {
    this.#program = program;
    this.#clock = clock;
    this.#log = log;
  }

  /** Begins, and answers nothing: the log tells what comes of it. */
  restart(): void {
    const reason = this.#obstacle();
    if (reason !== undefined) {
      this.#log.warn({ reason }, "restart not possible now");
      return;
    }
    this.#isUnderWay = true;
    this.#isReleased = false;
    this.#handOver()
      .then(
        () => this.#program.succeeded(),
        async (error: unknown) => {
          this.#log.error({ err: error }, "restart failed, serving on");
          if (this.#isReleased) await this.#program.resume();
          this.#isUnderWay = false;
        },
      )
      .catch((error: unknown) => this.#log.error({ err: error }, "admin not reopened"));
  }

  #obstacle(): string | undefined {
    if (this.#isUnderWay) return "a restart is under way";
    if (process.pid === 1) return "the first process of a container cannot be replaced";
    return this.#program.obstacle();
  }

  async #handOver(): Promise<void> {
    const { sockets, learnt, deadlineMs, release } = this.#program;
    const successor = new Successor({
      sockets: sockets(),
      clock: this.#clock,
      deadlineMs: deadlineMs(),
      learnt,
      release: () => {
        this.#isReleased = true;
        return release();
      },
    });
    this.#log.info({ successor: successor.pid }, "restarting, another process takes over");
    await successor.takenOver();
    await notifySystemd(`MAINPID=${successor.pid}`);
  }
}
