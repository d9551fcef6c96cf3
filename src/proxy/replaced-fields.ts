import type { FieldKind, KindSet } from "./field-kind.js";
import type { FieldList, ResponseHead } from "./message.js";

/** The fields of a head of which those of one name are written otherwise, at the end. */
export class ReplacedFields implements FieldList {
  readonly #base: FieldList;
  readonly #name: string;
  readonly #lines: string;

  /**
   * @param name in lower case, of the fields that are left out
   * @param lines to write instead, each with its CRLF
   */
  constructor(base: FieldList, name: string, lines: string) {
    this.#base = base;
    this.#name = name;
    this.#lines = lines;
  }

  get count(): number {
    return this.#base.count;
  }

  get kinds(): KindSet {
    return this.#base.kinds;
  }

  kindAt(index: number): FieldKind {
    return this.#base.kindAt(index);
  }

  nameAt(index: number): string {
    return this.#base.nameAt(index);
  }

  valueAt(index: number): string {
    return this.#base.valueAt(index);
  }

  has(kind: FieldKind): boolean {
    return this.#base.has(kind);
  }

  valueOf(kind: FieldKind): string | undefined {
    return this.#base.valueOf(kind);
  }

  valuesOf(kind: FieldKind): readonly string[] {
    return this.#base.valuesOf(kind);
  }

  value(name: string): string | undefined {
    return this.#base.value(name);
  }

  serialize(dropKinds: KindSet, dropNames: readonly string[]): string {
    return this.#base.serialize(dropKinds, [...dropNames, this.#name]) + this.#lines;
  }
}

/** A response with other fields. */
export function responseWith(head: ResponseHead, fields: FieldList): ResponseHead {
  const { status, reason, body, connectionNames, headBytes } = head;
  return { status, reason, fields, body, connectionNames, headBytes };
}

/** All values of a field named in lower case. */
export function allValues(fields: FieldList, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index < fields.count; index++) {
    if (fields.nameAt(index).toLowerCase() === name) values.push(fields.valueAt(index));
  }
  return values;
}
