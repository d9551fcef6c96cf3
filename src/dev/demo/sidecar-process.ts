import { fork } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Child } from "./child.js";
import { within } from "./deadline.js";
import { preferPort } from "./free-port.js";
import { sidecarConfig } from "./sidecar-config.js";

/** Preloaded, so that the sidecar ends with the demo however the demo ends. */
const END_WITH_PARENT = new URL("./end-with-parent.js", import.meta.url).href;
const PREFERRED = { front: 8_080, grpc: 7_070, http: 7_080 } as const;
const START_MS = 20_000;
const END_MS = 10_000;
/** Lines of the log that are kept to explain a failure. */
const LAST_LINES = 8;

/** Where a sidecar is reached, `host:port` each. */
export interface SidecarAddresses {
  readonly front: string;
  readonly grpc: string;
  readonly http: string;
}

/** How the sidecar is started. */
export interface SidecarOptions {
  /** Takes the configuration and the log; the caller removes it. */
  readonly folder: string;
  readonly catalogUrl: string;
  readonly service: string;
}

/** The real program, `pilotfish run -c FILE`, in a process of its own. */
export class SidecarProcess {
  readonly configFile: string;
  readonly logFile: string;
  readonly #child: Child;
  readonly #log: WriteStream;
  readonly #lastLines: string[] = [];
  readonly #ready: Promise<SidecarAddresses>;
  #isEnding = false;
  #text = "";

  private constructor(child: Child, configFile: string, logFile: string) {
    this.#child = child;
    this.configFile = configFile;
    this.logFile = logFile;
    this.#log = createWriteStream(logFile);
    // The log is a courtesy: a full disk must not end the demo.
    this.#log.on("error", () => {});
    this.#ready = new Promise((resolve) => {
      const seen = new Map<string, string>();
      child.process.stdout?.on("data", (chunk: Buffer) =>
        this.#read(chunk.toString(), (line) => {
          const addresses = follow(line, seen);
          if (addresses !== undefined) resolve(addresses);
        }),
      );
    });
    child.process.stderr?.on("data", (chunk: Buffer) => this.#keep(chunk.toString().trimEnd()));
  }

  /**
   * Resolves when its listeners are open; rejects with what it complained of.
   * @param onUnexpectedEnd called when it ends by itself after that
   */
  static async start(
    options: SidecarOptions,
    onUnexpectedEnd: (reason: string) => void,
  ): Promise<{ readonly sidecar: SidecarProcess; readonly addresses: SidecarAddresses }> {
    const configFile = join(options.folder, "pilotfish.yaml");
    const [frontPort, grpcPort, httpPort] = await Promise.all([
      preferPort(PREFERRED.front),
      preferPort(PREFERRED.grpc),
      preferPort(PREFERRED.http),
    ]);
    await writeFile(configFile, sidecarConfig({ ...options, frontPort, grpcPort, httpPort }));
    const sidecar = new SidecarProcess(launch(configFile), configFile, join(options.folder, "sidecar.log"));
    let hasStarted = false;
    const ended = sidecar.#child.ended.then((code) => {
      const reason = `the sidecar ended by itself with ${code ?? "a signal"}${sidecar.#complaints()}`;
      if (hasStarted && !sidecar.#isEnding) onUnexpectedEnd(reason);
      throw new Error(reason);
    });
    ended.catch(() => {});
    try {
      const addresses = await within(Promise.race([sidecar.#ready, ended]), START_MS, "sign of the sidecar");
      hasStarted = true;
      return { sidecar, addresses };
    } catch (error) {
      sidecar.#isEnding = true;
      sidecar.#child.kill();
      throw error;
    }
  }

  get pid(): number {
    return this.#child.process.pid ?? 0;
  }

  get isOver(): boolean {
    return this.#child.isOver;
  }

  /** SIGTERM. Answers its exit code, undefined when it had to be killed. */
  async stop(): Promise<number | undefined> {
    this.#isEnding = true;
    if (!this.#child.isOver) this.#child.process.kill("SIGTERM");
    const code = await this.#child.endWithin(END_MS);
    await new Promise<void>((resolve) => this.#log.end(resolve));
    return code;
  }

  #read(text: string, onLine: (line: string) => void): void {
    const lines = (this.#text + text).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      this.#keep(line);
      onLine(line);
    }
  }

  #keep(line: string): void {
    this.#log.write(`${line}\n`);
    this.#lastLines.push(line);
    if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
  }

  #complaints(): string {
    return this.#lastLines.map((line) => `\n  ${line}`).join("");
  }
}

function launch(configFile: string): Child {
  // The program that is running already; the Consul of whoever looks on is none of the demo's.
  const main = process.argv[1] ?? "";
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CONSUL_")));
  const child = fork(main, ["run", "-c", configFile], {
    env,
    execArgv: ["--import", END_WITH_PARENT],
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  return new Child(child);
}

interface LogLine {
  readonly msg?: string;
  readonly state?: string;
  readonly listener?: string;
  readonly address?: string;
  readonly addresses?: readonly string[];
}

/** Gathers addresses from the log; answers them when the program says that it is ready. */
function follow(line: string, seen: Map<string, string>): SidecarAddresses | undefined {
  let entry: LogLine;
  try {
    entry = JSON.parse(line) as LogLine;
  } catch {
    return undefined;
  }
  if (entry.msg === "admin grpc listening") seen.set("grpc", entry.address ?? "");
  if (entry.msg === "admin http listening") seen.set("http", entry.address ?? "");
  if (entry.msg === "listening") seen.set(entry.listener ?? "", entry.addresses?.[0] ?? "");
  if (entry.msg !== "state changed" || entry.state !== "ready") return undefined;
  return { front: seen.get("front") ?? "", grpc: seen.get("grpc") ?? "", http: seen.get("http") ?? "" };
}
