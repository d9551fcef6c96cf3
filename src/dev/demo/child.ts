import type { ChildProcess } from "node:child_process";

/**
 * A child that is ended with its parent. Children live in a process group of their own, so that a Ctrl-C in the
 * terminal reaches the demo alone, which ends them in order.
 */
export class Child {
  readonly process: ChildProcess;
  /** Never rejects. Resolves with the exit code, or undefined when a signal ended it. */
  readonly ended: Promise<number | undefined>;
  readonly #killAtExit = (): void => this.kill();
  #isOver = false;

  constructor(child: ChildProcess) {
    this.process = child;
    process.on("exit", this.#killAtExit);
    // A message may meet a child that has just ended: its end is told by `ended`.
    child.on("error", () => {});
    this.ended = new Promise((resolve) => {
      child.once("close", (code) => {
        this.#isOver = true;
        process.off("exit", this.#killAtExit);
        resolve(code ?? undefined);
      });
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nothing happens when it has ended. */
  send(message: object): void {
    if (this.process.connected) this.process.send(message, () => {});
  }

  /** Waits for the end that was asked for, not for ever. */
  async endWithin(limitMs: number): Promise<number | undefined> {
    const timer = setTimeout(() => this.kill(), limitMs);
    const code = await this.ended;
    clearTimeout(timer);
    return code;
  }

  kill(): void {
    if (!this.#isOver) this.process.kill("SIGKILL");
  }
}
