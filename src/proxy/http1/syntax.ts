/**
 * Request path. Character classes of HTTP/1.1 (RFC 9110 section 5.6.2, RFC 9112 sections 2 and 3), as one table
 * over bytes. Text is latin1: one character per byte.
 */

/** `tchar`: what methods and field names are made of. */
export const TOKEN = 1;
/** What a field value may hold besides its inner white space: visible characters and obs-text. */
export const FIELD_VALUE = 2;
/** White space inside and around field values. */
export const BLANK = 4;
/** What a request target may hold; `%` and `#` are looked at apart. */
export const TARGET = 8;
/** `0` to `9`. */
export const DIGIT = 16;
/** Hexadecimal digits of either case. */
export const HEX = 32;
/** What the host of an authority may hold outside brackets (RFC 3986 section 3.2.2, with the colon of a port). */
export const HOST = 64;

/** Class bits of each byte. */
export const CLASS = new Uint8Array(256);

function mark(characters: string, bits: number): void {
  for (const character of characters)
    CLASS[character.charCodeAt(0)] = classOf(character.charCodeAt(0)) | bits;
}

const DIGITS = "0123456789";
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

mark(`${DIGITS}${LETTERS}!#$%&'*+-.^_\`|~`, TOKEN);
mark(`${DIGITS}${LETTERS}-._~%!$&'()*+,;=:[]`, HOST);
mark(DIGITS, DIGIT);
mark(`${DIGITS}abcdefABCDEF`, HEX);
mark(" \t", BLANK);
for (let code = 0x21; code < 0x7f; code++) {
  mark(String.fromCharCode(code), FIELD_VALUE | (code === 0x23 || code === 0x25 ? 0 : TARGET));
}
for (let code = 0x80; code < 0x100; code++) mark(String.fromCharCode(code), FIELD_VALUE);

/** Class bits of a character code; 0 for what no class holds. */
export function classOf(code: number): number {
  return CLASS[code] as number;
}

/** Whether a whole text consists of characters of one class, and is not empty. */
export function isAll(text: string, start: number, end: number, bits: number): boolean {
  for (let at = start; at < end; at++) if ((classOf(text.charCodeAt(at)) & bits) === 0) return false;
  return end > start;
}

/** Whether `text[start..end)` is the given lower-case word in any case. The word holds letters, digits and `-`. */
export function isWord(text: string, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false;
  for (let at = 0; at < word.length; at++) {
    const code = text.charCodeAt(start + at);
    const folded = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    if (folded !== word.charCodeAt(at)) return false;
  }
  return true;
}

/**
 * The elements of a comma-separated list (RFC 9110 section 5.6.1), without white space around them and without
 * empty ones, in lower case. One pass: a search for trailing blanks by pattern would begin anew at each blank, and
 * a head full of them would hold the process for a tenth of a second.
 */
export function listElements(value: string): readonly string[] {
  const elements: string[] = [];
  for (let start = 0; start <= value.length; ) {
    const comma = value.indexOf(",", start);
    const next = comma < 0 ? value.length : comma;
    let end = next;
    while (start < end && (classOf(value.charCodeAt(start)) & BLANK) !== 0) start++;
    while (end > start && (classOf(value.charCodeAt(end - 1)) & BLANK) !== 0) end--;
    if (end > start) elements.push(value.slice(start, end).toLowerCase());
    start = next + 1;
  }
  return elements;
}

/**
 * Whether an LF stands in a text without a CR before it. No further byte can mend that, so a section that shows
 * one is refused before its end has come; whoever sends it would otherwise wait for the time limit.
 */
export function hasBareLf(text: string): boolean {
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (text.charCodeAt(at - 1) !== 0x0d) return true;
  }
  return false;
}
