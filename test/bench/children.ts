/** Starts the processes of a benchmark on their cores and ends exactly those. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { connect, createServer } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

const STOP_MS = 3_000;
const READY_MS = 15_000;
/** Below the ports the kernel takes for outgoing connections, so that no client can sit on one meanwhile. */
const FIRST_PORT = 15_000;
const LAST_PORT = 30_000;

/** `proxy` has core 0 to itself; everything else shares the others. */
export type Place = "proxy" | "load";

/** Whether processes are bound to cores: needs `taskset` and two cores. */
export const isPinned = availableParallelism() >= 2 && spawnSync("taskset", ["-V"]).status === 0;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  // Asked, not killed: a killed nginx leaves its worker behind.
  for (const child of running) child.kill("SIGTERM");
});

export interface ChildOptions {
  readonly place: Place;
  readonly command: string;
  readonly args: readonly string[];
  /** File that takes standard output and error. */
  readonly outputFile: string;
  /** Opens a message channel (Node programs only). */
  readonly channel: boolean;
  readonly cwd?: string;
}

/** Starts one process. Its pid is the program's own, since `taskset` replaces itself. */
export function startChild(options: ChildOptions): ChildProcess {
  const cores = options.place === "proxy" ? "0" : `1-${availableParallelism() - 1}`;
  const command = isPinned ? "taskset" : options.command;
  const args = isPinned ? ["-c", cores, options.command, ...options.args] : options.args;
  const output = openSync(options.outputFile, "a");
  const child = spawn(command, args, {
    cwd: options.cwd,
    // Keeps NaN, which JSON turns into null.
    serialization: "advanced",
    stdio: options.channel ? ["ignore", output, output, "ipc"] : ["ignore", output, output],
  });
  closeSync(output);
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", () => running.delete(child));
  return child;
}

/** Asks a process to end and makes it end after three seconds. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** The next message of a child; rejects when it ends first. */
export function nextMessage(child: ChildProcess): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown): void => {
      child.off("exit", onExit);
      resolve(message as Readonly<Record<string, unknown>>);
    };
    const onExit = (code: number | null): void => {
      child.off("message", onMessage);
      reject(new Error(`process ended with code ${code} before it answered`));
    };
    child.once("message", onMessage);
    child.once("exit", onExit);
  });
}

/** Waits until a TCP port accepts connections. Rejects when the process ends first or takes over 15 seconds. */
export async function portOpen(port: number, child: ChildProcess): Promise<void> {
  const deadlineMs = performance.now() + READY_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("ended at start");
    if (performance.now() > deadlineMs) throw new Error(`port ${port} is not open after ${READY_MS} ms`);
    await sleep(50);
  }
}

/** Ports that were free a moment ago, for programs that cannot choose their own. */
export async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
