import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { promised } from "./promised.js";

// The program itself and not its launcher, which would outlive a kill of its child.
const buf = createRequire(import.meta.url).resolve(
  `@bufbuild/buf-${process.platform}-${process.arch}/bin/buf`,
);
const CALL_MS = 15_000;

export type Json = Readonly<Record<string, unknown>>;

/** The full name of the service. */
export const ADMIN = "pilotfish.admin.v1.Admin";

/** How a run of the client ended. */
export interface Ended {
  /** 0 when the server answered well. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Arguments of the client for a plain connection. */
export function plain(...args: readonly string[]): string[] {
  return ["curl", "--http2-prior-knowledge", "--protocol", "grpc", ...args];
}

/** Runs the client to its end. */
export function runClient(args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(buf, args, { timeout: CALL_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

function argumentsOf(address: string, method: string, request: Json): string[] {
  return plain("-d", JSON.stringify(request), `http://${address}/${ADMIN}/${method}`);
}

/** Calls the admin API by a client that knows it only by reflection. Rejects with the refusal. */
export async function callAdmin(address: string, method: string, request: Json = {}): Promise<Json> {
  const { code, stdout, stderr } = await runClient(argumentsOf(address, method, request));
  if (code !== 0 || stderr !== "") throw new Error(`${method}: ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Json;
}

/** The status and words with which the admin API refuses a call. Rejects when it does not. */
export async function refusalOf(address: string, method: string, request: Json = {}): Promise<Json> {
  const { code, stdout, stderr } = await runClient(argumentsOf(address, method, request));
  if (code === 0) throw new Error(`${method} was not refused: ${stdout}`);
  return JSON.parse(stderr) as Json;
}

/** A call of the same client whose answers are read one by one. */
export class AdminStream {
  readonly #child: ChildProcess;
  readonly #messages: Json[] = [];
  readonly #ended: Promise<number | null>;
  #text = "";
  #complaints = "";
  #onNews: (() => void) | undefined;
  #isOver = false;

  constructor(address: string, method: string, request: Json = {}) {
    this.#child = spawn(buf, argumentsOf(address, method, request));
    this.#child.stdout?.on("data", (chunk: Buffer) => this.#read(chunk.toString()));
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#complaints += chunk.toString();
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code) => {
        this.#isOver = true;
        resolve(code);
        this.#onNews?.();
      });
    });
  }

  /** The next message. Rejects when the stream ends before. */
  next(): Promise<Json> {
    return this.until(() => true);
  }

  /** The first message that passes. Rejects when the stream ends before. */
  until(passes: (message: Json) => boolean, withinMs = CALL_MS): Promise<Json> {
    return promised(this.#until(passes), withinMs, "a message of the admin API");
  }

  /** The client's exit code: 0 when the server ended the stream well. */
  ended(): Promise<number | null> {
    return promised(this.#ended, CALL_MS, "the end of a stream of the admin API");
  }

  async stop(): Promise<void> {
    this.#child.kill();
    await this.#ended;
  }

  async #until(passes: (message: Json) => boolean): Promise<Json> {
    for (;;) {
      for (let next = this.#messages.shift(); next !== undefined; next = this.#messages.shift())
        if (passes(next)) return next;
      if (this.#isOver) throw new Error(`the stream ended before: ${this.#complaints}`);
      await new Promise<void>((resolve) => {
        this.#onNews = resolve;
      });
    }
  }

  #read(text: string): void {
    this.#text += text;
    // Messages come as indented objects, so that only the last line of each is a lone brace.
    for (let end = this.#text.indexOf("\n}\n"); end >= 0; end = this.#text.indexOf("\n}\n")) {
      this.#messages.push(JSON.parse(this.#text.slice(0, end + 2)) as Json);
      this.#text = this.#text.slice(end + 3);
    }
    this.#onNews?.();
  }
}
