import type { ConfigDocument } from "./document.js";
import type { Path } from "./path.js";

/** The fields of the file whose values must never be printed. Token files are named by path and are no secrets. */
const SECRET_PATHS: readonly Path[] = [
  ["consul", "token"],
  ["consul", "auth"],
];

/** Keys that look like those of a secret, so that a mistyped one (`tokn: abc`) does not give it away either. */
const SECRET_KEY = /(tok[a-z]*|auth[a-z]*|secret|passw[a-z]*)["']?\s*:\s*\S/i;

const URL_WITH_CREDENTIALS = /:\/\/[^\s/@"']*@/g;

/** Whether the value at the path, or anything inside it, is a secret. */
export function isSecret(path: Path): boolean {
  if (path.at(-1) === "secret") return true;
  return SECRET_PATHS.some((secret) => secret.every((step, index) => path[index] === step));
}

/** Whether a line of the file must not be repeated, because it holds a secret or seems to. */
export function holdsSecret(line: string, lineNumber: number, document: ConfigDocument): boolean {
  if (SECRET_KEY.test(line) || line.search(URL_WITH_CREDENTIALS) >= 0) return true;
  return SECRET_PATHS.some((path) => {
    if (!document.has(path)) return false;
    const { first, last } = document.linesOf(path);
    return lineNumber >= first && lineNumber <= last;
  });
}

/** `http://user:password@host` without its user and password. */
export function redactUrl(text: string): string {
  return text.replace(URL_WITH_CREDENTIALS, "://***@");
}
