import { z } from "zod";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../duration.js";
import { accept, type Parsed, refuse } from "../parsed.js";
import { formatSize, parseSize } from "../size.js";

/**
 * The building blocks of the schema. Each field is written once with its parser, its limits and its sentence of
 * documentation; the default stands beside it as `.prefault(...)`, in the words of the file. The message of every
 * issue is the second half of "found X, expected Y"; `issues.ts` writes the first half from the file itself.
 */

/** What an editor is told of a field: a fragment of JSON schema. */
type JsonFragment = Readonly<Record<string, unknown>>;

/** Any string that still holds `${NAME}`: an editor cannot know what will stand there. */
export const SUBSTITUTED = "\\$\\{";

interface Limits {
  readonly min: number;
  readonly max: number;
}

/** A field whose whole text one function reads. Substituted values are strings, so parsers accept digits as text. */
export function scalar<T>(doc: string, parse: (input: unknown) => Parsed<T>, json: JsonFragment) {
  return z
    .unknown()
    .transform((input, context): T => {
      const parsed = parse(input);
      if (parsed.ok) return parsed.value;
      context.issues.push({
        code: "custom",
        input,
        message: parsed.expected,
        // A union looks at this to know whether the scalar form was meant at all.
        params: { mismatch: typeof input === "object" || input === undefined, words: parsed.words },
      });
      return z.NEVER;
    })
    .meta({ description: doc, ...json });
}

/** A map with these keys and no others. The message of an unknown key is the list of the known ones. */
export function strictMap<S extends z.core.$ZodShape>(shape: S) {
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? Object.keys(shape).join(", ") : "a map"),
  });
}

/** A list of something. */
export function list<S extends z.ZodType>(item: S) {
  return z.array(item, { error: "a list" });
}

/** A duration in milliseconds; limits are inclusive and default to 0 and 596h. */
export function duration(doc: string, limits: { readonly min?: string; readonly max?: string } = {}) {
  const minMs = limits.min === undefined ? 0 : mustParse(parseDuration(limits.min));
  const maxMs = limits.max === undefined ? MAX_DURATION_MS : mustParse(parseDuration(limits.max));
  const atLeast = minMs === 0 ? "" : ` At least ${formatDuration(minMs)}.`;
  const parse = (input: unknown): Parsed<number> => {
    const parsed = parseDuration(input);
    if (!parsed.ok) return parsed;
    if (parsed.value < minMs) return refuse(`at least ${formatDuration(minMs)}`);
    return parsed.value > maxMs ? refuse(`at most ${formatDuration(maxMs)}`) : parsed;
  };
  return scalar(`${doc}${atLeast} Unit: ms, s, m or h; at most ${formatDuration(maxMs)}.`, parse, {
    type: ["string", "integer"],
    pattern: `^(0|\\d+(ms|s|m|h))$|${SUBSTITUTED}`,
    minimum: 0,
    maximum: 0,
  });
}

/** A duration in milliseconds, or undefined for `forever`. */
export function durationOrForever(doc: string) {
  const parse = (input: unknown): Parsed<number | undefined> => {
    if (input === "forever") return accept(undefined);
    const parsed = parseDuration(input);
    return parsed.ok ? parsed : refuse(`${parsed.expected}, or forever`, ["forever"]);
  };
  return scalar(`${doc} Unit: ms, s, m or h; or forever.`, parse, {
    type: ["string", "integer"],
    pattern: `^(0|\\d+(ms|s|m|h)|forever)$|${SUBSTITUTED}`,
    minimum: 0,
    maximum: 0,
  });
}

/** A size in bytes; limits are inclusive. */
export function size(doc: string, limits: { readonly min: string; readonly max: string }) {
  const minBytes = mustParse(parseSize(limits.min));
  const maxBytes = mustParse(parseSize(limits.max));
  const range = `${formatSize(minBytes)} to ${formatSize(maxBytes)}`;
  const parse = (input: unknown): Parsed<number> => {
    const parsed = parseSize(input);
    const isOutside = parsed.ok && (parsed.value < minBytes || parsed.value > maxBytes);
    return isOutside ? refuse(`a size from ${range}`) : parsed;
  };
  return scalar(`${doc} ${range}.`, parse, {
    type: ["string", "integer"],
    pattern: `^\\d+(KiB|MiB|GiB)?$|${SUBSTITUTED}`,
    minimum: minBytes,
    maximum: maxBytes,
  });
}

/** A whole number; limits are inclusive. */
export function integer(doc: string, { min, max }: Limits) {
  const expected = min === max ? String(min) : `a whole number from ${min} to ${max}`;
  const parse = (input: unknown): Parsed<number> => {
    const value = typeof input === "string" && /^-?\d{1,15}$/.test(input) ? Number(input) : input;
    return typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max
      ? accept(value)
      : refuse(expected);
  };
  return scalar(doc, parse, {
    type: ["integer", "string"],
    minimum: min,
    maximum: max,
    pattern: `^${min < 0 ? "-?" : ""}\\d+$|${SUBSTITUTED}`,
  });
}

/** A number with or without a fraction; limits are inclusive. */
export function decimal(doc: string, { min, max }: Limits) {
  const parse = (input: unknown): Parsed<number> => {
    const value = typeof input === "string" && /^\d{1,15}(\.\d{1,15})?$/.test(input) ? Number(input) : input;
    return typeof value === "number" && value >= min && value <= max
      ? accept(value)
      : refuse(`a number from ${min} to ${max}`);
  };
  return scalar(doc, parse, {
    type: ["number", "string"],
    minimum: min,
    maximum: max,
    pattern: `^\\d+(\\.\\d+)?$|${SUBSTITUTED}`,
  });
}

/** True or false. */
export function flag(doc: string) {
  const parse = (input: unknown): Parsed<boolean> => {
    if (input === true || input === "true") return accept(true);
    if (input === false || input === "false") return accept(false);
    return refuse("true or false");
  };
  return scalar(doc, parse, {
    anyOf: [{ type: "boolean" }, { type: "string", pattern: `^(true|false)$|${SUBSTITUTED}` }],
  });
}

/** One of a few words. */
export function choice<const W extends string>(doc: string, words: readonly W[]) {
  const parse = (input: unknown): Parsed<W> => {
    const word = words.find((candidate) => candidate === input);
    return word === undefined ? refuse(formatWords(words), words) : accept(word);
  };
  return scalar(doc, parse, { anyOf: [{ enum: words }, { type: "string", pattern: SUBSTITUTED }] });
}

/** Text of a given form. `form` says in words what is expected; `pattern` also goes to the editor. */
export function text(doc: string, form: string, pattern = /^.{1,1024}$/s) {
  return scalar(doc, textParser(form, pattern), {
    type: "string",
    pattern: pattern.flags === "" ? `${pattern.source}|${SUBSTITUTED}` : undefined,
    minLength: 1,
  });
}

/** A path in the file system; relative ones count from the working directory. */
export function filePath(doc: string) {
  return text(doc, "the path of a file", /^[^\0]{1,4096}$/);
}

/** A switch that is written `off` (or false) when a value is not wanted. */
export function isOff(input: unknown): boolean {
  return input === "off" || input === false || input === "false";
}

/** A switch that is written `on` (or true) when the defaults are wanted. */
export function isOn(input: unknown): boolean {
  return input === "on" || input === true || input === "true";
}

/** `when` of a rule between the fields of a map: it also speaks when single fields have faults. */
export function isAnyMap({ value }: { readonly value: unknown }): boolean {
  return typeof value === "object" && value !== null;
}

/** A rule between fields also runs over maps with other faults, so either may be anything. */
export function isAbove(a: unknown, b: unknown): boolean {
  return typeof a === "number" && typeof b === "number" && a > b;
}

/** `a, b or c`. */
export function formatWords(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function textParser(form: string, pattern: RegExp): (input: unknown) => Parsed<string> {
  return (input) => {
    if (typeof input === "string" && pattern.test(input)) return accept(input);
    const isUnquoted = typeof input === "number" || typeof input === "boolean";
    return refuse(isUnquoted && pattern.test(String(input)) ? `${form}, in quotes: "${input}"` : form);
  };
}

function mustParse(parsed: Parsed<number>): number {
  if (!parsed.ok) throw new Error(`schema: a limit is not valid, expected ${parsed.expected}`);
  return parsed.value;
}
