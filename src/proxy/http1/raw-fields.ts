import { type FieldKind, fieldKindOf, hasKind, KIND, type KindSet } from "../field-kind.js";
import type { FieldList } from "../message.js";
import { BLANK, classOf, FIELD_VALUE, isWord, TOKEN } from "./syntax.js";

const COLON = 0x3a;
const CR = 0x0d;
const LF = 0x0a;

/** Numbers kept per field: start and end of its name, start and end of its value. */
const STRIDE = 4;
const FIRST_CAPACITY = 16;

/** Why a field section is refused. */
export type FieldFault =
  | "folded-line"
  | "empty-name"
  | "space-before-colon"
  | "bad-name"
  | "bad-value"
  | "bare-cr"
  | "too-many-fields";

/**
 * Request path. The fields of a head as positions in its text: nothing is cut out before somebody asks, and what
 * is forwarded is copied as it came, in runs of whole lines. One object serves all heads of a connection.
 */
export class RawFields implements FieldList {
  #text = "";
  #positions = new Int32Array(FIRST_CAPACITY * STRIDE);
  #kinds = new Uint8Array(FIRST_CAPACITY);
  #count = 0;
  #end = 0;
  kinds: KindSet = 0;

  get count(): number {
    return this.#count;
  }

  /**
   * Reads the lines of `text[start..end)`, each ended by CRLF (RFC 9112 section 5). Strict: no folding, no
   * space before the colon, no empty name, no control character, no bare CR.
   */
  parse(text: string, start: number, end: number, maxFields: number): FieldFault | undefined {
    this.#text = text;
    this.#end = end;
    this.#count = 0;
    this.kinds = 0;
    let at = start;
    while (at < end) {
      const nameStart = at;
      while ((classOf(text.charCodeAt(at)) & TOKEN) !== 0) at++;
      if (text.charCodeAt(at) !== COLON || at === nameStart) return nameFault(text, nameStart, at);
      const nameEnd = at++;
      while ((classOf(text.charCodeAt(at)) & BLANK) !== 0) at++;
      const valueStart = at;
      while ((classOf(text.charCodeAt(at)) & (FIELD_VALUE | BLANK)) !== 0) at++;
      if (text.charCodeAt(at) !== CR) return "bad-value";
      if (text.charCodeAt(at + 1) !== LF) return "bare-cr";
      let valueEnd = at;
      while (valueEnd > valueStart && (classOf(text.charCodeAt(valueEnd - 1)) & BLANK) !== 0) valueEnd--;
      if (this.#count === maxFields) return "too-many-fields";
      this.#file(nameStart, nameEnd, valueStart, valueEnd);
      at += 2;
    }
    return undefined;
  }

  kindAt(index: number): FieldKind {
    return this.#kinds[index] as FieldKind;
  }

  nameAt(index: number): string {
    return this.#text.slice(this.#position(index, 0), this.#position(index, 1));
  }

  valueAt(index: number): string {
    return this.#text.slice(this.#position(index, 2), this.#position(index, 3));
  }

  has(kind: FieldKind): boolean {
    return hasKind(this.kinds, kind);
  }

  /** First value of a kind; undefined when there is none. */
  valueOf(kind: FieldKind): string | undefined {
    if (!this.has(kind)) return undefined;
    for (let index = 0; index < this.#count; index++)
      if (this.#kinds[index] === kind) return this.valueAt(index);
    return undefined;
  }

  valuesOf(kind: FieldKind): readonly string[] {
    const values: string[] = [];
    if (!this.has(kind)) return values;
    for (let index = 0; index < this.#count; index++)
      if (this.#kinds[index] === kind) values.push(this.valueAt(index));
    return values;
  }

  /** Whether a tab stands in the white space around a value of this kind. */
  hasTabAround(kind: FieldKind): boolean {
    for (let index = 0; index < this.#count; index++) {
      if (this.#kinds[index] !== kind) continue;
      const before = this.#text.slice(this.#position(index, 1), this.#position(index, 2));
      const valueEnd = this.#position(index, 3);
      if (
        before.includes("\t") ||
        this.#text.slice(valueEnd, this.#text.indexOf("\r", valueEnd)).includes("\t")
      )
        return true;
    }
    return false;
  }

  value(name: string): string | undefined {
    for (let index = 0; index < this.#count; index++)
      if (this.#isNamed(index, name)) return this.valueAt(index);
    return undefined;
  }

  serialize(dropKinds: KindSet, dropNames: readonly string[]): string {
    let text = "";
    let runStart = -1;
    for (let index = 0; index < this.#count; index++) {
      const kind = this.#kinds[index] as FieldKind;
      const isDropped =
        hasKind(dropKinds, kind) || (dropNames.length > 0 && this.#isNamedOneOf(index, dropNames));
      const lineStart = this.#position(index, 0);
      if (isDropped && runStart >= 0) {
        text += this.#text.slice(runStart, lineStart);
        runStart = -1;
      } else if (!isDropped && runStart < 0) {
        runStart = lineStart;
      }
    }
    return runStart < 0 ? text : text + this.#text.slice(runStart, this.#end);
  }

  #isNamed(index: number, name: string): boolean {
    return isWord(this.#text, this.#position(index, 0), this.#position(index, 1), name);
  }

  #isNamedOneOf(index: number, names: readonly string[]): boolean {
    for (const name of names) if (this.#isNamed(index, name)) return true;
    return false;
  }

  #position(index: number, what: number): number {
    return this.#positions[index * STRIDE + what] as number;
  }

  #file(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): void {
    if (this.#count === this.#kinds.length) this.#grow();
    const kind = fieldKindOf(this.#text, nameStart, nameEnd);
    const at = this.#count * STRIDE;
    this.#positions[at] = nameStart;
    this.#positions[at + 1] = nameEnd;
    this.#positions[at + 2] = valueStart;
    this.#positions[at + 3] = valueEnd;
    this.#kinds[this.#count++] = kind;
    if (kind !== KIND.other) this.kinds |= 1 << kind;
  }

  #grow(): void {
    const positions = new Int32Array(this.#positions.length * 2);
    positions.set(this.#positions);
    this.#positions = positions;
    const kinds = new Uint8Array(this.#kinds.length * 2);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
  }
}

function nameFault(text: string, nameStart: number, at: number): FieldFault {
  const code = text.charCodeAt(at);
  if (at === nameStart) {
    if ((classOf(code) & BLANK) !== 0) return "folded-line";
    return code === COLON ? "empty-name" : code === CR ? "bare-cr" : "bad-name";
  }
  return (classOf(code) & BLANK) !== 0 ? "space-before-colon" : "bad-name";
}
