/** Operators that compare with a value. */
export type ValueOperator = "Equal" | "Not Equal" | "In" | "Not In" | "Matches" | "Not Matches";
/** Operators that stand alone. */
export type LoneOperator = "Is Empty" | "Is Not Empty";

/** One comparison. `path` is split at dots and brackets. */
export interface Comparison {
  readonly kind: "compare";
  readonly path: readonly string[];
  readonly operator: ValueOperator | LoneOperator;
  readonly value: string;
}

/** A parsed filter. */
export type FilterNode =
  | Comparison
  | { readonly kind: "not"; readonly inner: FilterNode }
  | { readonly kind: "and" | "or"; readonly left: FilterNode; readonly right: FilterNode };

/** Deepest nesting accepted. */
const maxDepth = 100;

interface Token {
  readonly kind: "word" | "number" | "text" | "sign" | "end";
  readonly text: string;
  readonly at: number;
  /** True when no space stands before it: `a .b` is not a path. */
  readonly isJoined: boolean;
}

const tokenPattern =
  /([ \t\r\n]*)(?:([a-zA-Z][a-zA-Z0-9_/]*)|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)|"((?:[^"\\]|\\.)*)"|`([^`]*)`|(==|!=|[().[\]]))/y;

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    tokenPattern.lastIndex = at;
    const match = tokenPattern.exec(source);
    if (match === null) break;
    const [whole, space = "", word, number, quoted, raw, sign] = match;
    const start = at + space.length;
    at += whole.length;
    const push = (kind: Token["kind"], text: string) =>
      tokens.push({ kind, text, at: start, isJoined: space === "" });
    if (word !== undefined) push("word", word);
    else if (number !== undefined) push("number", number);
    else if (sign !== undefined) push("sign", sign);
    else push("text", raw ?? unquote(quoted ?? "", start));
  }
  const rest = source.slice(at).trimStart();
  const end = source.length - rest.length;
  if (rest !== "") throw syntaxError(end, "no match found");
  tokens.push({ kind: "end", text: "", at: end, isJoined: false });
  return tokens;
}

function unquote(body: string, at: number): string {
  try {
    return String(JSON.parse(`"${body}"`));
  } catch {
    throw syntaxError(at, "invalid string literal");
  }
}

function syntaxError(at: number, text: string): Error {
  return new Error(`1:${at + 1} (${at}): ${text}`);
}

/**
 * Parses the filter language of Consul 1.8: comparisons of a selector with a value, `in`, `contains`, `matches`,
 * `is empty`, joined by `and`, `or`, `not` and parentheses. Keywords are lower case.
 * @throws Error that names line, column and offset.
 */
export function parseFilter(source: string): FilterNode {
  const parser = new Parser(tokenize(source));
  return parser.parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  parse(): FilterNode {
    const node = this.#or(0);
    if (this.#next.kind !== "end")
      throw syntaxError(this.#next.at, 'no match found, expected: "and", "or" or EOF');
    return node;
  }

  get #next(): Token {
    return this.#tokens[this.#position] ?? { kind: "end", text: "", at: 0, isJoined: false };
  }

  #take(): Token {
    const token = this.#next;
    this.#position += 1;
    return token;
  }

  #takes(kind: Token["kind"], text: string): boolean {
    if (this.#next.kind !== kind || this.#next.text !== text) return false;
    this.#position += 1;
    return true;
  }

  #or(depth: number): FilterNode {
    const left = this.#and(depth);
    return this.#takes("word", "or") ? { kind: "or", left, right: this.#or(depth + 1) } : left;
  }

  #and(depth: number): FilterNode {
    if (depth > maxDepth) throw syntaxError(this.#next.at, "expression is nested too deeply");
    const left = this.#not(depth);
    return this.#takes("word", "and") ? { kind: "and", left, right: this.#and(depth + 1) } : left;
  }

  #not(depth: number): FilterNode {
    if (depth > maxDepth) throw syntaxError(this.#next.at, "expression is nested too deeply");
    if (this.#takes("word", "not")) return { kind: "not", inner: this.#not(depth + 1) };
    if (!this.#takes("sign", "(")) return this.#comparison();
    const inner = this.#or(depth + 1);
    if (!this.#takes("sign", ")")) throw syntaxError(this.#next.at, 'rule "grouping": Unmatched parentheses');
    return inner;
  }

  #comparison(): FilterNode {
    const start = this.#position;
    const first = this.#take();
    // `value in selector` puts the value first, and a bare word may be either.
    if (first.kind !== "word" || this.#next.text === "in" || this.#isNotIn()) {
      const value = this.#valueOf(first);
      const operator = this.#takes("word", "not") ? "Not In" : "In";
      if (!this.#takes("word", "in")) throw syntaxError(this.#next.at, 'no match found, expected: "in"');
      return { kind: "compare", path: this.#selector(), operator, value };
    }
    this.#position = start;
    return this.#operation(this.#selector());
  }

  #isNotIn(): boolean {
    return this.#next.text === "not" && this.#tokens[this.#position + 1]?.text === "in";
  }

  #operation(path: readonly string[]): FilterNode {
    const compare = (operator: ValueOperator): FilterNode => {
      const value = this.#value();
      return { kind: "compare", path, operator, value };
    };
    if (this.#takes("sign", "==")) return compare("Equal");
    if (this.#takes("sign", "!=")) return compare("Not Equal");
    if (this.#takes("word", "contains")) return compare("In");
    if (this.#takes("word", "matches")) return compare("Matches");
    if (this.#takes("word", "is")) {
      const operator = this.#takes("word", "not") ? "Is Not Empty" : "Is Empty";
      if (!this.#takes("word", "empty"))
        throw syntaxError(this.#next.at, 'no match found, expected: "empty"');
      return { kind: "compare", path, operator, value: "" };
    }
    if (this.#takes("word", "not")) {
      if (this.#takes("word", "contains")) return compare("Not In");
      if (this.#takes("word", "matches")) return compare("Not Matches");
    }
    throw syntaxError(
      this.#next.at,
      'no match found, expected: "!=", ".", "==", "[", "contains", "in", "is", "matches" or "not"',
    );
  }

  #selector(): string[] {
    const first = this.#take();
    if (first.kind !== "word") throw syntaxError(first.at, "no match found, expected: [a-zA-Z]");
    const path = [first.text];
    while (this.#next.kind === "sign" && this.#next.isJoined) {
      if (this.#takes("sign", ".")) path.push(this.#expect("word"));
      else if (this.#takes("sign", "[")) {
        path.push(this.#expect("text"));
        if (!this.#takes("sign", "]")) throw syntaxError(this.#next.at, 'no match found, expected: "]"');
      } else break;
    }
    return path;
  }

  #expect(kind: "word" | "text"): string {
    const token = this.#take();
    if (token.kind !== kind) throw syntaxError(token.at, `no match found, expected a ${kind}`);
    return token.text;
  }

  #value(): string {
    return this.#valueOf(this.#take());
  }

  #valueOf(token: Token): string {
    if (token.kind === "text" || token.kind === "number") return token.text;
    if (token.kind !== "word") {
      throw syntaxError(token.at, 'no match found, expected: "-", "0", "\\"", "`", [1-9] or [a-zA-Z]');
    }
    this.#position -= 1;
    return this.#selector().join(".");
  }
}
