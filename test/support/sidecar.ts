import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { atExit } from "./at-exit.js";
import { promised, until } from "./promised.js";

/** The compiled program; PILOTFISH_MAIN names another build of it. */
const main = process.env.PILOTFISH_MAIN ?? fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

/** One line of its log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Longest wait for what a sidecar should do soon. */
const SOON_MS = 15_000;
/** Longest wait for a process to start, which loads the whole program first. */
const START_MS = 30_000;

/** The program in a process of its own, run as a person would run it: `pilotfish run -c FILE`. */
export class Sidecar {
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly log: LogLine[] = [];
  /** What it wrote that was no line of the log, and what it complained of. */
  complaints = "";
  readonly #child: ChildProcess;
  readonly #forgetExit = atExit(() => this.#killAll());
  #isOver = false;
  #text = "";

  private constructor(
    child: ChildProcess,
    /** Its configuration. */
    readonly file: string,
  ) {
    this.#child = child;
    child.stdout?.on("data", (chunk: Buffer) => this.#read(chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => {
      this.complaints += chunk.toString();
    });
    this.ended = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#isOver = true;
        resolve({ code, signal });
      });
    });
  }

  /**
   * Writes the file and starts; does not wait. Descriptors that are given are those from 3 on, as a service manager
   * passes them. Admin addresses are added to what the configuration says.
   */
  static async launch(config: object, folder: string, given: readonly number[] = []): Promise<Sidecar> {
    if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
    const file = join(folder, `pilotfish-${randomUUID()}.yaml`);
    await writeFile(file, Sidecar.text(config));
    // The Consul of whoever runs the tests is none of theirs.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.startsWith("CONSUL_")),
    );
    return new Sidecar(
      spawn(process.execPath, [main, "run", "-c", file], {
        env,
        stdio: ["ignore", "pipe", "pipe", ...given],
      }),
      file,
    );
  }

  /** A configuration as a file; admin addresses are added to what it says. */
  static text(config: object): string {
    return stringify({
      version: 1,
      log: { level: "info", access: { format: "off" } },
      admin: { grpc: "127.0.0.1:0", http: "127.0.0.1:0" },
      ...config,
    });
  }

  /** Starts and waits until it is ready. */
  static async start(config: object, folder: string): Promise<Sidecar> {
    const sidecar = await Sidecar.launch(config, folder);
    await sidecar.ready();
    return sidecar;
  }

  /** Of the process that serves now: the last one that took over. */
  get pid(): number {
    const ready = this.log.filter(({ msg, state }) => msg === "state changed" && state === "ready");
    return Number(ready.at(-1)?.pid ?? this.#child.pid ?? -1);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  async ready(): Promise<void> {
    await this.line((line) => line.msg === "state changed" && line.state === "ready", START_MS);
  }

  /** The first line of the log that passes, there already or to come. */
  async line(passes: (line: LogLine) => boolean, withinMs = SOON_MS): Promise<LogLine> {
    const found = () => this.log.find(passes);
    await until(() => found() !== undefined || this.#isOver, withinMs, "a line of the log");
    const line = found();
    if (line === undefined) throw new Error(`the sidecar ended:\n${this.complaints}${this.#text}`);
    return line;
  }

  /** Where a listener listens; the only one without a name. */
  port(name?: string): number {
    const line = this.log.find(
      (each) => each.msg === "listening" && (name === undefined || each.listener === name),
    );
    return portOf(Array.isArray(line?.addresses) ? String(line.addresses[0]) : "");
  }

  /** `host:port` of the admin API. */
  get grpc(): string {
    return String(this.log.findLast(({ msg }) => msg === "admin grpc listening")?.address);
  }

  /** `host:port` of health, readiness and metrics. */
  get http(): string {
    return String(this.log.findLast(({ msg }) => msg === "admin http listening")?.address);
  }

  /** Status of `/readyz`; 0 when nobody answers. */
  async readiness(): Promise<number> {
    return fetch(`http://${this.http}/readyz`).then(
      async (response) => {
        await response.text();
        return response.status;
      },
      () => 0,
    );
  }

  /** Value of a metric, the sum over its labels; only lines that hold `labels`. */
  async metric(name: string, labels = ""): Promise<number> {
    const text = await (await fetch(`http://${this.http}/metrics`)).text();
    const lines = text
      .split("\n")
      .filter(
        (line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && line.includes(labels),
      );
    if (lines.length === 0) throw new Error(`no metric ${name} with ${labels}`);
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  /** Resident memory in MiB. */
  rssMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Another process takes over; resolves once it has, and the one before has ended. */
  async restart(): Promise<void> {
    const { pid } = this;
    this.signal("SIGUSR2");
    await until(() => this.pid !== pid || this.#isOver, START_MS, "another process");
    await this.line((line) => line.pid === pid && line.msg === "stopped");
  }

  /** Its exit code, or the signal that ended it. */
  async end(withinMs = SOON_MS): Promise<number | NodeJS.Signals | null> {
    const { code, signal } = await promised(this.ended, withinMs, "the end of the sidecar");
    return code ?? signal;
  }

  async stop(): Promise<void> {
    // One that was frozen must wake to be ended.
    if (!this.#isOver) this.#killAll();
    await this.ended;
    this.#forgetExit();
  }

  /** Those that took over too: they are no children of ours. */
  #killAll(): void {
    this.#child.kill("SIGKILL");
    const own = this.#child.pid;
    for (const pid of new Set(this.log.map((line) => Number(line.pid)))) {
      if (pid === own || this.log.some((line) => line.pid === pid && line.msg === "stopped")) continue;
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }

  #read(text: string): void {
    this.#text += text;
    const lines = this.#text.split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      try {
        this.log.push(JSON.parse(line) as LogLine);
      } catch {
        this.complaints += `${line}\n`;
      }
    }
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
