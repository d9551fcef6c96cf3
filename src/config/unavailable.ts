import { isMap, type Path } from "./path.js";
import type { Report } from "./report.js";

/** A key, or a value of a key, that the format has and this version has not. */
interface Unavailable {
  /** Steps from the root; `*` stands for every entry of a list, or for the one entry that stands in its place. */
  readonly path: string;
  /** Which values; all of them when left out. */
  readonly isUnavailable?: (value: unknown) => boolean;
}

/**
 * THE list. A part that builds one of these takes its line out and gives the schema the field. What stands under
 * `listeners.*` and `pools.*` counts under `defaults` as well.
 */
const UNAVAILABLE: readonly Unavailable[] = [
  { path: "threads", isUnavailable: (value) => Number.isSafeInteger(value) && Number(value) > 1 },
  {
    path: "log.access.to",
    isUnavailable: (value) => typeof value === "string" && value.startsWith("syslog:"),
  },
  { path: "listeners.*.bind.*.tls" },
  { path: "listeners.*.bind.*.proxyProtocol" },
];

/**
 * Tells of everything in the tree that is not available, takes it out of the tree, and keeps the report quiet
 * about what follows from that.
 */
export function takeUnavailable(tree: unknown, report: Report): void {
  for (const entry of UNAVAILABLE) {
    for (const path of [entry.path, inDefaults(entry.path)]) {
      if (path !== undefined) take(tree, [], path.split("."), entry, report);
    }
  }
}

function inDefaults(path: string): string | undefined {
  const match = /^(listener|pool)s\.\*\.(.*)$/.exec(path);
  return match === null ? undefined : `defaults.${match[1]}.${match[2]}`;
}

function take(node: unknown, at: Path, steps: readonly string[], entry: Unavailable, report: Report): void {
  const [step, ...rest] = steps;
  if (step === undefined) return;
  if (step === "*") {
    if (!Array.isArray(node)) take(node, at, rest, entry, report);
    else for (const [index, item] of node.entries()) take(item, [...at, index], rest, entry, report);
    return;
  }
  if (!isMap(node) || !Object.hasOwn(node, step)) return;
  const path = [...at, step];
  if (rest.length > 0) {
    take(node[step], path, rest, entry, report);
  } else if (entry.isUnavailable === undefined) {
    report.add({ path, message: "not available in this version", at: "key" });
    report.silence(path);
    delete node[step];
  } else if (entry.isUnavailable(node[step])) {
    // The value stays: without it the schema would miss a field, and the report is quiet about this one.
    report.add({
      path,
      message: `found ${JSON.stringify(node[step])}, not available in this version`,
      at: "value",
    });
    report.silence(path);
  }
}
