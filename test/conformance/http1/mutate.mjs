/**
 * Breaks one rule of the engine at a time, in a copy, and runs the tables of raw cases over it: a rule that can
 * be broken without a case failing is not proven. On demand:
 *
 *   node test/conformance/http1/mutate.mjs [part of a file name [first number]]
 *
 * Prints each mutation with its number and what became of it; exit code 1 when one survived. Mutations that no longer
 * find their place end the run before it begins. All of them take half an hour of one core; a run can be cut and
 * go on from a number (`"" 120`).
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTATIONS } from "./mutations.mjs";
import { staleMutations } from "./stale-mutations.mjs";

const root = fileURLToPath(new URL("../../..", import.meta.url));
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

/** Longest run, in milliseconds; a mutation that loops for ever is found by this alone. */
const RUN_MS_MAX = 60_000;
/** Longest run without a mutation. */
const FIRST_RUN_MS_MAX = 600_000;

/** Whether all cases pass within the limit, and what the suites printed. */
function runCases(limitMs) {
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
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, PILOTFISH_FUZZ_SECONDS: "1" },
    },
  );
  return new Promise((resolve) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
    const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), limitMs);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ passed: code === 0, output });
    });
  });
}

const stale = staleMutations();
if (stale.length > 0) {
  console.error(["Mutations without their one place in the source:", ...stale].join("\n"));
  process.exit(1);
}
const copy = mkdtempSync(join(tmpdir(), "pilotfish-mutate-"));
try {
  for (const part of ["src", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  const beganMs = performance.now();
  const { passed, output } = await runCases(FIRST_RUN_MS_MAX);
  if (!passed) throw new Error(`the cases fail without any mutation:\n${output}`);
  // A busy machine must not make a killed mutation of a slow run.
  const limitMs = Math.max(RUN_MS_MAX, 3 * (performance.now() - beganMs));
  let survived = 0;
  let killed = 0;
  for (const [number, [file, from, to]] of MUTATIONS.entries()) {
    if (number < first || !file.includes(only)) continue;
    const path = join(copy, "src/proxy/http1", file);
    const text = readFileSync(path, "utf8");
    const name = `${number} ${file}: ${from.replace(/\s+/g, " ").slice(0, 90)} -> ${to.replace(/\s+/g, " ").slice(0, 60) || "(nothing)"}`;
    writeFileSync(
      path,
      text.replace(from, () => to),
    );
    const { passed } = await runCases(limitMs);
    writeFileSync(path, text);
    if (passed) survived++;
    else killed++;
    console.log(`${passed ? "SURVIVED" : "killed  "} ${name}`);
  }
  console.log(`${killed} killed, ${survived} survived`);
  process.exitCode = survived === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}
