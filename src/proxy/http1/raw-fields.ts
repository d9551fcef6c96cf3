import { type FieldKind, fieldKindOf, hasKind, KIND, type KindSet } from "../field-kind.js";
import type { FieldList } from "../message.js";
import { BLANK, CLASS, FIELD_VALUE, isWord, TOKEN } from "./syntax.js";

const COLON = 0x3a;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;

/** Numbers kept per field: start and end of its name, start and end of its value. */
const STRIDE = 4;
const FIRST_CAPACITY = 16;
/** More names than these are looked up, not compared one by one: a client may name thousands. */
const FEW_NAMES = 8;

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
  /** The head, one character per byte. */
  text = "";
  #positions = new Int32Array(FIRST_CAPACITY * STRIDE);
  #kinds = new Uint8Array(FIRST_CAPACITY);
  #count = 0;
  #end = 0;
  kinds: KindSet = 0;

  get count(): number {
    return this.#count;
  }

  /** Length of the head, from its first byte to its empty line, which is included. */
  get headBytes(): number {
    return this.#end + 2;
  }

  /**
   * Reads the lines of `bytes[start..stop)`, each ended by CRLF, up to the empty one (RFC 9112 section 5). Strict:
   * no folding, no space before the colon, no empty name, no control character, no bare CR. `base` is where the
   * head began; `text` must be set to it before anything is asked for. Bytes are read here, not characters: that
   * is several times cheaper (the get-64 row pays for it).
   */
  parse(
    bytes: Uint8Array,
    base: number,
    start: number,
    stop: number,
    maxFields: number,
  ): FieldFault | "unfinished" | undefined {
    this.#count = 0;
    this.kinds = 0;
    let at = start;
    while (at < stop) {
      const nameStart = at;
      while (at < stop && ((CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at++;
      if (at === stop) return "unfinished";
      if (bytes[at] !== COLON || at === nameStart) {
        if (at !== nameStart || bytes[at] !== CR) return nameFault(bytes[at] as number, at === nameStart);
        if (at + 1 === stop) return "unfinished";
        if (bytes[at + 1] !== LF) return "bare-cr";
        this.#end = at - base;
        return undefined;
      }
      const nameEnd = at++;
      while (at < stop && ((CLASS[bytes[at] as number] as number) & BLANK) !== 0) at++;
      const valueStart = at;
      while (at < stop && ((CLASS[bytes[at] as number] as number) & (FIELD_VALUE | BLANK)) !== 0) at++;
      if (at + 1 >= stop) return "unfinished";
      if (bytes[at] !== CR) return "bad-value";
      if (bytes[at + 1] !== LF) return "bare-cr";
      let valueEnd = at;
      while (valueEnd > valueStart && ((CLASS[bytes[valueEnd - 1] as number] as number) & BLANK) !== 0)
        valueEnd--;
      if (this.#count === maxFields) return "too-many-fields";
      this.#file(fieldKindOf(bytes, nameStart, nameEnd), nameStart - base, nameEnd - base);
      this.#fileValue(valueStart - base, valueEnd - base);
      at += 2;
    }
    return "unfinished";
  }

  kindAt(index: number): FieldKind {
    return this.#kinds[index] as FieldKind;
  }

  nameAt(index: number): string {
    return this.text.slice(this.#position(index, 0), this.#position(index, 1));
  }

  valueAt(index: number): string {
    return this.text.slice(this.#position(index, 2), this.#position(index, 3));
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

  /** Whether there is more than one field of a kind. */
  isRepeated(kind: FieldKind): boolean {
    let found = 0;
    for (let index = 0; index < this.#count; index++) if (this.#kinds[index] === kind) found++;
    return found > 1;
  }

  /** Whether a tab stands in the white space around a value of this kind. */
  hasTabAround(kind: FieldKind): boolean {
    for (let index = 0; index < this.#count; index++) {
      if (this.#kinds[index] !== kind) continue;
      for (let at = this.#position(index, 1) + 1; at < this.#position(index, 2); at++)
        if (this.text.charCodeAt(at) === TAB) return true;
      for (let at = this.#position(index, 3); this.text.charCodeAt(at) !== CR; at++)
        if (this.text.charCodeAt(at) === TAB) return true;
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
    const manyNames = dropNames.length > FEW_NAMES ? new Set(dropNames) : undefined;
    for (let index = 0; index < this.#count; index++) {
      const kind = this.#kinds[index] as FieldKind;
      const isDropped =
        hasKind(dropKinds, kind) ||
        (manyNames?.has(this.nameAt(index).toLowerCase()) ??
          (dropNames.length > 0 && this.#isNamedOneOf(index, dropNames)));
      const lineStart = this.#position(index, 0);
      if (isDropped && runStart >= 0) {
        text += this.text.slice(runStart, lineStart);
        runStart = -1;
      } else if (!isDropped && runStart < 0) {
        runStart = lineStart;
      }
    }
    return runStart < 0 ? text : text + this.text.slice(runStart, this.#end);
  }

  #isNamed(index: number, name: string): boolean {
    return isWord(this.text, this.#position(index, 0), this.#position(index, 1), name);
  }

  #isNamedOneOf(index: number, names: readonly string[]): boolean {
    for (const name of names) if (this.#isNamed(index, name)) return true;
    return false;
  }

  #position(index: number, what: number): number {
    return this.#positions[index * STRIDE + what] as number;
  }

  #file(kind: FieldKind, nameStart: number, nameEnd: number): void {
    if (this.#count === this.#kinds.length) this.#grow();
    const at = this.#count * STRIDE;
    this.#positions[at] = nameStart;
    this.#positions[at + 1] = nameEnd;
    this.#kinds[this.#count] = kind;
    if (kind !== KIND.other) this.kinds |= 1 << kind;
  }

  #fileValue(valueStart: number, valueEnd: number): void {
    const at = this.#count++ * STRIDE;
    this.#positions[at + 2] = valueStart;
    this.#positions[at + 3] = valueEnd;
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

function nameFault(code: number, isFirst: boolean): FieldFault {
  const isBlank = ((CLASS[code] as number) & BLANK) !== 0;
  if (!isFirst) return isBlank ? "space-before-colon" : "bad-name";
  if (isBlank) return "folded-line";
  return code === COLON ? "empty-name" : "bad-name";
}
