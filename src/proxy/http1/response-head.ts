import { viewOf } from "../connection.js";
import type { BodyFraming, ResponseHead } from "../message.js";
import { type ConnectionOptions, connectionOptionsOf } from "./connection-options.js";
import { framingOf, NO_BODY, UNTIL_CLOSE } from "./framing.js";
import { FAULT, faultOfFields, type HeadFault, isFault } from "./head-fault.js";
import type { RawFields } from "./raw-fields.js";
import { BLANK, CLASS, classOf, DIGIT, FIELD_VALUE } from "./syntax.js";

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

  constructor(line: StatusLine, reason: string, fields: RawFields, body: BodyFraming) {
    const options = connectionOptionsOf(fields);
    this.#options = options;
    this.status = line.status;
    this.reason = reason;
    this.fields = fields;
    this.body = body;
    this.headBytes = fields.headBytes;
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
  readonly isOldVersion: boolean;
  readonly reasonStart: number;
  readonly reasonEnd: number;
}

/**
 * Request path. Reads a response head of `bytes[start..stop)` up to its empty line. A backend is not trusted either:
 * the framing rules are those of requests. `method` is the request's, since the answer to HEAD has no body whatever
 * its fields say. Undefined when the bytes end before the head does.
 */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  stop: number,
  fields: RawFields,
  maxFields: number,
  method: string,
): Http1ResponseHead | HeadFault | undefined {
  const line = parseStatusLine(bytes, start, stop);
  if (isFault(line)) return line;
  const fieldFault = fields.parse(bytes, start, line.reasonEnd + 2, stop, maxFields);
  if (fieldFault === "unfinished") return undefined;
  if (fieldFault !== undefined) return faultOfFields(fieldFault);
  const text = viewOf(bytes).latin1Slice(start, start + fields.headBytes);
  fields.text = text;
  // Lengths in the answer that opens a tunnel mean nothing, whatever they are (RFC 9112 section 6.3, second rule).
  const isOpening = method === "CONNECT" && line.status >= 200 && line.status < 300;
  const framing = isOpening ? NO_BODY : (framingOf(fields, line.isOldVersion) ?? UNTIL_CLOSE);
  if (isFault(framing)) return framing;
  const reason = text.slice(line.reasonStart - start, line.reasonEnd - start);
  const body = isBodiless(line.status, method) ? NO_BODY : framing;
  return new Http1ResponseHead(line, reason, fields, body);
}

/** RFC 9112 section 6.3, first rule. */
function isBodiless(status: number, method: string): boolean {
  return status < 200 || status === 204 || status === 304 || method === "HEAD";
}

/** `HTTP/1.x SP status [SP reason] CRLF` (RFC 9112 section 4); the space before an empty reason may be missing. */
function parseStatusLine(bytes: Buffer, start: number, stop: number): StatusLine | HeadFault {
  if (stop - start < STATUS_BYTES) return FAULT.badStatusLine;
  for (let offset = 0; offset < VERSION_PREFIX.length; offset++)
    if (bytes[start + offset] !== VERSION_PREFIX[offset]) return FAULT.badStatusLine;
  const minor = bytes[start + 7];
  if ((minor !== 0x30 && minor !== 0x31) || bytes[start + 8] !== SP) return FAULT.badStatusLine;
  let status = 0;
  let at = start + 9;
  for (; at < start + 12; at++) {
    const code = bytes[at] as number;
    if ((classOf(code) & DIGIT) === 0) return FAULT.badStatusLine;
    status = status * 10 + code - 0x30;
  }
  if (bytes[at] === SP) at++;
  else if (bytes[at] !== CR) return FAULT.badStatusLine;
  const reasonStart = at;
  while (at < stop && ((CLASS[bytes[at] as number] as number) & (FIELD_VALUE | BLANK)) !== 0) at++;
  if (at + 1 >= stop || bytes[at] !== CR || bytes[at + 1] !== LF || status < 100) return FAULT.badStatusLine;
  return { status, reasonStart, reasonEnd: at, isOldVersion: minor === 0x30 };
}

/** `HTTP/1.`, and the fewest bytes of a status line. */
const VERSION_PREFIX = [0x48, 0x54, 0x54, 0x50, 0x2f, 0x31, 0x2e];
const STATUS_BYTES = 14;
