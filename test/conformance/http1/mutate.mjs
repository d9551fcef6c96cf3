/**
 * Breaks one rule of the engine at a time, in a copy, and runs the tables of raw cases over it: a rule that can
 * be broken without a case failing is not proven. On demand:
 *
 *   node test/conformance/http1/mutate.mjs [--file PART_OF_ITS_NAME] [--from NUMBER] [--part 1/4] [--only 3,17]
 *
 * Prints each mutation with its number, what became of it and the case that killed it; exit code 1 when one survived.
 * Mutations that no longer find their place end the run before it begins. All of them take a quarter of an hour of one
 * core; a run can be cut and go on from a number, and shares (every fourth mutation) can run beside each other.
 */
import { fork } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTATIONS } from "./mutations.mjs";
import { staleMutations } from "./stale-mutations.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const { values } = parseArgs({
  options: {
    file: { type: "string", default: "" },
    from: { type: "string", default: "0" },
    part: { type: "string", default: "1/1" },
    only: { type: "string" },
  },
});
const [part, parts] = values.part.split("/").map(Number);
if (!(part >= 1 && part <= parts)) throw new Error(`--part is 1/4 to 4/4, not ${values.part}`);
const only = values.only?.split(",").map(Number);
const wanted = [...MUTATIONS.entries()]
  .filter(([number]) => number >= Number(values.from) && (only?.includes(number) ?? true))
  .filter(([, [file]]) => file.includes(values.file))
  .filter((_mutation, index) => index % parts === part - 1);

/** Longest time without a case that ends, in milliseconds: what loops for ever is found by this alone. */
const SILENCE_MS_MAX = 30_000;
/** The same before any mutation. */
const FIRST_SILENCE_MS_MAX = 300_000;

/** A process that runs the cases over the copy. */
class Cases {
  #child;
  #copy;
  /** Longest time without a word so far. */
  silenceMs = 0;

  constructor(copy) {
    this.#copy = copy;
  }

  /** What failed first after these files changed, or undefined. */
  async run(files, silenceMsMax) {
    this.#child ??= await this.#start();
    const child = this.#child;
    return new Promise((resolve) => {
      let heardMs = performance.now();
      const end = (killer) => {
        clearInterval(timer);
        child.removeAllListeners();
        resolve(killer);
      };
      const timer = setInterval(() => {
        if (performance.now() - heardMs < silenceMsMax) return;
        this.stop();
        end(`no case ended for ${silenceMsMax / 1000} s`);
      }, 100);
      child.on("message", ({ isOver, killer }) => {
        this.silenceMs = Math.max(this.silenceMs, performance.now() - heardMs);
        heardMs = performance.now();
        if (isOver) end(killer);
      });
      child.on("exit", () => {
        this.#child = undefined;
        end("the runner ended");
      });
      child.send({ files });
    });
  }

  stop() {
    if (this.#child !== undefined) process.kill(-this.#child.pid, "SIGKILL");
    this.#child = undefined;
  }

  #start() {
    const child = fork(join(this.#copy, "test/conformance/http1/mutated-cases.mjs"), {
      cwd: this.#copy,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      // A group of its own, so that workers in an endless loop can be ended with it.
      detached: true,
      env: { ...process.env, PILOTFISH_FUZZ_SECONDS: "1" },
    });
    try {
      // Such a group is a session, and where the kernel shares by session, `nice` holds within one alone.
      writeFileSync(`/proc/${child.pid}/autogroup`, String(getPriority()));
    } catch {
      // Another kernel, which shares by process.
    }
    return new Promise((resolve, reject) => {
      child.once("message", () => resolve(child));
      child.once("exit", () => reject(new Error("the runner did not start")));
    });
  }
}

const stale = staleMutations();
if (stale.length > 0) {
  console.error(["Mutations without their one place in the source:", ...stale].join("\n"));
  process.exit(1);
}
const copy = mkdtempSync(join(tmpdir(), "pilotfish-mutate-"));
const cases = new Cases(copy);
try {
  for (const each of ["src", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, each), join(copy, each), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const failed = await cases.run([], FIRST_SILENCE_MS_MAX);
  if (failed !== undefined) throw new Error(`the cases fail without any mutation: ${failed}`);
  // A busy machine must not make a killed mutation of a slow run.
  const silenceMsMax = Math.max(SILENCE_MS_MAX, Math.round(3 * cases.silenceMs));
  let survived = 0;
  /** Whole again, which the runner has not heard of. */
  let restored;
  for (const [number, [file, from, to]] of wanted) {
    const path = join(copy, "src/proxy/http1", file);
    const text = readFileSync(path, "utf8");
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const killer = await cases.run([path, restored], silenceMsMax);
    writeFileSync(path, text);
    restored = path;
    if (killer === undefined) survived++;
    const short = (words, length) => words.replace(/\s+/g, " ").slice(0, length);
    console.log(
      `${killer === undefined ? "SURVIVED" : "killed  "} ${number} ${file}: ${short(from, 90)} -> ${short(to, 60) || "(nothing)"}`,
    );
    if (killer !== undefined) console.log(`           by ${short(killer, 150)}`);
  }
  console.log(`${wanted.length - survived} killed, ${survived} survived`);
  process.exitCode = survived === 0 ? 0 : 1;
} finally {
  cases.stop();
  rmSync(copy, { recursive: true, force: true });
}
