/**
 * Breaks one rule of the engine at a time, in a copy, and runs the tables of raw cases over it: a rule that can
 * be broken without a case failing is not proven. On demand:
 *
 *   node test/conformance/http1/mutate.mjs [part of a file name [first number]]
 *
 * Prints each mutation with its number and what became of it; exit code 1 when one survived or no longer applies.
 * All of them take half an hour of one core; a run can be cut and go on from a number (`"" 120`).
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTATIONS } from "./mutations.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "pilotfish-mutate-"));
const only = process.argv[2] ?? "";
const first = Number(process.argv[3] ?? 0);

/** The raw cases first; the rest is what one request and its answer cannot show. */
const SUITES = [
  ...["requests", "responses", "desync", "upgrade", "bodies", "connections", "backends"],
  ...["own-answers", "retries", "isolation", "splits"],
]
  .map((name) => `test/conformance/http1/${name}.test.ts`)
  .concat(
    "test/unit/proxy/http1",
    "test/unit/proxy/headers.test.ts",
    "test/unit/proxy/connection.test.ts",
    "test/unit/proxy/replay-body.test.ts",
  );

/** Longest run; a mutation that loops for ever is found by this alone. */
const RUN_MS_MAX = 60_000;

/** Whether all cases pass. */
function runCases() {
  const child = spawn(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      "test/vitest.config.ts",
      "--bail=1",
      "--testTimeout=6000",
      "--testNamePattern",
      "^(?!.*over a socket)(?!.*hold the client)(?!.*holds the backend)(?!.*no more responses than fit)",
      ...SUITES,
    ],
    // A group of its own, so that workers in an endless loop can be ended with it.
    {
      cwd: copy,
      stdio: "ignore",
      detached: true,
      env: { ...process.env, PILOTFISH_FUZZ_SECONDS: "1" },
    },
  );
  return new Promise((resolve) => {
    const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), RUN_MS_MAX);
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

try {
  for (const part of ["src", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  if (!(await runCases())) throw new Error("the cases fail without any mutation");
  let survived = 0;
  let killed = 0;
  for (const [number, [file, from, to]] of MUTATIONS.entries()) {
    if (number < first || !file.includes(only)) continue;
    const path = join(copy, "src/proxy/http1", file);
    const text = readFileSync(path, "utf8");
    const found = text.split(from).length - 1;
    const name = `${number} ${file}: ${from.replace(/\s+/g, " ").slice(0, 90)} -> ${to.replace(/\s+/g, " ").slice(0, 60) || "(nothing)"}`;
    if (found !== 1) {
      survived++;
      console.log(`STALE    ${name} (found ${found} times)`);
      continue;
    }
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const passed = await runCases();
    writeFileSync(path, text);
    if (passed) survived++;
    else killed++;
    console.log(`${passed ? "SURVIVED" : "killed  "} ${name}`);
  }
  console.log(`${killed} killed, ${survived} survived or stale`);
  process.exitCode = survived === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}
