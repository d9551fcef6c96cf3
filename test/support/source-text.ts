/**
 * Just enough of a scanner for TypeScript to ask questions about sources without a compiler: which spans are
 * comments, strings or code, what is imported, and how long functions are.
 */

/** One import or re-export. */
export interface ImportLine {
  readonly specifier: string;
  readonly line: number;
  /** Erased by the compiler: `import type`, `export type`, or nothing but `type` names. */
  readonly isTypeOnly: boolean;
}

/** A function body from its first to its last line. */
export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

/** A source with its comments blanked, and one with its strings blanked too. Both keep every line and column. */
export interface SourceText {
  readonly raw: string;
  readonly withoutComments: string;
  readonly code: string;
}

const REGEX_MAY_FOLLOW =
  /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|do|else|yield|await))$/;

class Scanner {
  readonly #raw: string;
  readonly #comments: boolean[];
  readonly #strings: boolean[];
  #at = 0;

  constructor(raw: string) {
    this.#raw = raw;
    this.#comments = new Array<boolean>(raw.length).fill(false);
    this.#strings = new Array<boolean>(raw.length).fill(false);
  }

  scan(): SourceText {
    this.#code(false);
    const blank = (hidden: (index: number) => boolean) =>
      Array.from(this.#raw.split(""), (char, index) => (char !== "\n" && hidden(index) ? " " : char)).join(
        "",
      );
    return {
      raw: this.#raw,
      withoutComments: blank((index) => this.#comments[index] === true),
      code: blank((index) => this.#comments[index] === true || this.#strings[index] === true),
    };
  }

  /** Scans code up to the end, or to the brace that closes a template's expression. */
  #code(isInTemplate: boolean): void {
    let depth = 0;
    while (this.#at < this.#raw.length) {
      const char = this.#raw[this.#at];
      const two = this.#raw.slice(this.#at, this.#at + 2);
      if (two === "//") this.#mark(this.#comments, this.#until("\n", 0));
      else if (two === "/*") this.#mark(this.#comments, this.#until("*/", 2));
      else if (char === '"' || char === "'") this.#quoted(char);
      else if (char === "`") this.#template();
      else if (char === "/" && this.#startsRegex()) this.#regex();
      else {
        if (char === "{") depth++;
        if (char === "}" && depth-- === 0 && isInTemplate) return;
        this.#at++;
      }
    }
  }

  #until(end: string, extra: number): number {
    const found = this.#raw.indexOf(end, this.#at + extra);
    return found < 0 ? this.#raw.length : found + (extra === 0 ? 0 : end.length);
  }

  #mark(what: boolean[], end: number): void {
    what.fill(true, this.#at, end);
    this.#at = end;
  }

  #quoted(quote: string): void {
    const start = ++this.#at;
    while (this.#at < this.#raw.length && this.#raw[this.#at] !== quote)
      this.#at += this.#raw[this.#at] === "\\" ? 2 : 1;
    this.#strings.fill(true, start, this.#at);
    this.#at++;
  }

  #template(): void {
    let start = ++this.#at;
    while (this.#at < this.#raw.length && this.#raw[this.#at] !== "`") {
      if (this.#raw.slice(this.#at, this.#at + 2) === "${") {
        this.#strings.fill(true, start, this.#at);
        this.#at += 2;
        this.#code(true);
        start = this.#at + 1;
      }
      this.#at += this.#raw[this.#at] === "\\" ? 2 : 1;
    }
    this.#strings.fill(true, start, this.#at);
    this.#at++;
  }

  #startsRegex(): boolean {
    return REGEX_MAY_FOLLOW.test(this.#raw.slice(Math.max(0, this.#at - 40), this.#at).trimEnd());
  }

  #regex(): void {
    const start = ++this.#at;
    let isInClass = false;
    while (this.#at < this.#raw.length && this.#raw[this.#at] !== "\n") {
      const char = this.#raw[this.#at];
      if (char === "/" && !isInClass) break;
      if (char === "[") isInClass = true;
      if (char === "]") isInClass = false;
      this.#at += char === "\\" ? 2 : 1;
    }
    this.#strings.fill(true, start, this.#at);
    this.#at++;
  }
}

/** Tells code, strings and comments apart. */
export function readSource(raw: string): SourceText {
  return new Scanner(raw).scan();
}

/** Line number, from 1, of a position. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

const IMPORT =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:([\w$*{}\s,]+?)\s+from\s+)?(["'])([^"'\n]+)\3|\bimport\(\s*(["'])([^"'\n]+)\5\s*\)|new URL\(\s*(["'])(\.[^"'\n]+\.(?:js|ts))\7\s*,\s*import\.meta\.url/gm;

/** Everything a source imports, re-exports, loads later, or names as a file beside itself. */
export function importsOf(source: SourceText): ImportLine[] {
  return [...source.withoutComments.matchAll(IMPORT)].map((found) => {
    const [, typeWord, names, , fromStatic, , dynamic, , beside] = found;
    const specifier = fromStatic ?? dynamic ?? beside ?? "";
    const listed = names?.match(/^\{([^}]*)\}$/s)?.[1];
    const isEveryNameType =
      listed?.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type ")) ?? false;
    // A later load inside a type (`import("x").T`) is erased as well.
    const isTypeQuery =
      dynamic !== undefined && /typeof\s+$/.test(source.withoutComments.slice(0, found.index));
    return {
      specifier,
      line: lineAt(source.raw, (found.index ?? 0) + found[0].search(/\S/)),
      isTypeOnly: typeWord !== undefined || isEveryNameType || isTypeQuery,
    };
  });
}

/** Whether the brace at `index` opens the body of a function, method or arrow function. */
function opensFunction(code: string, index: number): boolean {
  const before = code.slice(0, index).trimEnd();
  if (before.endsWith("=>")) return true;
  const close = /\)(?:\s*:\s*[^;{}()=]*)?$/.exec(before.slice(-200));
  if (close === null) return false;
  let at = before.length - Math.min(before.length, 200) + close.index;
  for (let depth = 0; at >= 0; at--) {
    if (code[at] === ")") depth++;
    if (code[at] === "(" && --depth === 0) break;
  }
  return !/\b(?:if|for|while|switch|catch|with)\s*(?:await\s*)?$/.test(code.slice(0, Math.max(at, 0)));
}

/** Every function body with its length, from the line of its opening brace to that of its closing one. */
export function functionsOf(source: SourceText): FunctionSpan[] {
  const { code } = source;
  const spans: FunctionSpan[] = [];
  const open: { line: number; isFunction: boolean }[] = [];
  let line = 1;
  for (let index = 0; index < code.length; index++) {
    const char = code[index];
    if (char === "\n") line++;
    else if (char === "{") open.push({ line, isFunction: opensFunction(code, index) });
    else if (char === "}") {
      const opened = open.pop();
      if (opened?.isFunction) spans.push({ line: opened.line, lines: line - opened.line + 1 });
    }
  }
  return spans;
}
