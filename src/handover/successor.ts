import { type ChildProcess, spawn } from "node:child_process";
import type { Clock, Timer } from "../platform/clock.js";
import {
  HANDOVER_VARIABLE,
  type HandedSocket,
  type Learnt,
  type PredecessorMessage,
  type SuccessorMessage,
} from "./message.js";

/** What a successor is started with. */
export interface SuccessorOptions {
  readonly sockets: readonly HandedSocket[];
  readonly clock: Clock;
  /** Longest wait until it has taken over. */
  readonly deadlineMs: number;
  /** What this process learnt; asked for twice, the second time with the time of the first. */
  readonly learnt: (toldMs?: number) => Learnt;
  /** Frees the addresses that two processes cannot share. */
  readonly release: () => Promise<void>;
}

/** Descriptors 0 to 2 are the standard ones, 3 is the channel. */
const FIRST_HANDED_FD = 4;

/**
 * The process that takes this one's place: the same command, with the listening sockets inherited, so that what waits
 * in their queues is lost by neither. Until it has taken over, this process serves as if nothing happened.
 */
export class Successor {
  readonly #child: ChildProcess;
  readonly #options: SuccessorOptions;
  readonly #timer: Timer;
  readonly #over: Promise<void>;
  #toldMs: number | undefined;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(options: SuccessorOptions) {
    this.#options = options;
    this.#over = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const sockets = options.sockets.filter(({ fd }) => fd >= 0);
    const handed = sockets.map((socket, index) => ({ ...socket, fd: FIRST_HANDED_FD + index }));
    const { LISTEN_PID: _pid, LISTEN_FDS: _fds, LISTEN_FDNAMES: _names, ...env } = process.env;
    this.#child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      env: { ...env, [HANDOVER_VARIABLE]: JSON.stringify(handed) },
      stdio: ["inherit", "inherit", "inherit", "ipc", ...sockets.map(({ fd }) => fd)],
    });
    this.#child.on("message", (message) => {
      this.#take(message as SuccessorMessage).catch((error: Error) => this.#fail(error));
    });
    this.#child.once("error", (error) => this.#fail(error));
    this.#child.once("exit", (code, signal) =>
      this.#fail(new Error(`it ended with ${code ?? signal} before it took over`)),
    );
    this.#timer = options.clock.after(options.deadlineMs, () => {
      this.#fail(new Error(`it did not take over within ${options.deadlineMs} ms`));
      this.#child.kill("SIGKILL");
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves once it has taken over; rejects when it came to nothing, and it is gone then. */
  takenOver(): Promise<void> {
    return this.#over;
  }

  async #take({ say }: SuccessorMessage): Promise<void> {
    switch (say) {
      case "hello":
        this.#toldMs = this.#options.clock.nowMs();
        this.#say({ say: "begin", learnt: this.#options.learnt() });
        return;
      case "serving":
        await this.#options.release();
        this.#say({ say: "released", learnt: this.#options.learnt(this.#toldMs) });
        return;
      case "settled":
        this.#timer.cancel();
        this.#child.removeAllListeners("exit");
        if (this.#child.connected) this.#child.disconnect();
        this.#child.unref();
        this.#resolve();
    }
  }

  #say(message: PredecessorMessage): void {
    if (this.#child.connected) this.#child.send(message);
  }

  #fail(error: Error): void {
    this.#timer.cancel();
    this.#reject(error);
  }
}
