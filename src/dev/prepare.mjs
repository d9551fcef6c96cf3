/**
 * Brings a checkout up to date before `npm start`, `npm test` and `npm run bench`: installs the packages the
 * lock file names and compiles the sources, each only when something changed since the last time. Plain
 * JavaScript over Node alone, because it runs before anything is installed.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const OLDEST_NODE = [20, 20];

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    fail(`pilotfish needs Node ${OLDEST_NODE.join(".")} or newer, this is ${process.versions.node}`);
  }
}

function run(what, command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (result.status !== 0) {
    fail(`${what} failed\n${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}`);
  }
}

function stampOf(name) {
  const path = join(root, "node_modules", ".cache", `pilotfish-${name}`);
  return {
    read: () => (existsSync(path) ? readFileSync(path, "utf8") : ""),
    write: (value) => {
      mkdirSync(join(root, "node_modules", ".cache"), { recursive: true });
      writeFileSync(path, value);
    },
  };
}

function install() {
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const stamp = stampOf("installed");
  if (stamp.read() === wanted && existsSync(join(root, "node_modules", ".package-lock.json"))) return;
  process.stderr.write("installing packages ...\n");
  run("npm ci", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  stamp.write(wanted);
}

/** Every source file with its size and time of change. */
function fingerprint(folder, hash = createHash("sha256")) {
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) fingerprint(path, hash);
    else {
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path} ${size} ${mtimeMs}\n`);
    }
  }
  return hash;
}

function build() {
  const wanted = fingerprint(join(root, "src"))
    .update(readFileSync(join(root, "tsconfig.json")))
    .digest("hex");
  const stamp = stampOf("built");
  if (stamp.read() === wanted && existsSync(join(root, "dist", "cli", "main.js"))) return;
  process.stderr.write("compiling ...\n");
  // Compiled beside and put in place whole, so that a program that runs from it meets no half of it.
  const next = join(root, "node_modules", ".cache", "pilotfish-dist");
  rmSync(next, { recursive: true, force: true });
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  run("tsc", process.execPath, [tsc, "-p", "tsconfig.json", "--outDir", next]);
  rmSync(join(root, "dist"), { recursive: true, force: true });
  renameSync(next, join(root, "dist"));
  stamp.write(wanted);
}

checkNode();
install();
build();
