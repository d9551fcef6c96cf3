import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./promised.js";

/** Whether HAProxy is installed. */
export const hasHaproxy = spawnSync("haproxy", ["-v"]).status === 0;

/** A HAProxy for one backend named `web`, which is asked by its stats socket. */
export class HaproxyChild {
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  /** @param web the lines of its backend */
  static async start(web: readonly string[], mode: "http" | "tcp" = "http"): Promise<HaproxyChild> {
    const folder = await mkdtemp(join(tmpdir(), "haproxy-"));
    const file = join(folder, "haproxy.cfg");
    await writeFile(
      file,
      `global
  stats socket ${join(folder, "stats")} mode 600 level admin
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 5s
  timeout server 5s
backend web
${web.map((line) => `  ${line}`).join("\n")}
listen front
  bind unix@${join(folder, "front")}
  use_backend web
`,
    );
    return new HaproxyChild(spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" }), folder);
  }

  /** Waits until it can be asked. */
  async ready(): Promise<void> {
    const isReady = () =>
      this.ask("show info").then(
        () => true,
        () => false,
      );
    await until(isReady, 20_000, "HAProxy's stats socket");
  }

  /** Path of the socket where clients of `web` are served. */
  get front(): string {
    return join(this.#folder, "front");
  }

  /** Its answer to one command. */
  async ask(command: string): Promise<string> {
    const socket = connect(join(this.#folder, "stats")).setEncoding("latin1");
    let answer = "";
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.end(`${command}\n`);
    await once(socket, "close");
    return answer;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill();
    await ended;
    await rm(this.#folder, { recursive: true });
  }
}
