import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { atExit } from "./at-exit.js";

const program = fileURLToPath(new URL("backend-process-program.mjs", import.meta.url));

/** How it answers from now on. */
export interface BackendBehaviour {
  /** `hang` reads requests and never answers, `reset` resets their connections; both hold for `/status` too. Default `serve`. */
  readonly mode?: "serve" | "hang" | "reset";
  /** Whether new connections are refused and the open ones were cut. Default false. */
  readonly isRefusing?: boolean;
  /** Before every answer. Default 0. */
  readonly delayMs?: number;
  /** Of every answer but that of `/status`. Default 200. */
  readonly status?: number;
  /** Of `/status`. Default 200. */
  readonly healthStatus?: number;
  /** Answers as gRPC without a body, with this status in the head. */
  readonly grpcStatus?: string;
  /** A connection at rest for so long after an answer is reset; 0 for never. Default 0. */
  readonly resetIdleMs?: number;
}

/** Where a backend listens. */
export interface BackendPorts {
  /** How many HTTP ports, or which ones. Default one that is free. */
  readonly ports?: number | readonly number[];
  /** A port that sends back what it gets; 0 for one that is free. Default none. */
  readonly echoPort?: number;
}

/** What it counted since it was started. */
export interface BackendCounts {
  readonly executed: number;
  /** Handed to the system by `/bytes`. */
  readonly bytesSent: number;
  /** Requests and answers that were not whole when their connection went. */
  readonly cutShort: number;
  readonly open: number;
  readonly connections: number;
}

interface Message {
  readonly ports?: readonly number[];
  readonly echoPort?: number;
  readonly first?: number;
  readonly atNs?: string;
  readonly report?: string;
  readonly counts?: BackendCounts;
  readonly changedMs?: number;
}

/** A backend in a process of its own, which can be stopped, killed and asked what it did. */
export class BackendProcess {
  readonly id: string;
  readonly ports: readonly number[];
  /** 0 where it has none. */
  readonly echoPort: number;
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;
  readonly #recordFile: string;
  readonly #firsts = new Map<number, bigint>();
  readonly #waiting = new Map<string | number, () => void>();
  readonly #forgetExit = atExit(() => this.#child.kill("SIGKILL"));
  #counts: BackendCounts | undefined;
  #changedMs = 0;

  private constructor(id: string, child: ChildProcess, recordFile: string, started: Message) {
    this.id = id;
    this.ports = started.ports ?? [];
    this.echoPort = started.echoPort ?? 0;
    this.#child = child;
    this.#recordFile = recordFile;
    this.ended = new Promise((resolve) => child.once("exit", resolve));
    child.on("message", (message: Message) => this.#take(message));
  }

  /** @param folder for its record; the caller removes it */
  static async start(id: string, folder: string, options: BackendPorts = {}): Promise<BackendProcess> {
    const { ports = 1, echoPort } = options;
    const wanted = { ports: typeof ports === "number" ? new Array(ports).fill(0) : ports, echoPort };
    const recordFile = join(folder, `${id}-${randomUUID()}.log`);
    const child = fork(program, [id, recordFile, JSON.stringify(wanted)], {
      execPath: process.execPath,
      execArgv: [],
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    const started = await new Promise<Message>((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`backend ${id} ended at once with ${code}`)));
    });
    return new BackendProcess(id, child, recordFile, started);
  }

  get port(): number {
    return this.ports[0] ?? 0;
  }

  set(behaviour: BackendBehaviour): void {
    this.#child.send({ set: behaviour });
  }

  /** As `set`; resolves with the moment from which it holds, in milliseconds since the Unix epoch with fractions. */
  async change(behaviour: BackendBehaviour): Promise<number> {
    const report = randomUUID();
    const answered = this.#wait(report);
    this.#child.send({ set: behaviour, report });
    await answered;
    return this.#changedMs;
  }

  /** Lets the requests to `/hold` be answered. */
  release(): void {
    this.#child.send({ release: true });
  }

  async counts(): Promise<BackendCounts> {
    const report = randomUUID();
    const answered = this.#wait(report);
    this.#child.send({ report });
    await answered;
    if (this.#counts === undefined) throw new Error("no counts");
    return this.#counts;
  }

  /** When a port took its first request, by `process.hrtime.bigint`, which all processes of a machine share. */
  async firstRequestNs(port: number): Promise<bigint> {
    if (!this.#firsts.has(port)) await this.#wait(port);
    return this.#firsts.get(port) ?? 0n;
  }

  /** What it executed, also after its end. */
  record(): BackendRecord {
    return readRecord(readFileSync(this.#recordFile, "utf8"));
  }

  kill(signal: NodeJS.Signals = "SIGKILL"): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    await this.ended;
    this.#forgetExit();
  }

  #wait(key: string | number): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(key, resolve));
  }

  #take({ first, atNs, report, counts, changedMs }: Message): void {
    if (first !== undefined) this.#firsts.set(first, BigInt(atNs ?? 0));
    if (counts !== undefined) this.#counts = counts;
    if (changedMs !== undefined) this.#changedMs = changedMs;
    const key = first ?? report;
    if (key === undefined) return;
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
  }
}

/** The executed requests of one backend. */
export interface BackendRecord {
  /** Every execution in order: an id that stands here twice was executed twice. */
  readonly executed: readonly { readonly id: string; readonly method: string }[];
  /** Ids that were executed and not answered. */
  readonly unanswered: ReadonlySet<string>;
}

function readRecord(text: string): BackendRecord {
  const executed: { id: string; method: string }[] = [];
  const unanswered = new Set<string>();
  for (const line of text.split("\n")) {
    const [kind, id = "", method = ""] = line.split(" ");
    if (kind === "begin") {
      executed.push({ id, method });
      unanswered.add(id);
    } else if (kind === "end") {
      unanswered.delete(id);
    }
  }
  return { executed, unanswered };
}

/** How often each id was executed by all of them together. */
export function executions(backends: readonly BackendProcess[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const backend of backends)
    for (const { id } of backend.record().executed) times.set(id, (times.get(id) ?? 0) + 1);
  return times;
}
