/** A problem in a JSON text, worded as Go's decoder words it, since clients show these texts to people. */
export class JsonProblem extends Error {
  constructor(text: string) {
    super(text);
    this.name = "JsonProblem";
  }
}

/** Deepest nesting read; beyond it a scan by recursion could exhaust the stack. */
const maxDepth = 200;

/**
 * The first JSON value of a text; what follows it is ignored, as Go's decoder does with request bodies.
 * @throws JsonProblem
 */
export function decodeFirstValue(text: string): unknown {
  const scanner = new Scanner(text);
  const end = scanner.scan();
  return JSON.parse(text.slice(0, end), guardPrototype);
}

/** Keeps a key named __proto__ from becoming a prototype. */
function guardPrototype(key: string, value: unknown): unknown {
  return key === "__proto__" ? undefined : value;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): number {
    this.#space();
    if (this.#at >= this.#text.length) throw new JsonProblem("EOF");
    this.#value(0);
    return this.#at;
  }

  #space(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "x")) this.#at += 1;
  }

  #peek(): string {
    const char = this.#text[this.#at];
    if (char === undefined) throw new JsonProblem("unexpected EOF");
    return char;
  }

  #fail(context: string): never {
    const char = this.#peek();
    throw new JsonProblem(`invalid character ${char === "'" ? `'\\''` : `'${char}'`} ${context}`);
  }

  #value(depth: number): void {
    if (depth > maxDepth) throw new JsonProblem("exceeded max depth");
    const char = this.#peek();
    if (char === "{") this.#object(depth);
    else if (char === "[") this.#array(depth);
    else if (char === '"') this.#string();
    else if (char === "-" || (char >= "0" && char <= "9")) this.#number();
    else if (char === "t") this.#literal("true");
    else if (char === "f") this.#literal("false");
    else if (char === "n") this.#literal("null");
    else this.#fail("looking for beginning of value");
  }

  #object(depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#peek() === "}") {
      this.#at += 1;
      return;
    }
    for (;;) {
      if (this.#peek() !== '"') this.#fail("looking for beginning of object key string");
      this.#string();
      this.#space();
      if (this.#peek() !== ":") this.#fail("after object key");
      this.#at += 1;
      this.#space();
      this.#value(depth + 1);
      this.#space();
      const char = this.#peek();
      if (char !== "," && char !== "}") this.#fail("after object key:value pair");
      this.#at += 1;
      if (char === "}") return;
      this.#space();
    }
  }

  #array(depth: number): void {
    this.#at += 1;
    this.#space();
    if (this.#peek() === "]") {
      this.#at += 1;
      return;
    }
    for (;;) {
      this.#value(depth + 1);
      this.#space();
      const char = this.#peek();
      if (char !== "," && char !== "]") this.#fail("after array element");
      this.#at += 1;
      if (char === "]") return;
      this.#space();
    }
  }

  #string(): void {
    this.#at += 1;
    for (;;) {
      const char = this.#peek();
      if (char < " ") this.#fail("in string literal");
      this.#at += 1;
      if (char === '"') return;
      if (char === "\\") this.#escape();
    }
  }

  #escape(): void {
    const char = this.#peek();
    if (!'"\\/bfnrtu'.includes(char)) this.#fail("in string escape code");
    this.#at += 1;
    if (char !== "u") return;
    for (let digit = 0; digit < 4; digit += 1) {
      if (!/[0-9a-fA-F]/.test(this.#peek())) this.#fail("in \\u hexadecimal character escape");
      this.#at += 1;
    }
  }

  #number(): void {
    if (this.#peek() === "-") this.#at += 1;
    if (this.#peek() === "0") this.#at += 1;
    else this.#digits("in numeric literal");
    if (this.#text[this.#at] === ".") {
      this.#at += 1;
      this.#digits("after decimal point in numeric literal");
    }
    if (/[eE]/.test(this.#text[this.#at] ?? "")) {
      this.#at += 1;
      if (/[+-]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(context: string): void {
    if (!/[0-9]/.test(this.#peek())) this.#fail(context);
    while (/[0-9]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }

  #literal(word: string): void {
    for (const expected of word) {
      if (this.#peek() !== expected) this.#fail(`in literal ${word} (expecting '${expected}')`);
      this.#at += 1;
    }
  }
}
