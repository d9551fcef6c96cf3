import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nextMessage, startChild, stopChild } from "./children.js";
import type { LoadAnswer, LoadJob } from "./load/job.js";
import type { Peer, RunningPeer } from "./peers/peer.js";

/** The processes around the proxies: load generator, backends and log receiver, and a directory for what they write. */
export class Harness {
  readonly directory = mkdtempSync(join(tmpdir(), "pilotfish-bench-"));
  readonly #children: ChildProcess[] = [];
  #load: ChildProcess | undefined;
  httpBackends: readonly number[] = [];
  #echoBackends: readonly number[] = [];
  #datagramPort = 0;
  #started = 0;

  /** Starts everything that is not a proxy. */
  async start(): Promise<void> {
    this.#load = await this.#program("load/main.ts").then(({ child }) => child);
    const backends = await this.#program("backend/main.ts");
    this.httpBackends = backends.ready.http as number[];
    this.#echoBackends = backends.ready.echo as number[];
    const receiver = await this.#program("log-receiver.ts", join(this.directory, "datagrams.log"));
    this.#datagramPort = Number(receiver.ready.port);
  }

  /**
   * Starts a proxy in a directory of its own. The caller stops it, or `stop` does at the end.
   *
   * @param endpointsFile names the HTTP backends instead of the configuration; pilotfish alone watches one
   */
  async startPeer(peer: Peer, logs: boolean, endpointsFile?: string): Promise<RunningPeer> {
    this.#started += 1;
    const directory = join(this.directory, `${peer.name}-${this.#started}`);
    mkdirSync(directory);
    const running = await peer.start({
      directory,
      httpBackends: this.httpBackends,
      endpointsFile,
      echoBackends: this.#echoBackends,
      accessLog: logs ? { file: join(directory, "access.log"), datagramPort: this.#datagramPort } : undefined,
    });
    this.#children.push(running.child);
    return running;
  }

  /** Hands the load generator one job and waits for its answer (undefined for one without). */
  async load(job: LoadJob): Promise<LoadAnswer | undefined> {
    if (this.#load === undefined) throw new Error("not started");
    const answered = nextMessage(this.#load);
    this.#load.send(job);
    const message = await answered;
    if (message.failure !== undefined) throw new Error(`load generator: ${String(message.failure)}`);
    return message.answer as LoadAnswer | undefined;
  }

  /** Ends all processes this harness started and removes what they wrote. */
  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => stopChild(child)));
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #program(
    file: string,
    ...args: string[]
  ): Promise<{ child: ChildProcess; ready: Readonly<Record<string, unknown>> }> {
    const child = startChild({
      place: "load",
      command: process.execPath,
      args: ["--import", "tsx", fileURLToPath(new URL(file, import.meta.url)), ...args],
      outputFile: join(this.directory, "programs.output"),
      channel: true,
    });
    this.#children.push(child);
    return { child, ready: await nextMessage(child) };
  }
}
