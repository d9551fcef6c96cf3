import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";

/** The compiled program; PILOTFISH_MAIN names another build of it. */
const main = process.env.PILOTFISH_MAIN ?? fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** The story takes less than 40 seconds where nothing else runs. */
const STORY_MS = 120_000;

/** The demo as a script would run it: its output is no terminal. */
class Demo {
  output = "";
  readonly ended: Promise<number | null>;
  readonly child: ChildProcess;
  #onNews: (() => void) | undefined;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
    this.child = spawn(process.execPath, [main, "demo", ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
        this.#onNews?.();
      });
    this.ended = new Promise((resolve) => this.child.once("close", (code) => resolve(code)));
  }

  /** Resolves once the output matches; rejects when it ends before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const over = this.ended.then(() => true);
    for (;;) {
      const found = pattern.exec(this.output);
      if (found !== null) return found;
      const news = new Promise<false>((resolve) => {
        this.#onNews = () => resolve(false);
      });
      if (await Promise.race([news, over]))
        throw new Error(`the demo ended before ${pattern}:\n${this.output}`);
    }
  }
}

/** Whether anybody listens there. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Where the parts of the demo were, by its own word. */
function placesIn(output: string): {
  readonly ports: number[];
  readonly configFile: string;
  readonly pid: number;
} {
  const ports = [
    /catalog +http:\S+:(\d+)/,
    /sidecar +http:\S+:(\d+)/,
    /gRPC \S+:(\d+)/,
    /metrics http:[^:]+:(\d+)/,
  ];
  return {
    ports: ports.map((pattern) => Number(pattern.exec(output)?.[1])),
    configFile: /config (\S+)/.exec(output)?.[1] ?? "",
    pid: Number(/pid (\d+)/.exec(output)?.[1]),
  };
}

describe("the demo", () => {
  let demo: Demo | undefined;

  afterEach(async () => {
    demo?.child.kill("SIGKILL");
    await demo?.ended;
  });

  it(
    "tells its story, judges each step and leaves nothing behind",
    async () => {
      demo = new Demo(["--once"]);
      const code = await demo.ended;
      const { output } = demo;
      expect(code, output).toBe(0);
      for (const line of [
        /ok +web1, web2, web3 started and in the catalog/,
        /ok +sidecar ready .*3 of 3 backends take work/,
        /ok +\d+ requests: web1 \d+%, web2 \d+%, web3 \(slower\) \d+%; none failed/,
        /ok +web2 ejected after \d+ failures in \S+ m?s \(consecutive-5xx\); none since/,
        /ok +web2 back after .* out, took \d+ requests? since; none failed/,
        /ok +web3 drained: \d+ in flight, 0 after .*, 0 taken since; none failed/,
        /ok +web3 left: out of the pool after .*; none failed/,
        /ok +web4 took its first request .* after it registered; none failed/,
        /ok +catalog away .* last good list kept: \d+ requests, none failed/,
        /ok +all 3 registered again, list live after .*; none failed/,
        /ok +\d+ requests in all, failed: \d+ x 500 from web2$/m,
        /^verdict: all 11 steps as they should be, ended cleanly/m,
      ])
        expect(output).toMatch(line);
      // A file is no terminal.
      expect(output).not.toContain("\u001b");
      const { ports, configFile, pid } = placesIn(output);
      expect(await Promise.all(ports.map(answers))).toEqual([false, false, false, false]);
      expect(configFile).not.toBe("");
      expect(existsSync(configFile)).toBe(false);
      expect(isAlive(pid)).toBe(false);
    },
    STORY_MS,
  );

  it(
    "ends cleanly on Ctrl-C in the middle of the story",
    async () => {
      demo = new Demo([]);
      await demo.until(/traffic flows/);
      const { ports, configFile, pid } = placesIn(demo.output);
      expect(await Promise.all(ports.map(answers))).toEqual([true, true, true, true]);
      expect(existsSync(configFile)).toBe(true);
      // Under npm one Ctrl-C comes twice.
      demo.child.kill("SIGINT");
      demo.child.kill("SIGINT");
      expect(await demo.ended, demo.output).toBe(0);
      expect(demo.output).toMatch(/^interrupted after \d+ s, ended cleanly$/m);
      expect(await Promise.all(ports.map(answers))).toEqual([false, false, false, false]);
      expect(existsSync(configFile)).toBe(false);
      expect(isAlive(pid)).toBe(false);
    },
    STORY_MS,
  );

  it(
    "says what broke when a part of it is lost, and fails",
    async () => {
      demo = new Demo(["--once"]);
      await demo.until(/traffic flows/);
      const { ports, configFile, pid } = placesIn(demo.output);
      process.kill(pid, "SIGKILL");
      expect(await demo.ended, demo.output).toBe(1);
      expect(demo.output).toMatch(/the sidecar ended by itself with a signal/);
      expect(demo.output).toMatch(/^verdict: the demo broke off$/m);
      expect(await Promise.all(ports.map(answers))).toEqual([false, false, false, false]);
      expect(existsSync(configFile)).toBe(false);
    },
    STORY_MS,
  );

  it(
    "says what stood in the way when it cannot begin",
    async () => {
      demo = new Demo(["--once"], { TMPDIR: "/nowhere/at/all" });
      expect(await demo.ended).toBe(1);
      expect(demo.output).toMatch(/^pilotfish: .*\/nowhere\/at\/all/m);
    },
    STORY_MS,
  );
});
