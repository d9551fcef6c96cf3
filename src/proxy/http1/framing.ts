import { KIND } from "../field-kind.js";
import type { BodyFraming } from "../message.js";
import { FAULT, type HeadFault } from "./head-fault.js";
import type { RawFields } from "./raw-fields.js";
import { DIGIT, isAll, isWord, listElements } from "./syntax.js";

/** Most digits of a length that stay exact in a double. */
const LENGTH_DIGITS_MAX = 15;
const ZERO = 0x30;

/** No body at all. */
export const NO_BODY: BodyFraming = { kind: "none" };
/** Chunks tell the end. */
export const CHUNKED_BODY: BodyFraming = { kind: "chunked" };
/** The connection tells the end. */
export const UNTIL_CLOSE: BodyFraming = { kind: "until-close" };

/**
 * Request path. What Content-Length and Transfer-Encoding say of a body (RFC 9112 section 6). Both together,
 * repeated, listed, signed or overflowing lengths, codings in HTTP/1.0 and any that do not end in one single
 * `chunked` are refused: two readers who guess differently are how requests are smuggled. So is a tab around
 * the value, which RFC 9110 section 5.6.3 allows but not every reader strips. Undefined when neither field is
 * there.
 */
export function framingOf(fields: RawFields, isOldVersion: boolean): BodyFraming | HeadFault | undefined {
  const hasLength = fields.has(KIND.contentLength);
  if (!fields.has(KIND.transferEncoding)) return hasLength ? lengthOf(fields) : undefined;
  if (isOldVersion) return FAULT.codingInOldVersion;
  if (hasLength) return FAULT.lengthAndCoding;
  if (fields.hasTabAround(KIND.transferEncoding)) return FAULT.badCoding;
  return codingOf(fields);
}

function lengthOf(fields: RawFields): BodyFraming | HeadFault {
  if (fields.isRepeated(KIND.contentLength)) return FAULT.repeatedLength;
  const value = fields.valueOf(KIND.contentLength) ?? "";
  if (!isAll(value, 0, value.length, DIGIT) || fields.hasTabAround(KIND.contentLength))
    return FAULT.badLength;
  let start = 0;
  while (start < value.length - 1 && value.charCodeAt(start) === ZERO) start++;
  if (value.length - start > LENGTH_DIGITS_MAX) return FAULT.badLength;
  return { kind: "length", length: Number(value) };
}

function codingOf(fields: RawFields): BodyFraming | HeadFault {
  const values = fields.valuesOf(KIND.transferEncoding);
  const only = values[0] as string;
  if (values.length === 1 && isWord(only, 0, only.length, "chunked")) return CHUNKED_BODY;
  const codings = values.flatMap(listElements);
  // `chunked,` is a list with an empty element, which not everybody reads alike.
  if (codings.length < 2) return FAULT.badCoding;
  if (codings.indexOf("chunked") !== codings.length - 1) return FAULT.badCoding;
  return FAULT.unknownCoding;
}
