import {
  type Document,
  isAlias,
  isPair,
  isScalar,
  isSeq,
  isMap as isYamlMap,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from "yaml";
import { type Environment, substitute } from "./environment.js";
import type { Path } from "./path.js";

/** A file may nest no deeper; the schema needs eight levels. */
const MAX_DEPTH = 64;

const TOO_DEEP = `the file nests deeper than ${MAX_DEPTH} levels`;

/** Most characters of a configuration. */
export const MAX_TEXT_LENGTH = 4 * 1_048_576;

/** A place in the text, counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A fault of the text itself. */
export interface TextFault {
  readonly place: Place;
  readonly message: string;
}

/** A `${NAME}` that could not be replaced. */
export interface SubstitutionFault {
  readonly path: Path;
  readonly message: string;
}

/** A YAML text with the places of its values. Never throws on bad input; what is wrong is in `faults`. */
export class ConfigDocument {
  /** Syntax errors; when there are any, nothing else of the document may be used. */
  readonly faults: readonly TextFault[];
  readonly #document: Document.Parsed | undefined;
  readonly #counter = new LineCounter();
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.slice(0, MAX_TEXT_LENGTH).split(/\r\n|\r|\n/);
    const { document, faults } = this.#parse(text);
    this.#document = document;
    this.faults = faults;
  }

  /** Replaces `${NAME}` in all scalar values, in place, and answers what could not be replaced. */
  substitute(env: Environment): readonly SubstitutionFault[] {
    const faults: SubstitutionFault[] = [];
    walk(this.#document?.contents, [], (scalar, path) => {
      if (typeof scalar.value !== "string" || !scalar.value.includes("${")) return;
      const { text, faults: messages } = substitute(scalar.value, env);
      scalar.value = text;
      faults.push(...messages.map((message) => ({ path, message })));
    });
    return faults;
  }

  /** The values as plain maps, lists and scalars; a new tree for each call. */
  toTree(): unknown {
    return this.#document?.toJS({ maxAliasCount: 100 });
  }

  /** Whether something is written at this path. */
  has(path: Path): boolean {
    return this.#find(path).rest === 0;
  }

  /**
   * Where a value or its key stands. For a path that leads nowhere, the place of what should have held it; the
   * key rather than the value where there is one, for that is what the reader looks for.
   */
  locate(path: Path, at: "key" | "value"): Place {
    const { node, key, rest } = this.#find(path);
    const value = node?.range;
    const isWritten = value !== undefined && value !== null && value[1] > value[0];
    const offset =
      (rest === 0 && at === "value" && isWritten ? value[0] : undefined) ?? key?.range?.[0] ?? value?.[0];
    return this.#placeOf(offset ?? 0);
  }

  /** The text of a scalar as written, when it takes from the environment. */
  substitutedSource(path: Path): string | undefined {
    const { node, rest } = this.#find(path);
    return rest === 0 && isScalar(node) && node.source?.includes("${") ? node.source : undefined;
  }

  /** The lines that a value covers, its key included. */
  linesOf(path: Path): { readonly first: number; readonly last: number } {
    const { node, key } = this.#find(path);
    const start = key?.range?.[0] ?? node?.range?.[0] ?? 0;
    return { first: this.#placeOf(start).line, last: this.#placeOf(node?.range?.[1] ?? start).line };
  }

  /** A line of the file, counted from 1; undefined beyond its end. */
  line(number: number): string | undefined {
    return this.#lines[number - 1];
  }

  #parse(text: string): { document: Document.Parsed | undefined; faults: readonly TextFault[] } {
    const atStart = (message: string) => ({
      document: undefined,
      faults: [{ place: { line: 1, column: 1 }, message }],
    });
    if (text.length > MAX_TEXT_LENGTH)
      return atStart(`the file is too long, expected at most ${MAX_TEXT_LENGTH} characters`);
    try {
      const document = parseDocument(text, { lineCounter: this.#counter, prettyErrors: false });
      const found = firstOfEachLine(
        [...document.errors, ...document.warnings].map((error) => this.#describe(error)),
      );
      if (found.length > 0) return { document: undefined, faults: found };
      if (isTooDeep(document.contents, 0)) return atStart(TOO_DEEP);
      document.toJS({ maxAliasCount: 100 });
      return { document, faults: [] };
    } catch (error) {
      // The parser overflows the stack on absurd nesting, and toJS refuses alias bombs by throwing.
      if (error instanceof RangeError) return atStart(TOO_DEEP);
      return atStart(`not readable as YAML: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #describe(error: YAMLError): TextFault {
    const place = this.#placeOf(error.pos[0]);
    // A plain scalar inside { } or [ ] cannot hold a brace, so ${NAME} breaks the syntax there.
    const hint = /\$\{/.test(this.line(place.line) ?? "")
      ? ` (inside { } and [ ] write "\${NAME}" in quotes)`
      : "";
    if (/call stack/.test(error.message)) return { place, message: TOO_DEEP };
    return { place, message: `not valid YAML: ${lowerFirst(error.message)}${hint}` };
  }

  #placeOf(offset: number): Place {
    const { line, col } = this.#counter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /** The node at the path, or the deepest one on the way with the count of steps that are left. */
  #find(path: Path): { node: Node | undefined; key: Node | undefined; rest: number } {
    let node = this.#resolve(this.#document?.contents);
    let key: Node | undefined;
    for (const [index, step] of path.entries()) {
      const next = this.#step(node, step);
      if (next === undefined) return { node, key, rest: path.length - index };
      node = this.#resolve(next.node);
      key = next.key;
    }
    return { node, key, rest: 0 };
  }

  #step(
    parent: Node | undefined,
    step: string | number,
  ): { node: unknown; key: Node | undefined } | undefined {
    if (isSeq(parent)) {
      return typeof step === "number" && step < parent.items.length
        ? { node: parent.items[step], key: undefined }
        : undefined;
    }
    if (!isYamlMap(parent)) return undefined;
    const pair = parent.items.find(
      (item: Pair) => String(isScalar(item.key) ? item.key.value : item.key) === String(step),
    );
    return pair === undefined
      ? undefined
      : { node: pair.value, key: isScalar(pair.key) ? pair.key : undefined };
  }

  #resolve(node: unknown): Node | undefined {
    if (isAlias(node) && this.#document !== undefined) return node.resolve(this.#document);
    return isScalar(node) || isYamlMap(node) || isSeq(node) ? node : undefined;
  }
}

function walk(node: unknown, path: Path, visit: (scalar: { value: unknown }, path: Path) => void): void {
  if (isScalar(node)) visit(node, path);
  else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) walk(item, [...path, index], visit);
  } else if (isYamlMap(node)) {
    for (const { key, value } of node.items)
      walk(value, [...path, String(isScalar(key) ? key.value : key)], visit);
  }
}

function isTooDeep(node: unknown, depth: number): boolean {
  if (depth > MAX_DEPTH) return true;
  if (isPair(node)) return isTooDeep(node.key, depth) || isTooDeep(node.value, depth);
  return (isSeq(node) || isYamlMap(node)) && node.items.some((item) => isTooDeep(item, depth + 1));
}

/** One slip of syntax makes the parser stumble on through the rest of its line. */
function firstOfEachLine(faults: readonly TextFault[]): readonly TextFault[] {
  return faults.filter(
    (fault, index) => faults.findIndex(({ place }) => place.line === fault.place.line) === index,
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
