import { JsonProblem } from "./go-json.js";

/** How one field of a request is read. */
export type FieldReader<T> = (value: unknown, name: string) => T;

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return typeof value === "boolean" ? "bool" : typeof value;
}

function mismatch(value: unknown, name: string, goType: string): never {
  const shown = typeof value === "number" && goType === "int" ? `number ${value}` : kindOf(value);
  throw new JsonProblem(`json: cannot unmarshal ${shown} into Go struct field ${name} of type ${goType}`);
}

/** Reads text; absent or null is empty. */
export const readString: FieldReader<string> = (value, name) => {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : mismatch(value, name, "string");
};

/** Reads a whole number; absent or null is 0. */
export const readInt: FieldReader<number> = (value, name) => {
  if (value === undefined || value === null) return 0;
  return Number.isSafeInteger(value) ? Number(value) : mismatch(value, name, "int");
};

/** Reads a boolean; absent or null is false. */
export const readBool: FieldReader<boolean> = (value, name) => {
  if (value === undefined || value === null) return false;
  return typeof value === "boolean" ? value : mismatch(value, name, "bool");
};

/** Reads a list of texts; absent or null is empty. */
export const readStrings: FieldReader<string[]> = (value, name) => {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return mismatch(value, name, "[]string");
  return value.map((item) => readString(item, name));
};

/** Reads an object of texts; absent or null is undefined. */
export const readStringMap: FieldReader<Record<string, string> | undefined> = (value, name) => {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) return mismatch(value, name, "map[string]string");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readString(item, name)]));
};

/** Whether a decoded value is an object and not a list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The fields of an object, matched without regard to case as Go does, under the names given.
 * @param aliases other spellings that are accepted for a field, in lower case.
 * @throws JsonProblem for a field that is not listed, or for a value that is no object.
 */
export function readFields<Name extends string>(
  value: unknown,
  names: readonly Name[],
  where: string,
  aliases: Readonly<Record<string, Name>> = {},
): Partial<Record<Name, unknown>> {
  if (value === null || value === undefined) return {};
  if (!isObject(value)) throw new JsonProblem(`json: cannot unmarshal ${kindOf(value)} into Go ${where}`);
  const byLowerCase = new Map<string, Name>(names.map((name) => [name.toLowerCase(), name]));
  const fields: Partial<Record<Name, unknown>> = {};
  for (const [key, item] of Object.entries(value)) {
    const name = byLowerCase.get(key.toLowerCase()) ?? aliases[key.toLowerCase()];
    if (name === undefined) throw new JsonProblem(`json: unknown field "${key}"`);
    fields[name] = item;
  }
  return fields;
}
