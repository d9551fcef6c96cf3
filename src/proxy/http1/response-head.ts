import type { BodyFraming, ResponseHead } from "../message.js";
import { type ConnectionOptions, connectionOptionsOf } from "./connection-options.js";
import { framingOf, NO_BODY, UNTIL_CLOSE } from "./framing.js";
import { FAULT, faultOfFields, type HeadFault, isFault } from "./head-fault.js";
import type { RawFields } from "./raw-fields.js";
import { BLANK, classOf, DIGIT, FIELD_VALUE } from "./syntax.js";

const SP = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** A response head as the backend sent it. */
export class Http1ResponseHead implements ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: RawFields;
  readonly body: BodyFraming;
  readonly headBytes: number;
  /** Whether the backend lets the connection be used again. */
  readonly keepsAlive: boolean;
  readonly #options: ConnectionOptions;

  constructor(line: StatusLine, fields: RawFields, body: BodyFraming, headBytes: number) {
    const options = connectionOptionsOf(fields);
    this.#options = options;
    this.status = line.status;
    this.reason = line.reason;
    this.fields = fields;
    this.body = body;
    this.headBytes = headBytes;
    const isKept = line.isOldVersion ? options.keepAlive && !options.close : !options.close;
    this.keepsAlive = isKept && body.kind !== "until-close";
  }

  get connectionNames(): readonly string[] {
    return this.#options.names;
  }

  /** Whether the backend agreed to switch protocols (`Connection: upgrade`). */
  get isUpgrade(): boolean {
    return this.#options.upgrade;
  }
}

interface StatusLine {
  readonly status: number;
  readonly reason: string;
  readonly isOldVersion: boolean;
  readonly end: number;
}

/**
 * Request path. Reads a whole response head. A backend is not trusted either: the framing rules are those of
 * requests. `method` is the request's, since the answer to HEAD has no body whatever its fields say.
 */
export function parseResponseHead(
  text: string,
  fields: RawFields,
  maxFields: number,
  method: string,
): Http1ResponseHead | HeadFault {
  const line = parseStatusLine(text);
  if (isFault(line)) return line;
  const fieldFault = fields.parse(text, line.end, text.length - 2, maxFields);
  if (fieldFault !== undefined) return faultOfFields(fieldFault);
  const framing = framingOf(fields, line.isOldVersion) ?? UNTIL_CLOSE;
  if (isFault(framing)) return framing;
  return new Http1ResponseHead(
    line,
    fields,
    isBodiless(line.status, method) ? NO_BODY : framing,
    text.length,
  );
}

/** RFC 9112 section 6.3, first rule. */
function isBodiless(status: number, method: string): boolean {
  return status < 200 || status === 204 || status === 304 || method === "HEAD";
}

/** `HTTP/1.x SP status [SP reason] CRLF` (RFC 9112 section 4); the space before an empty reason may be missing. */
function parseStatusLine(text: string): StatusLine | HeadFault {
  if (!text.startsWith("HTTP/1.")) return FAULT.badStatusLine;
  const minor = text.charCodeAt(7);
  if ((minor !== 0x30 && minor !== 0x31) || text.charCodeAt(8) !== SP) return FAULT.badStatusLine;
  let status = 0;
  for (let at = 9; at < 12; at++) {
    const code = text.charCodeAt(at);
    if ((classOf(code) & DIGIT) === 0) return FAULT.badStatusLine;
    status = status * 10 + code - 0x30;
  }
  let at = 12;
  if (text.charCodeAt(at) === SP) at++;
  else if (text.charCodeAt(at) !== CR) return FAULT.badStatusLine;
  const reasonStart = at;
  while ((classOf(text.charCodeAt(at)) & (FIELD_VALUE | BLANK)) !== 0) at++;
  if (text.charCodeAt(at) !== CR || text.charCodeAt(at + 1) !== LF || status < 100)
    return FAULT.badStatusLine;
  return { status, reason: text.slice(reasonStart, at), isOldVersion: minor === 0x30, end: at + 2 };
}
