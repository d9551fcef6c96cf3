import { readFile } from "node:fs/promises";
import { compileConfig } from "./compile.js";
import { readConsulEnvironment } from "./consul-environment.js";
import { crossCheck } from "./cross-checks.js";
import { applyDefaults } from "./defaults.js";
import { ConfigDocument } from "./document.js";
import type { Environment } from "./environment.js";
import { findFileFaults } from "./file-faults.js";
import { findingsOf } from "./issues.js";
import type { Config } from "./model.js";
import { isMap, type Path, valueAt } from "./path.js";
import type { Problem } from "./problem.js";
import { Report } from "./report.js";
import { configSchema } from "./schema/config.js";
import { isOff } from "./schema/field.js";
import { takeUnavailable } from "./unavailable.js";
import { findWarnings } from "./warnings.js";

/** What the command line says in place of the file. */
export interface ConfigOverrides {
  readonly logLevel?: string | undefined;
  readonly adminGrpc?: string | undefined;
  readonly adminHttp?: string | undefined;
}

/** What a configuration depends on besides its text. */
export interface LoadOptions {
  /** Where `${NAME}` and the defaults of `consul` come from. */
  readonly env: Environment;
  readonly overrides?: ConfigOverrides | undefined;
}

/** A configuration that may be used, or everything that is wrong with it. Problems are in the file's order. */
export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads and checks a configuration file, and the files it names. A file that cannot be read is a problem like any other; nothing is thrown. */
export async function loadConfig(path: string, options: LoadOptions): Promise<LoadResult> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const problem = { file: path, line: undefined, column: undefined, path: "", excerpt: undefined };
    return { ok: false, problems: [{ ...problem, message: describeReadError(error) }] };
  }
  const result = parseConfig(text, { file: path, ...options });
  if (!result.ok) return result;
  const report = new Report(path, new ConfigDocument(text));
  for (const finding of await findFileFaults(result.config)) report.add(finding);
  return report.isEmpty ? result : { ok: false, problems: report.list() };
}

/** Checks the text of a configuration. `file` is what problems call it. Nothing is thrown. */
export function parseConfig(text: string, options: LoadOptions & { readonly file: string }): LoadResult {
  const document = new ConfigDocument(text);
  const report = new Report(options.file, document);
  for (const { place, message } of document.faults) report.addAt(place, message);
  if (!report.isEmpty) return { ok: false, problems: report.list() };
  const unset = document.substitute(options.env);
  for (const { path, message } of unset) report.add({ path, message, at: "value" });
  for (const { path } of unset) report.silence(path);
  const written = document.toTree();
  if (!isMap(written)) {
    report.addAt(
      { line: 1, column: 1 },
      `found ${describeRoot(written)}, expected a map with listeners and pools`,
    );
    return { ok: false, problems: report.list() };
  }
  overlay(written, options, report);
  takeUnavailable(written, report);
  const tree = applyDefaults(written);
  const parsed = configSchema.safeParse(tree);
  if (!parsed.success) {
    for (const finding of findingsOf(parsed.error.issues, tree, document)) report.add(finding);
  }
  crossCheck(tree, document, report);
  if (!parsed.success || !report.isEmpty) return { ok: false, problems: report.list() };
  const config = compileConfig(parsed.data);
  const warnings = new Report(options.file, document);
  findWarnings(config, parsed.data, warnings);
  return { ok: true, config, warnings: warnings.list() };
}

/** Puts what the environment and the command line say into the tree, and tells the report where it came from. */
function overlay(tree: Record<string, unknown>, options: LoadOptions, report: Report): void {
  const { logLevel, adminGrpc, adminHttp } = options.overrides ?? {};
  const consul = readConsulEnvironment(tree.consul, options.env);
  for (const { name, message } of consul.faults) report.addForeign({ file: "environment", name }, message);
  for (const { path, name, value } of consul.values) {
    if (put(tree, path, value)) report.addOrigin({ path, file: "environment", name });
  }
  const flags: readonly (readonly [Path, string, string | undefined])[] = [
    [["log", "level"], "--log-level", logLevel],
    [addressPath(tree, "grpc", adminGrpc), "--admin-grpc", adminGrpc],
    [addressPath(tree, "http", adminHttp), "--admin-http", adminHttp],
  ];
  for (const [path, name, value] of flags) {
    if (value !== undefined && put(tree, path, value)) report.addOrigin({ path, file: "command line", name });
  }
}

/** Where the address of a part of `admin` belongs: a map keeps its TLS and token when the address is replaced. */
function addressPath(tree: Readonly<Record<string, unknown>>, part: "grpc" | "http", value: unknown): Path {
  return isMap(valueAt(tree, ["admin", part])) && !isOff(value)
    ? ["admin", part, "address"]
    : ["admin", part];
}

/** Puts a value at a path and makes the maps on the way; refuses where something else stands in the way. */
function put(tree: Record<string, unknown>, path: Path, value: unknown): boolean {
  const [step, ...rest] = path;
  if (typeof step !== "string") return false;
  if (rest.length === 0) {
    tree[step] = value;
    return true;
  }
  const inner = tree[step] ?? {};
  if (tree[step] === null || !isMap(inner)) return false;
  tree[step] = inner;
  return put(inner, rest, value);
}

function describeRoot(value: unknown): string {
  return value === null || value === undefined ? "an empty file" : Array.isArray(value) ? "a list" : "text";
}

function describeReadError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "no such file";
  if (code === "EISDIR") return "is a directory, expected a file";
  if (code === "EACCES") return "may not be read (permission denied)";
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}
