import { letYoungHeapGrow } from "../platform/young-heap.js";
import { EXIT_CODE } from "./exit-code.js";
import { describeFailure } from "./failure.js";
import type { Terminal } from "./terminal.js";

/** What `run` needs of the program it runs. */
export interface RunnableApp {
  /** Resolves once listeners are open; rejects with what stood in the way. */
  start(): Promise<void>;
  /** Drains and stops; resolves when all is closed. May be called while `start` is still under way. */
  stop(reason: string): Promise<void>;
  /** SIGHUP. */
  reload(): void;
  /** SIGUSR2: another process takes this one's place. */
  restart(): void;
  /** Everything is cut, at once. */
  abort(): void;
}

/**
 * Starts the program and carries the signals to it until it has ended: SIGTERM and SIGINT drain, a second one cuts,
 * SIGHUP reloads, SIGUSR2 restarts. Answers the exit code; never rejects.
 */
export function supervise(app: RunnableApp, terminal: Terminal): Promise<number> {
  return new Promise((resolve) => {
    let isStopping = false;
    const end = (code: number): void => {
      for (const signal of ["SIGTERM", "SIGINT"]) terminal.signals.off(signal, onStop);
      terminal.signals.off("SIGHUP", onReload);
      terminal.signals.off("SIGUSR2", onRestart);
      resolve(code);
    };
    const fail = (error: unknown): void => {
      terminal.complain(`pilotfish: ${describeFailure(error)}`);
      app.abort();
      end(EXIT_CODE.failure);
    };
    const onStop = (signal: string): void => {
      if (isStopping) {
        terminal.complain(`pilotfish: ${signal} again, ending at once`);
        app.abort();
        end(EXIT_CODE.failure);
        return;
      }
      isStopping = true;
      app.stop(signal).then(() => end(EXIT_CODE.ok), fail);
    };
    const onReload = (): void => app.reload();
    const onRestart = (): void => app.restart();
    for (const signal of ["SIGTERM", "SIGINT"]) terminal.signals.on(signal, onStop);
    terminal.signals.on("SIGHUP", onReload);
    terminal.signals.on("SIGUSR2", onRestart);
    // A start that was interrupted by a stop may fail in any way; the stop tells how it ended.
    app.start().then(letYoungHeapGrow, (error: unknown) => {
      if (!isStopping) fail(error);
    });
  });
}
