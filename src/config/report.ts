import type { ConfigDocument } from "./document.js";
import { formatPath, type Path } from "./path.js";
import type { Problem } from "./problem.js";
import { holdsSecret } from "./secret.js";

/** Where a value came from when it does not stand in the file. */
export interface Origin {
  readonly path: Path;
  /** `environment` or `command line`. */
  readonly file: string;
  /** The name of the variable or flag. */
  readonly name: string;
}

/** Something to tell about the value, or the key, at a path. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  readonly at: "key" | "value";
}

/** Most problems that are told at once; a file with more has one mistake made many times. */
const MAX_PROBLEMS = 200;

/** Gathers what is wrong, gives each its place in the file and tells nothing twice. */
export class Report {
  readonly #file: string;
  readonly #document: ConfigDocument;
  readonly #origins: Origin[] = [];
  readonly #silenced = new Set<string>();
  readonly #problems = new Map<string, Problem>();

  constructor(file: string, document: ConfigDocument) {
    this.#file = file;
    this.#document = document;
  }

  get isEmpty(): boolean {
    return this.#problems.size === 0;
  }

  /** The value at this path was put there by the environment or a flag. */
  addOrigin(origin: Origin): void {
    this.#origins.push(origin);
  }

  /** Later findings at this path or below it are not told: what is to be said of it has been said. */
  silence(path: Path): void {
    this.#silenced.add(keyOf(path));
  }

  /** Tells a finding, once. */
  add(finding: Finding): void {
    if (finding.path.some((_, index) => this.#silenced.has(keyOf(finding.path.slice(0, index + 1))))) return;
    const problem = this.#place(this.#inherited(finding));
    const key = `${problem.file} ${problem.path} ${problem.message}`;
    if (!this.#problems.has(key)) this.#problems.set(key, problem);
  }

  /** Tells of a variable or flag that is no value of the tree. */
  addForeign(origin: Omit<Origin, "path">, message: string): void {
    const { file, name } = origin;
    const problem = { file, line: undefined, column: undefined, path: name, message, excerpt: undefined };
    this.#problems.set(`${file} ${name} ${message}`, problem);
  }

  /** Tells of a fault of the text, such as a syntax error. */
  addAt(place: { readonly line: number; readonly column: number }, message: string): void {
    const problem = {
      file: this.#file,
      ...place,
      path: "",
      message,
      excerpt: this.#excerpt(place.line),
    };
    this.#problems.set(`${place.line}:${place.column} ${message}`, problem);
  }

  /** Everything told, in the order of the file; what is not in the file comes last. */
  list(): readonly Problem[] {
    const end = Number.MAX_SAFE_INTEGER;
    const sorted = [...this.#problems.values()].sort(
      (a, b) => (a.line ?? end) - (b.line ?? end) || (a.column ?? end) - (b.column ?? end),
    );
    const more = sorted.length - MAX_PROBLEMS;
    if (more <= 0) return sorted;
    const rest = {
      line: undefined,
      column: undefined,
      path: "",
      message: `and ${more} more`,
      excerpt: undefined,
    };
    return [...sorted.slice(0, MAX_PROBLEMS), { file: this.#file, ...rest }];
  }

  /**
   * A fault in `defaults` shows again in everything laid over it. It is the same finding when the item does not
   * write the value, `defaults` does, and has the same fault.
   */
  #inherited(finding: Finding): Finding {
    const [list, index, ...rest] = finding.path;
    const part = list === "listeners" ? "listener" : list === "pools" ? "pool" : undefined;
    if (part === undefined || typeof index !== "number" || this.#document.has(finding.path)) return finding;
    const path = ["defaults", part, ...rest];
    const told = `${this.#file} ${formatPath(path)} ${finding.message}`;
    return this.#problems.has(told) ? { ...finding, path } : finding;
  }

  #place({ path, message, at }: Finding): Problem {
    const origin = this.#origins.find((candidate) =>
      candidate.path.every((step, index) => path[index] === step),
    );
    if (origin !== undefined) {
      return {
        file: origin.file,
        line: undefined,
        column: undefined,
        path: origin.name,
        message,
        excerpt: undefined,
      };
    }
    const place = this.#document.locate(path, at);
    return {
      file: this.#file,
      ...place,
      path: formatPath(path),
      message,
      excerpt: this.#excerpt(place.line),
    };
  }

  #excerpt(line: number): string | undefined {
    const text = this.#document.line(line);
    if (text === undefined || text.trim() === "") return undefined;
    return holdsSecret(text, line, this.#document) ? undefined : text;
  }
}

function keyOf(path: Path): string {
  return JSON.stringify(path);
}
