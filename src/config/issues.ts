import type { z } from "zod";
import type { ConfigDocument } from "./document.js";
import { type Path, valueAt } from "./path.js";
import type { Finding } from "./report.js";
import { formatWords } from "./schema/field.js";
import { isSecret, redactUrl } from "./secret.js";
import { suggest } from "./suggest.js";

type Issue = z.core.$ZodIssue;

const MAX_FOUND = 60;

/**
 * Turns what the schema objects to into sentences. `tree` is the tree the schema was given; `document` knows which
 * values took from the environment.
 */
export function findingsOf(
  issues: readonly Issue[],
  tree: unknown,
  document: ConfigDocument,
): readonly Finding[] {
  return issues.flatMap((issue) => findingsOfIssue(issue, [], tree, document));
}

/** The first half of "found X, expected Y" and the second: `missing, expected Y` when nothing is there. */
export function describe(
  path: Path,
  tree: unknown,
  document: ConfigDocument,
  expected: string,
  words: readonly string[] = [],
): string {
  const value = valueAt(tree, path);
  if (value === undefined) return `missing, expected ${expected}`;
  const source = document.substitutedSource(path);
  const origin = source === undefined || isSecret(path) ? "" : ` (from ${source})`;
  const near = typeof value === "string" ? suggest(value, words) : undefined;
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return `found ${isSecret(path) ? "a value that is not shown" : found(value)}${origin}, expected ${expected}${hint}`;
}

function findingsOfIssue(
  issue: Issue,
  base: Path,
  tree: unknown,
  document: ConfigDocument,
): readonly Finding[] {
  const path: Path = [...base, ...issue.path.filter((step) => typeof step !== "symbol")];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => unknownKey([...path, key], key, issue.message.split(", ")));
    case "invalid_union":
      return findingsOfUnion(issue, path, tree, document);
    default: {
      const words = issue.code === "custom" ? (issue.params?.words ?? []) : [];
      const isKey = issue.code === "custom" && issue.params?.key === true;
      const message = isKey
        ? `found ${found(String(path.at(-1)))}, expected ${issue.message}`
        : describe(path, tree, document, issue.message, words);
      return [{ path, message, at: isKey ? "key" : "value" }];
    }
  }
}

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const near = suggest(key, known);
  const hint = near === undefined ? `, expected one of ${known.join(", ")}` : `; did you mean ${near}?`;
  return { path, message: `unknown key${hint}`, at: "key" };
}

function findingsOfUnion(
  issue: Extract<Issue, { code: "invalid_union" }>,
  path: Path,
  tree: unknown,
  document: ConfigDocument,
): readonly Finding[] {
  if ("options" in issue && issue.options !== undefined) {
    const words = issue.options.map(String);
    return [{ path, message: describe(path, tree, document, formatWords(words), words), at: "value" }];
  }
  // The form that was meant is the one that did not object to the kind of the value itself.
  const meant = issue.errors.filter(
    (form) => !form.some((inner) => inner.path.length === 0 && isMismatch(inner)),
  );
  const only = meant[0];
  if (only !== undefined) return only.flatMap((inner) => findingsOfIssue(inner, path, tree, document));
  const forms = issue.errors.map(
    (form) => form.find((inner) => inner.path.length === 0)?.message ?? "something else",
  );
  return [{ path, message: describe(path, tree, document, formatWords(forms)), at: "value" }];
}

function isMismatch(issue: Issue): boolean {
  return issue.code === "invalid_type" || (issue.code === "custom" && issue.params?.mismatch === true);
}

function found(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a map";
  if (typeof value !== "string") return String(value);
  const shown = redactUrl(value);
  return JSON.stringify(shown.length > MAX_FOUND ? `${shown.slice(0, MAX_FOUND)}...` : shown);
}
